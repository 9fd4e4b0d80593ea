"""The page as a browser sees it: headless Chromium runs a script in it and gives back what came of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SCRIPT = """
<script>
window.addEventListener("load", async () => {
  const found = {errors: window.failed};
  const lines = () => [...document.querySelector("#lights tbody").rows];
  const column = number => lines().map(row => row.cells[number].dataset.value);
  const heads = [...document.querySelectorAll("#lights thead th")];
  found.heads = heads.map(head => head.textContent);
  found.opened = column(0).map(Number);
  found.sorted = heads.map((head, number) => {
    const click = () => { head.querySelector("button").click(); return column(number); };
    return [click(), head.getAttribute("aria-sort"), click(), head.getAttribute("aria-sort")];
  });
  found.rows = lines().length;
  const links = [...document.querySelectorAll("a")].map(link => link.getAttribute("href"));
  found.dead = links.filter(href => !document.getElementById(href.slice(1)));
  const ids = [...document.querySelectorAll("[id]")].map(element => element.id);
  found.twice = ids.filter((id, number) => ids.indexOf(id) !== number);
  document.querySelector("#lights tbody a").click();
  await new Promise(done => setTimeout(done, 50));
  found.went = location.hash === document.querySelector("#lights tbody a").getAttribute("href")
    && document.querySelector("figure:target") !== null;
  const images = [...document.images];
  await Promise.all(images.map(image => image.decode().catch(() => null)));
  found.images = images.map(image => image.naturalWidth);
  document.body.replaceChildren(JSON.stringify(found));
});
</script>
"""
WATCH = "<script>window.failed = []; window.onerror = (text) => { window.failed.push(text); };</script>"


@pytest.fixture(scope="module")
def seen(report_page, tmp_path_factory):
    """What the script found in the page."""
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        pytest.skip(f"no headless browser to look at the page with; looked for {', '.join(NAMES)}")
    folder = tmp_path_factory.mktemp("browser")
    text = report_page.read_text(encoding="utf-8")
    page = folder / "page.html"
    page.write_text(
        text.replace("<head>", f"<head>{WATCH}", 1).replace("</body>", f"{SCRIPT}</body>"), encoding="utf-8"
    )
    done = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--virtual-time-budget=60000",
            f"--user-data-dir={folder / 'profile'}",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    body = re.search(r"<body>(\{.*\})</body>", done.stdout, flags=re.DOTALL)
    assert body is not None, f"the script did not end: {done.stderr[-1000:]}"
    return json.loads(unescape(body[1]))


def test_the_page_loads(seen):
    assert seen["errors"] == []
    assert len(seen["images"]) > 10
    assert min(seen["images"]) > 0


def test_it_opens_with_the_worst_light_first(seen):
    assert seen["opened"] == sorted(seen["opened"], reverse=True)
    assert seen["rows"] == len(seen["opened"]) > 15


def test_every_column_sorts_both_ways(seen):
    assert len(seen["sorted"]) == len(seen["heads"]) == 8
    for one, first, other, second in seen["sorted"]:
        assert {first, second} == {"ascending", "descending"}
        falling, rising = (one, other) if first == "descending" else (other, one)
        try:
            values = [float(value) for value in rising]
        except ValueError:
            assert [v.lower() for v in rising] == sorted(v.lower() for v in rising)
        else:
            assert values == sorted(values)
        assert sorted(falling) == sorted(rising)
        assert falling[0] == rising[-1]


def test_links_lead_somewhere(seen):
    assert seen["dead"] == []
    assert seen["twice"] == []
    assert seen["went"]
