"""What refinement is to reach, and whether it does."""

from __future__ import annotations

from typing import Any

from benchmarks.verdicts import Goal, judged

__all__ = ["goals"]

FACTOR = {"jets": 5.0, "muons": 3.0}
"""By which distances to the full simulation are to fall."""
CORRELATION, AUC, SUM = 0.02, 0.55, 0.002


def goals(name: str, measured: dict[str, Any]) -> list[Goal]:
    """Goals of one object, with what `benchmarks.refinement.judge` measured."""
    found = [
        _factor(name, rows, "overall" if group == "all" else f"{measured['labels'].get(group, group)}")
        for group, rows in _by_group(measured["distances"]).items()
    ]
    gap = measured["correlations"]["pearson"]
    found.append(
        judged(
            f"correlation coefficients within {CORRELATION:g} of full",
            f"{gap['refined']['largest']:.4f} (fast {gap['fast']['largest']:.4f})",
            passed=gap["refined"]["largest"] < CORRELATION,
        )
    )
    tests = measured["classifier"]
    refined, fast = (f"{tests[s]['auc']:.4f} ± {tests[s]['error']:.4f}" for s in ("refined", "fast"))
    found.append(
        judged(
            f"a classifier's AUC against full is at most {AUC:g}",
            f"{refined} (fast {fast})",
            passed=tests["refined"]["auc"] <= AUC,
        )
    )
    if sums := measured["sums"]:
        off = sums["refined"]["mean"] - sums["full"]["mean"]
        found.append(
            judged(
                f"the mean sum of probabilities within {SUM:g} of that of full",
                f"{off:+.4f} (full {sums['full']['mean']:.4f}, fast {sums['fast']['mean']:.4f})",
                passed=abs(off) <= SUM,
            )
        )
    return found


def _by_group(distances: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {
        group: [row for row in distances if row["group"] == group]
        for group in dict.fromkeys(row["group"] for row in distances)
    }


def _factor(name: str, rows: list[dict[str, Any]], label: str) -> Goal:
    wanted = FACTOR[name]
    low = [row for row in rows if row["factor"] < wanted]
    worst = min(rows, key=lambda row: float(row["factor"]))
    reached = f"{len(rows) - len(low)} of {len(rows)} variables"
    found = f"{reached}; least {worst['factor']:.1f} ({worst['variable']})"
    # What two draws of the full simulation differ by is no fault of the refinement.
    if beyond := [row["variable"] for row in low if row["fast"] < wanted * row["floor"]]:
        found += f"; beyond what this many objects can show: {', '.join(beyond)}"
    return judged(f"distances to full fall by {wanted:g} or more, {label}", found, passed=not low)
