"""The comparison as a page of the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.realism.compare import LEAST, QUANTILES, SHARE, STATISTICAL, WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.realism.compare import Comparison

__all__ = ["page"]

_HEAD = """\
# Realism of the reference simulation

How near the detector `full` of the [reference simulation](../reference/README.md) comes to CMS's full
simulation: quantiles of reconstructed objects in {real} ({real_events} events) against those that `full`
makes of {events} events from Pythia 8. Where NanoAOD v9 has another branch than the file
(`btagDeepFlavCvL`, for instance), it is worked out from the file's. Made by `python -m benchmarks.realism`;
never edited by hand.

It is no simulation of CMS, and this table is no claim that it is: it says that distributions have the right
place, width, tails and point masses, so that what learns one faces the difficulty of the other.

A number passes if it differs from the real one by no more than {statistical:g} statistical errors of the
real sample, or by {width:.0%} of the real distribution's width (16 to 84 %); a share of objects by no more
than {statistical:g} errors, or {share:g}. Groups with fewer than {least} real objects are left out.
Quantities with point masses (an energy fraction of exactly 0) are compared by the share of objects there,
and by the quantiles of the others. Parameters were set by hand with other events of the same process.

**{passed} of {total} numbers pass ({rate:.1%}).**
"""

_KNOWN = """\
## Known differences

- `puIdDisc` and `btagDeepFlavQG` are not in the real file; their place is set by a v9 file of few jets.
- Jets without tracks have all taggers at -1 (CSVv2 at -10), as in the newer taggers of CMS; DeepJet of v9
  gives them a narrow distribution of its own. DeepJet is therefore not compared for unmatched and forward
  jets.
- CMS's energy fractions add up to 1, and its c-against-b scores follow from the other two; here each has a
  smearing of its own (about 1 % of a jet's energy is assigned to no kind of particle), so that no column is
  an exact function of others.
- Electrons that CMS matches to a gen photon count as unmatched. Unmatched electrons of `full` have lighter
  tails than real ones in energy uncertainty, R9 and impact parameters; electrons in jets have more around.
- Pythia 8 with its own parton distributions and no matching stands for POWHEG: flavours and pT inside the
  bins differ a little.
"""


def page(comparisons: Sequence[Comparison], real: str, real_events: int, events: int) -> str:
    """Markdown of the whole comparison."""
    passed = sum(comparison.passes for comparison in comparisons)
    head = _HEAD.format(
        real=real,
        real_events=real_events,
        events=events,
        statistical=STATISTICAL,
        width=WIDTH,
        share=SHARE,
        least=LEAST,
        passed=passed,
        total=len(comparisons),
        rate=passed / max(len(comparisons), 1),
    )
    return (
        "\n".join([head, *_summary(comparisons), "", _KNOWN, *_failing(comparisons), *_all(comparisons)])
        + "\n"
    )


def _names(comparisons: Sequence[Comparison]) -> list[str]:
    return list(dict.fromkeys(comparison.group for comparison in comparisons))


def _summary(comparisons: Sequence[Comparison]) -> Iterator[str]:
    yield "| group | real objects | numbers | pass |"
    yield "|---|---|---|---|"
    for group in _names(comparisons):
        own = [comparison for comparison in comparisons if comparison.group == group]
        objects = max(comparison.objects for comparison in own)
        yield f"| {group} | {objects} | {len(own)} | {sum(c.passes for c in own) / len(own):.0%} |"


def _failing(comparisons: Sequence[Comparison]) -> Iterator[str]:
    failing = [comparison for comparison in comparisons if not comparison.passes]
    if failing:
        yield "## What does not pass\n"
        yield "| group | quantity | statistic | real | reference | tolerance |"
        yield "|---|---|---|---|---|---|"
        for c in failing:
            yield (
                f"| {c.group} | `{c.quantity}` | {c.statistic} | {c.real:.4g} | {c.reference:.4g} "
                f"| {c.tolerance:.2g} |"
            )
        yield ""


def _all(comparisons: Sequence[Comparison]) -> Iterator[str]:
    yield "## All numbers\n"
    yield "Real, then reference; what does not pass is bold.\n"
    levels = [f"{level:.0%}".replace("%", " %") for level in QUANTILES]
    for group in _names(comparisons):
        yield f"### {group[0].upper()}{group[1:]}\n"
        yield f"| quantity | {' | '.join(levels)} | shares |"
        yield "|---" * (len(levels) + 2) + "|"
        own = [comparison for comparison in comparisons if comparison.group == group]
        for quantity in dict.fromkeys(comparison.quantity for comparison in own):
            of_quantity = {c.statistic: c for c in own if c.quantity == quantity}
            cells = [_cell(of_quantity.get(level)) for level in levels]
            shares = ", ".join(f"{s} {_cell(c)}" for s, c in of_quantity.items() if s not in levels)
            yield f"| `{quantity}` | {' | '.join(cells)} | {shares} |"
        yield ""


def _cell(comparison: Comparison | None) -> str:
    if comparison is None:
        return ""
    text = f"{comparison.real:.3g} / {comparison.reference:.3g}"
    return text if comparison.passes else f"**{text}**"
