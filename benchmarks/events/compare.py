"""Compare whole events of simulations of the same gen events."""

from __future__ import annotations

from dataclasses import asdict
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import chi2

from benchmarks.events.efficiency import FEWEST, efficiency_in_bins, predicted, reliability
from benchmarks.events.lost import lost_objects
from benchmarks.events.samples import EventSample
from benchmarks.events.together import OURS, goals_of_together, measure_together
from benchmarks.fidelity.counting import chi_square
from benchmarks.fidelity.goals import WORST_RATIO
from benchmarks.fidelity.judge import REFERENCE, SECOND
from benchmarks.fidelity.observables import load_observables
from benchmarks.fidelity.samples import FLASH, Sample, Workplace, check_same, joined
from benchmarks.verdicts import Goal, judged
from flashsim.analysis.statistics.classifier import two_sample_test
from flashsim.analysis.statistics.distances import Drawn, distances, floor
from flashsim.analysis.whole_events.judged import read_judged_events
from flashsim.analysis.whole_events.reading import WholeEvents
from flashsim.models.shipped import with_what_they_need

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from flashsim.declarations.objects import ObjectDeclaration
    from flashsim.models.object_model import ObjectModel

__all__ = ["OURS", "goals", "mean_spectrum", "measure", "spectrum"]

CLOSE = 0.01
MOST_CHI2 = 1.5
MOST_AUC = 0.53
_BINS = 30


def spectrum(
    first: tuple[NDArray[np.int64], NDArray[np.float64]],
    second: tuple[NDArray[np.int64], NDArray[np.float64]],
    unit: NDArray[np.int64],
) -> dict[str, Any]:
    """Compare histograms of things of which an event can have several, in two simulations of the same events.

    Bins hold equal numbers of the first sample's values; values that many share have bins of their own.

    Parameters
    ----------
    first, second
        Rows of the events and values, shape (N,) each.
    unit
        For each event, the number of what is independent of all else, from 0, shape (E,).
    """
    edges = np.unique(np.quantile(first[1], np.linspace(0.0, 1.0, _BINS + 1)[1:-1], method="nearest"))
    counted = [(unit[event], np.searchsorted(edges, values)) for event, values in (first, second)]
    statistic, rank = chi_square(*counted, shape=(int(unit.max()) + 1, len(edges) + 1))
    return {
        "first": len(first[1]),
        "second": len(second[1]),
        "chi2": statistic,
        "ndf": rank,
        "p_value": float(chi2.sf(statistic, rank)) if rank else 1.0,
    }


def mean_spectrum(
    pairs: Sequence[tuple[EventSample, EventSample]], what: str, unit: NDArray[np.int64]
) -> dict[str, Any]:
    """Mean of `spectrum` over pairs of simulations of the same events.

    Its expectation is that of one pair, and it scatters less: the chi-square of one pair of draws of the same
    simulation is above 1.3 a degree of freedom in one of eight spectra of thirty bins.
    """
    rows = [spectrum(one.spectra[what], other.spectra[what], unit) for one, other in pairs]
    return {
        "pairs": len(rows),
        "bins": rows[0]["ndf"],
        "chi2_ndf": float(np.mean([row["chi2"] / max(row["ndf"], 1) for row in rows])),
    }


def measure(
    processes: Sequence[Path], models: Sequence[ObjectModel], work: Path, *, most: int = 20_000
) -> dict[str, Any]:
    """Measure everything.

    Parameters
    ----------
    processes
        Folders of held-out processes.
    models
        One a collection.
    work
        Folder of tables and generated files, which a second run finds again.
    most
        Most objects of a sample that a classifier of objects is given.

    Raises
    ------
    FlashSimError
        If a file is missing, or the files of a process have not the same events.
    """
    workplace, names = Workplace(work, models), _draws(processes)
    found: dict[str, Any] = {"draws": {REFERENCE: len(names), OURS: len(FLASH)}, "objects": {}}
    for model in (model for model in models if model.declaration.per == "object"):
        sample, draws = _reconstructed(workplace, processes, names, model.declaration)
        found["objects"][model.declaration.name] = {
            "efficiency": efficiency_in_bins(model, sample, draws, load_observables()),
            "reliability": reliability(predicted(model, sample), draws),
        }

    def read(paths: Sequence[Path]) -> EventSample:
        return EventSample.joined([EventSample.read(path, models) for path in paths])

    full = [read([process / f"{name}.root" for process in processes]) for name in names]
    ours = [read([workplace.flash(process, k) for process in processes]) for k in range(len(FLASH))]
    declarations = [model.declaration for model in models]

    def read_whole(paths: Sequence[Path]) -> WholeEvents:
        return WholeEvents.joined([read_judged_events(path, declarations) for path in paths])

    samples = {n: read_whole([process / f"{n}.root" for process in processes]) for n in (REFERENCE, SECOND)}
    samples[OURS] = read_whole([workplace.flash(process) for process in processes])
    found |= _of_events(full, ours)
    found["lost"] = lost_objects(with_what_they_need(models), [process / "gen.root" for process in processes])
    return found | measure_together(samples, full[0].unit, declarations, most=most)


def _draws(processes: Sequence[Path]) -> list[str]:
    """Names of the reference's draws that all processes have, two at least."""
    names = [REFERENCE, SECOND]
    while all((process / f"{REFERENCE}_{len(names)}.root").is_file() for process in processes):
        names.append(f"{REFERENCE}_{len(names)}")
    return names


def _reconstructed(
    workplace: Workplace, processes: Sequence[Path], names: Sequence[str], declaration: ObjectDeclaration
) -> tuple[Sample, NDArray[np.bool_]]:
    """Give the reference's sample of N gen objects, and whether each draw has them, shape (draws, N)."""
    first: list[Sample] = []
    found: list[list[NDArray[np.bool_]]] = []
    for process in processes:
        samples = [Sample.read(workplace.tables(process, name, declaration)) for name in names]
        for name, sample in zip(names, samples, strict=True):
            check_same(process, name, samples[0], sample)
        first.append(samples[0])
        found.append([sample.reconstructed for sample in samples])
    return joined(first), np.concatenate(found, axis=1)


def _of_events(full: Sequence[EventSample], ours: Sequence[EventSample]) -> dict[str, Any]:
    """Compare whole events of ours, and of further draws of the reference, with those of the reference."""
    unit = full[0].unit
    found: dict[str, Any] = {"events": full[0].events, "independent": int(unit.max()) + 1}
    pairs = {OURS: list(product(full, ours)), SECOND: list(combinations(full, 2))}
    known = [what for what in full[0].spectra if all(what in sample.spectra for sample in ours)]
    found["spectra"] = {
        name: {what: mean_spectrum(some, what, unit) for what in known} for name, some in pairs.items()
    }
    read = {REFERENCE: full[0], SECOND: full[1], OURS: ours[0]}
    shared = [column for column in full[0].columns if all(column in s.columns for s in read.values())]
    found["classifier"] = {}
    for name in (OURS, SECOND):
        one, two = ({column: s.columns[column] for column in shared} for s in (full[0], read[name]))
        groups = {column: [column] for column in shared} if name == OURS else None
        found["classifier"][name] = asdict(two_sample_test(one, two, unit, unit, groups=groups))
    return found | {"branches": _branches(read)}


def _branches(read: Mapping[str, EventSample]) -> list[dict[str, Any]]:
    """Wasserstein distances of branches with one value an event, with their ratios to the floor."""
    full, unit = read[REFERENCE], read[REFERENCE].unit
    units = int(unit.max()) + 1
    rows = []
    for branch, values in full.branches.items():
        if not all(branch in sample.branches for sample in read.values()):
            continue
        drawn = {n: Drawn(s.branches[branch].astype(np.float64), unit) for n, s in read.items()}
        reference, discrete = drawn.pop(REFERENCE), values.dtype.kind in "iu"
        least = floor(reference, drawn[SECOND], units, discrete=discrete)
        row: dict[str, Any] = {"branch": branch, "floor": asdict(least)}
        for name, found in distances(reference, drawn, units, discrete=discrete).items():
            scale = max(least.value, 1e-9)
            row[name] = asdict(found) | {"ratio": found.value / scale, "ratio_error": found.error / scale}
        rows.append(row)
    return rows


def goals(found: dict[str, Any]) -> list[Goal]:
    """Tell what whole events shall reach, and whether they do."""
    lines = []
    for name, measured in found["objects"].items():
        bins = measured["efficiency"]
        goal = f"{name}: efficiency within 1 % in bins of more than {FEWEST}"
        if not bins:
            lines.append(judged(goal, "no bin has as many", None))
            continue
        off = [abs(row["predicted"] - row["observed"]) for row in bins]
        above = [row for row, size in zip(bins, off, strict=True) if size > CLOSE]
        # A bin of a thousand objects is uncertain by up to 1 % itself.
        beyond = [r for r in above if abs(r["predicted"] - r["observed"]) - 2.0 * r["error"] > CLOSE]
        drawn = sum(abs(row["draws"][0] - row["draws"][1]) > CLOSE for row in bins)
        text = (
            f"worst {max(off):.2%}; of {len(bins)} bins {len(above)} above, {len(beyond)} by "
            f"more than two errors ({len(bins[0]['draws'])} draws of the reference together; between two of "
            f"them {drawn} above)"
        )
        lines.append(judged(goal, text, not beyond))
    for what, ours in found["spectra"][OURS].items():
        second = found["spectra"][SECOND][what]
        text = (
            f"{ours['chi2_ndf']:.2f} ({ours['bins']} bins, mean of {ours['pairs']} pairs of draws; of the "
            f"reference's own {second['pairs']}: {second['chi2_ndf']:.2f})"
        )
        lines.append(judged(f"{what}: chi2/ndf below {MOST_CHI2}", text, ours["chi2_ndf"] < MOST_CHI2))
    if rows := found["branches"]:
        worst = max(rows, key=lambda row: float(row[OURS]["ratio"]))
        beyond = [r for r in rows if r[OURS]["ratio"] - r[OURS]["ratio_error"] > WORST_RATIO]
        text = (
            f"worst {worst[OURS]['ratio']:.1f} ± {worst[OURS]['ratio_error']:.1f} ({worst['branch']}; second "
            f"draw: {max(row[SECOND]['ratio'] for row in rows):.1f}); {len(beyond)} of {len(rows)} above"
        )
        goal = f"event branches: every W1 at most {WORST_RATIO:g} times the floor within its error"
        lines.append(judged(goal, text, not beyond))
    ours, second = (found["classifier"][name] for name in (OURS, SECOND))
    text = f"{ours['auc']:.3f} ± {ours['error']:.3f} (second draw: {second['auc']:.3f})"
    goal = f"numbers and spectra of events: AUC at most {MOST_AUC}"
    lines.append(judged(goal, text, ours["auc"] <= MOST_AUC))
    return [*lines, *goals_of_together(found)]
