"""Draw what imports what in flashsim/, and renew ARCHITECTURE.md: python docs/figures/architecture.py.

    python docs/figures/architecture.py            # the picture, and the table of parts
    python docs/figures/architecture.py --trace    # also the sequences of calls, by running the commands
    python docs/figures/architecture.py --check    # only say what is out of date, with exit status 1

The layers are those that tests/packaging/test_layering.py holds the imports to.
"""

from __future__ import annotations

import argparse
import ast
import random
import re
import runpy
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "ARCHITECTURE.md"
PICTURE = ROOT / "docs" / "figures" / "architecture.svg"
LAW = runpy.run_path(str(ROOT / "tests" / "packaging" / "test_layering.py"))
LAYERS: tuple[tuple[str, ...], ...] = LAW["LAYERS"]
STAGES = next(row for row in LAYERS if set(row) == LAW["STAGES"])

WIDTH, TOP, PITCH, BOX = 900, 18, 52, 30
SLOTS = (120, 285, 450, 615, 780)
INK, ARROW, CORE, STAGE, FRONT = "#1f2933", "#52606d", "#e8eef4", "#fdf1d8", "#ffffff"
FONT = "Helvetica, Arial, sans-serif"
Point = tuple[float, float]


def imports() -> dict[str, set[str]]:
    """Read which parts of the package each part imports, from the sources."""
    found: dict[str, set[str]] = {part: set() for row in LAYERS for part in row}
    for path in LAW["MODULES"]:
        part = path.relative_to(LAW["PACKAGE"]).parts[0].removesuffix(".py")
        if part in found:
            found[part] |= LAW["imported_parts"](ast.walk(LAW["tree"](path))) & (found.keys() - {part})
    return found


def needed(graph: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Leave out the imports that follow from others."""

    def below(part: str) -> set[str]:
        return graph[part].union(*(below(other) for other in graph[part]))

    return [
        (part, other)
        for part, others in graph.items()
        for other in sorted(others)
        if not any(other in below(third) for third in others - {other})
    ]


def said(graph: dict[str, set[str]]) -> str:
    """Put the imports in words, for those who do not see the picture, and to compare it with the sources."""
    return "; ".join(
        f"{part} imports {', '.join(sorted(others)) or 'nothing'}" for part, others in graph.items()
    )


@dataclass(frozen=True)
class Layout:
    """Where the parts stand, and the arrows between them."""

    centre: dict[str, float]
    arrows: list[tuple[str, str]]

    @staticmethod
    def height(part: str) -> float:
        """Give the upper edge of a part."""
        row = next(number for number, parts in enumerate(reversed(LAYERS)) if part in parts)
        return TOP + row * PITCH

    def width(self, part: str) -> float:
        """Give the width of a part's box: room for its name, or for many arrows."""
        if part in STAGES:
            return 94
        arrows = sum(part == source for source, _ in self.arrows)
        return max(96.0, 9.0 * len(part) + 22, 85.0 * arrows if arrows > 4 else 0.0)

    @cached_property
    def curves(self) -> list[tuple[Point, Point]]:
        """Start and end of each arrow, spread along the edge of a box in the order of their other ends."""
        ends: dict[tuple[str, bool], list[int]] = {}
        for number, pair in enumerate(self.arrows):
            for part, is_end in zip(pair, (False, True), strict=True):
                ends.setdefault((part, is_end), []).append(number)
        place: dict[tuple[int, bool], float] = {}
        for (part, is_end), numbers in ends.items():
            numbers.sort(key=lambda k: self.centre[self.arrows[k][0 if is_end else 1]])
            room = min(85.0 if len(numbers) > 4 else 18.0, (self.width(part) - 24) / max(1, len(numbers) - 1))
            for k, number in enumerate(numbers):
                place[number, is_end] = self.centre[part] + room * (k - (len(numbers) - 1) / 2)
        return [
            ((place[k, False], self.height(a) + BOX), (place[k, True], self.height(b)))
            for k, (a, b) in enumerate(self.arrows)
        ]

    def cost(self) -> float:
        """Say how hard the picture is to read: arrows behind boxes, crossings, long ways."""
        starts, ends = (np.array([curve[k] for curve in self.curves]) for k in (0, 1))
        across, down = np.abs(ends - starts).T
        x, y = (axis[:, :, None] for axis in _on_curves(starts, ends))
        parts = list(self.centre)
        half = np.array([self.width(part) / 2 + 7 for part in parts])
        top = np.array([self.height(part) for part in parts])
        behind = (
            (np.abs(x - np.array(list(self.centre.values()))) < half) & (y > top - 5) & (y < top + BOX + 5)
        )
        own, apart = _shared(tuple(self.arrows), tuple(parts))
        crossing = _crossing(starts, ends)
        return float(
            10 * np.sum(behind & ~own[:, None]) + np.sum(crossing & apart) / 2 + 0.12 * np.sum(across / down)
        )


@cache
def _shared(arrows: tuple[tuple[str, str], ...], parts: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Say which parts are an arrow's ends, and which arrows have no end in common."""
    own = np.array([[part in pair for part in parts] for pair in arrows])
    return own, own.astype(int) @ own.T.astype(int) == 0


def _on_curves(starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give points of arrows, which leave and arrive upright: shape (arrows, points) each."""
    t = np.arange(1, 32) / 32
    first, last = (1 - t) ** 2 * (1 + 2 * t), t**2 * (3 - 2 * t)
    x = starts[:, :1] * first + ends[:, :1] * last
    middle = 1.5 * t * (1 - t) ** 2 + 1.5 * t**2 * (1 - t) + t**3
    return x, starts[:, 1:] + (ends - starts)[:, 1:] * middle


def _crossing(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Say which straight lines cross which, shape (arrows, arrows)."""

    def side(point: np.ndarray) -> np.ndarray:
        along, to = (ends - starts)[:, None], point[None] - starts[:, None]
        return along[..., 0] * to[..., 1] > along[..., 1] * to[..., 0]

    parted = side(starts) != side(ends)
    return parted & parted.T


def arranged(arrows: list[tuple[str, str]], tries: int = 40) -> Layout:
    """Look for places of the parts in their layers that are easy to read."""
    draw = random.Random(1)  # a picture
    rest = [part for row in LAYERS if row != STAGES for part in row]
    best: tuple[float, Layout] | None = None
    for _ in range(tries):
        stages = draw.sample(STAGES, len(STAGES))
        slots = {part: draw.choice(SLOTS) for part in rest}
        found = _improved(stages, slots, arrows)
        if best is None or found[0] < best[0]:
            best = found
    assert best is not None
    return best[1]


def _layout(stages: list[str], slots: dict[str, int], arrows: list[tuple[str, str]]) -> Layout:
    room = WIDTH / len(stages)
    layout = Layout({p: room * (k + 0.5) for k, p in enumerate(stages)} | slots, arrows)
    for part, slot in slots.items():
        half = layout.width(part) / 2 + 4
        layout.centre[part] = min(max(slot, 54 + half), WIDTH - half)
    return layout


def _improved(
    stages: list[str], slots: dict[str, int], arrows: list[tuple[str, str]]
) -> tuple[float, Layout]:
    """Move one part or exchange two stages for as long as that helps."""
    layout = _layout(stages, slots, arrows)
    cost, before = layout.cost(), float("inf")
    while cost < before:
        before = cost
        moves: list[tuple[list[str], dict[str, int]]] = []
        for part in slots:
            others = {slots[p] for row in LAYERS if part in row for p in row if p != part}
            moves += [(stages, slots | {part: slot}) for slot in SLOTS if slot not in others]
        for i, k in combinations(range(len(stages)), 2):
            other = list(stages)
            other[i], other[k] = other[k], other[i]
            moves.append((other, slots))
        for move in moves:
            tried = _layout(*move, arrows)
            if (found := tried.cost()) < cost - 1e-9:
                cost, layout, (stages, slots) = found, tried, move
    return cost, layout


def drawn(graph: dict[str, set[str]]) -> str:
    """Draw the picture as SVG."""
    layout = arranged(needed(graph))
    stages_top = layout.height(STAGES[0])
    height = TOP + len(LAYERS) * PITCH + 26
    head = f'<path d="M0,0 L7,3 L0,6 z" fill="{ARROW}"/>'
    size = 'markerWidth="7" markerHeight="6" refX="6.5" refY="3"'
    marker = f'<marker id="head" {size} orient="auto">{head}</marker>'
    frame = f'x="2" y="{stages_top - 10}" width="{WIDTH - 4}" height="{BOX + 20}" rx="8"'
    font = f'font-size="13" fill="{INK}"'
    note = "An arrow: imports. A part may import what is drawn lower, nothing beside it or above."
    note += " Arrows that follow from others are left out."
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="{FONT}">',
        "<title>What imports what in flashsim/</title>",
        f"<desc>{escape(said(graph))}</desc>",
        f"<defs>{marker}</defs>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<rect {frame} fill="none" stroke="{INK}" stroke-dasharray="5 4"/>',
        *(_arrow(*curve) for curve in layout.curves),
        *(_box(part, x, layout) for part, x in layout.centre.items()),
        f'<text x="8" y="{stages_top - 16}" font-style="italic" {font}>stages</text>',
        f'<text x="8" y="{height - 10}" {font}>{note}</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _arrow(start: Point, end: Point) -> str:
    bend = (end[1] - start[1]) / 2
    (x, y), (u, v) = start, end
    return (
        f'<path d="M{x:.1f},{y:.1f} C{x:.1f},{y + bend:.1f} {u:.1f},{v - bend:.1f} {u:.1f},{v:.1f}" '
        f'fill="none" stroke="{ARROW}" stroke-width="1.2" marker-end="url(#head)"/>'
    )


def _box(part: str, centre: float, layout: Layout) -> str:
    top, width = layout.height(part), layout.width(part)
    front = LAYERS.index(STAGES) < next(k for k, row in enumerate(LAYERS) if part in row)
    colour = STAGE if part in STAGES else FRONT if front else CORE
    size = 12 if part in STAGES else 14
    return (
        f'<rect x="{centre - width / 2:.1f}" y="{top}" width="{width:.1f}" height="{BOX}" rx="5" '
        f'fill="{colour}" stroke="{INK}"/>'
        f'<text x="{centre:.1f}" y="{top + BOX / 2 + 4.5}" font-size="{size}" text-anchor="middle" '
        f'fill="{INK}">{part}</text>'
    )


def holds(part: str) -> str:
    """Take the first sentence of a part's description."""
    path = LAW["PACKAGE"] / part
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(LAW["tree"](path)) or ""
    return " ".join(text.split("\n\n")[0].split())


def parts_table(graph: dict[str, set[str]]) -> str:
    """List the parts from the command line down, and what each imports."""
    rows = ["| part | holds | imports |", "| --- | --- | --- |"]
    for row in reversed(LAYERS):
        for part in row:
            below = ", ".join(
                f"`{other}`" for other in (p for r in reversed(LAYERS) for p in r) if other in graph[part]
            )
            rows.append(f"| `{part}` | {holds(part)} | {below} |")
    return "\n".join(rows)


def law() -> str:
    """Write the layers as the test has them, from the ground up."""
    rows = [" ".join(row) for row in LAYERS]
    return "```text\n" + " <\n".join(rows) + "\n```"


def sequences() -> dict[str, str]:
    """Run the commands on little, and give what they call."""
    made = runpy.run_path(str(ROOT / "tests" / "conftest.py"))["write_made_nanoaod"]
    gen = str(ROOT / "examples" / "vbf_hmumu_gen.root")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made(folder / "full.root", 1500)
        piece = "Generator.piece=4"
        lists = ("--inside", "Generator.run", "--inside", piece, "--depth", "3")
        options = ("--chunk", "300", "--threads", "1")
        whole, file, chunk = _calls(folder, *lists, "generate", gen, "--output", "flash.root", *options)
        tables = ("--depth", "3", "preprocess", "muons", "full.root", "--output", "tables")
        (preprocess,) = _calls(folder, *tables)
        short = [
            f"--set={kind}.schedule.epochs=1"
            for kind in ("efficiency", "flow", "unmatched.count", "unmatched.flow")
        ]
        files = ("tables", "--recipe", "muons_small", "--output", "muons.safetensors")
        train, fit = _calls(folder, "--inside", "fit=4", "--depth", "3", "train", "muons", *files, *short)
    named = {
        "calls of generate": whole,
        "calls for a file": file,
        "calls for a chunk": chunk,
        "calls of preprocess": preprocess,
        "calls of train": train,
        "calls of a fit": fit,
    }
    return {name: f"```text\n{calls}\n```" for name, calls in named.items()}


def _calls(folder: Path, *arguments: str) -> list[str]:
    """Run docs/calls.py, and give the sequences that it prints."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "calls.py"), *arguments],
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout.strip().split("\n\n")


def renewed(page: str, blocks: dict[str, str]) -> str:
    """Replace what stands between the markers of some blocks."""
    for name, text in blocks.items():
        marked = re.compile(rf"(<!-- begin {name} -->).*?(<!-- end {name} -->)", flags=re.DOTALL)
        page = marked.sub(lambda found: f"{found[1]}\n\n{text}\n\n{found[2]}", page)  # noqa: B023
    return page


def unknown_names(page: str) -> Iterable[str]:
    """Give what the page names and the repository does not have."""
    named = re.findall(r"`((?:flashsim|docs|tests|generation)/[^`*]*)`", page)
    yield from (path for path in named if not (ROOT / path).exists())
    for path, functions in re.findall(r"^ *(\S+\.py) +(\S.*)$", page, flags=re.MULTILINE):
        source = LAW["PACKAGE"] / path
        defined = (
            {node.name for node in ast.walk(LAW["tree"](source)) if hasattr(node, "name")}
            if source.is_file()
            else set()
        )
        names = [name for name in functions.split(", ") if name != "..."]
        yield from (f"{path}: {name}" for name in names if name.rsplit(".", 1)[-1] not in defined)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--trace", action="store_true", help="run the commands and renew their sequences")
    action.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    graph, page = imports(), PAGE.read_text(encoding="utf-8")
    new = renewed(page, {"parts": parts_table(graph), "law": law()})
    if options.check:
        stale = []
        if f"<desc>{escape(said(graph))}</desc>" not in PICTURE.read_text(encoding="utf-8"):
            stale.append(
                f"{PICTURE.relative_to(ROOT)} is out of date: run python docs/figures/architecture.py"
            )
        if new != page:
            stale.append(f"{PAGE.name} is out of date: run python docs/figures/architecture.py")
        if gone := list(unknown_names(page)):
            stale.append(f"{PAGE.name} names {gone[0]}: run python docs/figures/architecture.py --trace")
        sys.exit("\n".join(stale) or 0)
    if options.trace:
        new = renewed(new, sequences())
    PAGE.write_text(new, encoding="utf-8")
    PICTURE.write_text(drawn(graph), encoding="utf-8")


if __name__ == "__main__":
    main()
