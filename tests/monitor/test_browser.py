"""The page in a real browser: it follows the trainings, sorts, chooses, saves."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flashsim.runs.log import LOST_AFTER

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra 'test'")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 60_000
"""Milliseconds that anything may take on a busy machine."""


@pytest.fixture(scope="module")
def browser():
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser to look at the page with; looked for {', '.join(NAMES)}")
    with sync_api.sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        chromium = playwright.chromium.launch(executable_path=path, args=options, timeout=PATIENCE)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    """A new page; it must run without an error and ask nobody but its own server."""
    context = browser.new_context(viewport={"width": 1300, "height": 900}, accept_downloads=True)
    context.set_default_timeout(PATIENCE)
    sync_api.expect.set_options(timeout=PATIENCE)
    page = context.new_page()
    errors, asked = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    yield page
    context.close()
    assert errors == []
    assert {url for url in asked if not re.match(r"http://127\.0\.0\.1:|file:|data:|blob:", url)} == set()


@pytest.fixture
def server(half_grid):
    """The command itself, with its address."""
    code = "from flashsim.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "monitor", str(half_grid[0]), "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    line = process.stderr.readline()
    yield re.search(r"http://127\.0\.0\.1:\d+/", line)[0], process
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def points(page, loss="loss"):
    return int(page.locator(f'figure[data-loss="{loss}"] .chart').get_attribute("data-points"))


def column(page, key):
    """Model and text of a column of the matrix, from above."""
    heads = page.locator("#matrix thead th").evaluate_all(
        "heads => heads.map(head => head.dataset.key ?? 'name')"
    )
    rows = page.locator("#matrix tbody tr").all()
    return [
        (r.locator("th").inner_text(), r.locator("th, td").nth(heads.index(key)).inner_text()) for r in rows
    ]


def test_the_page_follows_the_trainings(page, server, half_grid):
    address, process = server
    _, writers = half_grid
    page.goto(address)
    page.wait_for_selector('figure[data-loss="loss"] svg')
    page.evaluate("window.mark = 1")
    assert page.locator("#live").inner_text() == "live"
    assert points(page) == 4 + 2 + 2 + 1
    running = page.locator('#runs tr[data-id="grid/point_0002"]')
    assert "2 / 10" in running.inner_text()
    assert "lost" in page.locator('#runs tr[data-id="grid/point_0003"]').inner_text()

    writers[2].epoch(0.5, 0.125)
    sync_api.expect(running).to_contain_text("4 / 10")
    page.wait_for_function("document.querySelector('figure[data-loss=loss] .chart').dataset.points === '11'")
    best = page.locator('#best tr[data-key="refiner/validation"]')
    sync_api.expect(best).to_contain_text("point_0002")
    sync_api.expect(best).to_contain_text("0.1250")

    writers[4].start().epoch(2.0)
    sync_api.expect(page.locator('#runs tr[data-id="grid/point_0004"]')).to_contain_text("running")
    writers[2].finish(auc=0.7)
    sync_api.expect(running).to_contain_text("finished")
    assert page.evaluate("window.mark") == 1  # the page was never loaded again

    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    sync_api.expect(page.locator("#live")).to_contain_text("no connection")


TRAINING = """
import sys, time
from pathlib import Path
from flashsim.runs.log import RunLog

first, last = int(sys.argv[2]), int(sys.argv[3])
with RunLog(Path(sys.argv[1]), "point_0005", epochs={"refiner": 6}, resumed=first > 1) as log:
    for epoch in range(first, last + 1):
        log.epoch("refiner", epoch, 6, {"train": 1.0 / epoch, "validation": 1.0 / epoch})
    if last < 6:
        time.sleep(600)
"""


@pytest.mark.slow
def test_a_killed_training_is_lost_and_goes_on(page, server, half_grid):
    """With real processes and a real clock: lost is what gives no sign of life for a minute."""
    folder = half_grid[0] / "grid" / "point_0005"

    def training(first, last):
        return subprocess.Popen([sys.executable, "-c", TRAINING, str(folder), str(first), str(last)])

    page.goto(server[0])
    page.wait_for_selector("#runs tbody tr")
    page.evaluate("window.mark = 1")
    row = page.locator('#runs tr[data-id="grid/point_0005"]')
    killed = training(1, 4)
    try:
        sync_api.expect(row).to_contain_text("running")
        sync_api.expect(row).to_contain_text("4 / 6")
    finally:
        killed.kill()
        killed.wait()
    sync_api.expect(row).to_contain_text("lost", timeout=1e3 * LOST_AFTER + PATIENCE)
    assert training(4, 6).wait(60) == 0
    sync_api.expect(row).to_contain_text("finished")
    sync_api.expect(row).to_contain_text("6 / 6")
    assert page.evaluate("window.mark") == 1  # the page was never loaded again


def test_groups_and_individual_trainings_have_a_tab_each(page, server):
    page.goto(server[0])
    page.wait_for_selector("#runs tbody tr")
    card = page.locator("#groups .card")
    assert card.count() == 1
    for text in ("1 running", "2 queued", "2 finished", "1 lost"):  # one of the queued has no folder yet
        assert text in card.inner_text()
    assert page.locator("#runs tbody tr").count() == 5
    page.get_by_role("tab", name="Individual trainings").click()
    sync_api.expect(page.locator("#runs tbody tr")).to_have_count(1)
    assert "failed" in page.locator("#runs tbody tr").inner_text()
    assert page.locator("#runs td[title*='<b>bad</b>']").count() == 1
    assert page.locator("#runs b").count() == 0
    assert points(page) == 1


def test_models_are_chosen_by_box_and_by_search(page, server):
    page.goto(server[0])
    page.wait_for_selector('figure[data-loss="loss"] svg')
    page.get_by_label("Show point_0000").uncheck()
    assert points(page) == 5
    assert "point_0001" in page.locator('#best tr[data-key="refiner/validation"]').inner_text()
    page.get_by_label("Search trainings").fill("primary=mse width=64")
    assert page.locator("#runs tbody tr").count() == 1
    assert points(page) == 1
    page.get_by_label("Search trainings").fill("")
    page.get_by_label("Show all").check()
    assert points(page) == 9
    page.locator("#split").get_by_text("Both").click()
    assert points(page) == 18
    assert points(page, "multiplier_mse") == 9


def test_the_table_sorts_and_marks_minima(page, server):
    page.goto(server[0])
    page.wait_for_selector("#matrix tbody tr")
    head = page.locator('#matrix th[data-key="refiner/validation"]')
    for falling in (False, True):
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == ("descending" if falling else "ascending")
        values = [value for _, value in column(page, "refiner/validation")]
        assert values[-1] == "\u2013"  # no epoch yet
        numbers = [float(value) for value in values[:-1]]
        assert numbers == sorted(numbers, reverse=falling)
    marked = page.locator("#matrix td.best").evaluate_all(
        "cells => cells.map(cell => cell.closest('tr').dataset.id)"
    )
    assert marked == [f"grid/point_{k:04}" for k in (2, 1, 0)]  # mse, auc, loss
    page.locator("#at").select_option("last")
    assert dict(column(page, "refiner/validation"))["point_0000"] == "0.7500"
    page.locator("#at").select_option("best")
    assert dict(column(page, "refiner/validation"))["point_0000"] == "0.2500"
    page.locator("#table").select_option("all")
    heads = page.locator("#matrix thead th")
    assert heads.count() == 1 + 2 + 2 + 1 + 1  # model, loss and mse twice, the multiplier, the final value
    assert page.locator('#best tr[data-key="refiner/train_multiplier_mse"]').count() == 0


def test_the_table_is_saved_as_csv(page, server):
    page.goto(server[0])
    page.wait_for_selector("#matrix tbody tr")
    with page.expect_download() as download:
        page.locator("#csv").click()
    text = Path(download.value.path()).read_bytes().decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["model"] for row in rows] == [f"point_{k:04}" for k in range(5)]
    assert rows[0]["network.width"] == "32"
    assert (rows[0]["loss, validation"], rows[0]["mse, validation"], rows[0]["auc"]) == (
        "0.25",
        "1.75",
        "0.6",
    )
    assert rows[4]["loss, validation"] == ""


def test_two_losses_and_the_parameters_are_drawn(page, server):
    page.goto(server[0])
    page.wait_for_selector("#pareto-chart svg")
    pareto = page.locator("#pareto-chart")
    assert pareto.get_attribute("data-points") == "4"
    # Loss and mse add up to 2: nobody is beaten in both.
    assert pareto.get_attribute("data-front").split() == [
        "point_0000",
        "point_0001",
        "point_0003",
        "point_0002",
    ]
    page.locator("#pareto-y").select_option("refiner/train")
    assert pareto.get_attribute("data-front") == "point_0000"
    parallel = page.locator("#parallel-chart")
    assert parallel.get_attribute("data-lines") == "4"
    for name in ("network.width", "stages.0.primary", "mse"):
        assert parallel.get_by_text(name, exact=True).count() == 1


def test_a_saved_page_shows_the_same_without_a_server(page, server, tmp_path):
    address, process = server
    page.goto(address)
    with page.expect_download() as download:
        page.locator("#export").click()
    path = tmp_path / "saved.html"
    download.value.save_as(path)
    process.send_signal(signal.SIGINT)
    process.wait(60)
    page.goto(path.as_uri())
    page.wait_for_selector('figure[data-loss="loss"] svg')
    assert page.locator("#live").inner_text().startswith("as of ")
    assert not page.locator("#export").is_visible()
    assert (points(page), page.locator("#matrix tbody tr").count()) == (9, 5)


@pytest.mark.parametrize("width", [1300, 400])
def test_the_page_is_no_wider_than_the_window(page, server, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(server[0])
    page.wait_for_selector("#parallel-chart svg")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
