"""Everything that is measured of one object."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.fidelity.counting import binned_efficiency, closure
from benchmarks.fidelity.violations import violations
from flashsim.analysis.statistics.classifier import two_sample_test
from flashsim.analysis.statistics.correlations import difference, spearman
from flashsim.analysis.statistics.distances import Drawn, distances, floor, mean_distance, summary
from flashsim.analysis.statistics.residuals import column_groups, columns_for_trees
from flashsim.analysis.statistics.response import responses, slices
from flashsim.analysis.statistics.tagging import Scores, efficiency_at, roc, roc_area

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from benchmarks.fidelity.observables import Observables
    from benchmarks.fidelity.samples import Columns, Sample
    from flashsim.analysis.statistics.distances import Floor
    from flashsim.analysis.validation.recipe import Tagging
    from flashsim.declarations.objects import Target
    from flashsim.models.object_model import ObjectModel

__all__ = ["REFERENCE", "SECOND", "Judge", "generalisation_gap"]

REFERENCE, SECOND = "full", "full_1"
_HISTOGRAM_BINS = 40
_ROC_POINTS = np.logspace(-3.5, 0.0, 60)


@dataclass(frozen=True)
class Judge:
    """Compares samples of the same gen objects.

    Parameters
    ----------
    model
        The model that made the sample ``flash``.
    samples
        By variant; ``full`` is the truth, ``full_1`` a second draw of it.
    observables
        Bins and tagging.
    repeats
        Further draws of ``flash``, over which its distances are averaged.
    """

    model: ObjectModel
    samples: Mapping[str, Sample]
    observables: Observables
    repeats: Sequence[Sample] = ()

    @property
    def full(self) -> Sample:
        """The reference."""
        return self.samples[REFERENCE]

    @property
    def others(self) -> dict[str, Sample]:
        """All but the reference."""
        return {name: sample for name, sample in self.samples.items() if name != REFERENCE}

    def targets(self) -> list[Target]:
        """Targets that all samples have."""
        return [
            target
            for target in self.model.declaration.targets
            if all(target.branch in sample.targets for sample in self.samples.values())
        ]

    def floors(self) -> dict[str, Floor]:
        """Distances of two draws of the reference by target."""
        one, two = self._residuals(self.full), self._residuals(self.samples[SECOND])
        return {
            t.branch: floor(one[t.branch], two[t.branch], self.full.units, discrete=t.is_discrete)
            for t in self.targets()
        }

    def agreement(self, *, importance: bool = True) -> dict[str, Any]:
        """Distances of every target, and the classifier's answer."""
        return {
            "events": self.full.events,
            "gen_objects": len(self.full),
            "reconstructed": {name: int(s.reconstructed.sum()) for name, s in self.samples.items()},
            "distances": (table := self.distances()),
            "distance_summary": summary([row["flash"] for row in table]),
            "classifier": self.classifier(importance=importance),
            "classifier_of_surroundings": self.classifier(importance=importance, surroundings=True),
        }

    def everything(self) -> dict[str, Any]:
        """All comparisons."""
        found = self.agreement()
        found |= {"response": self.response(), "efficiency": self.efficiency(), "counts": self.counts()}
        found |= {"correlations": self.correlations(), "histograms": self.histograms()}
        if (tagging := self.observables.of(self.model.declaration.name).tagging) is not None:
            found["tagging"] = self.tagging(tagging)
        return found

    def distances(self) -> list[dict[str, Any]]:
        """Wasserstein distances of every target, with their ratios to the floor.

        That of ``flash`` is the mean over its draws and both draws of the truth.
        """
        residuals = {name: self._residuals(sample) for name, sample in self.samples.items()}
        repeats = [self._residuals(sample) for sample in self.repeats]
        rows = []
        for target in self.targets():
            others = {name: residuals[name][target.branch] for name in self.others}
            drawn = residuals[REFERENCE][target.branch]
            units, discrete = self.full.units, target.is_discrete
            least = floor(drawn, others[SECOND], units, discrete=discrete)
            row: dict[str, Any] = {
                "target": target.branch,
                "relation": target.relation,
                "floor": asdict(least),
            }
            found_by_name = distances(drawn, others, units, discrete=discrete)
            draws = [others["flash"], *(repeat[target.branch] for repeat in repeats)]
            truths = [drawn, others[SECOND]]
            found_by_name["flash"] = mean_distance(truths, draws, units, discrete=discrete)
            for name, found in found_by_name.items():
                scale = max(least.value, 1e-9)
                ratios = {"ratio": found.value / scale, "ratio_error": found.error / scale}
                row[name] = asdict(found) | ratios
            rows.append(row)
        return rows

    def classifier(self, *, importance: bool, surroundings: bool = False) -> dict[str, Any]:
        """AUC of every sample against the reference; what gives the generated one away.

        With `surroundings` the classifier knows what surrounds the gen objects, too.
        """
        targets = self.targets()
        truth = self._for_trees(self.full, surroundings=surroundings)
        found = {}
        for name, sample in self.others.items():
            groups = column_groups(targets) if importance and name == "flash" else None
            other = self._for_trees(sample, surroundings=surroundings)
            test = two_sample_test(truth, other, self.full.matched_unit, sample.matched_unit, groups=groups)
            found[name] = asdict(test)
        return found

    def response(self) -> list[dict[str, Any]]:
        """PT response in slices of the gen objects."""
        gen = {name: self._slicing(sample) for name, sample in self.samples.items()}
        categories = [name for name in self.full.conditioning if _is_category(self.full.conditioning[name])]
        values = {
            name: (s.matched("targets")["pt"] / np.maximum(s.matched("gen")["pt"], 1e-6), gen[name])
            for name, s in self.samples.items()
        }
        edges = {"pt": self.observables.pt_edges, "|eta|": self.observables.eta_edges}
        return responses(values, slices(edges, categories), REFERENCE)

    def efficiency(self) -> dict[str, Any]:
        """Reconstruction efficiency by gen pT and magnitude of gen eta."""
        found = {name: sample.reconstructed for name, sample in self.samples.items()}
        quantities = {
            "pt": (self.full.gen["pt"], self.observables.pt_edges),
            "|eta|": (np.abs(self.full.gen["eta"]), self.observables.eta_edges),
        }
        return {n: binned_efficiency(v, edges, found, REFERENCE) for n, (v, edges) in quantities.items()}

    def counts(self) -> dict[str, Any]:
        """Objects and unmatched objects per event."""
        numbers = {name: _per_event(s, self.observables.count_thresholds) for name, s in self.samples.items()}
        return {
            what: {name: asdict(closure(counts, numbers[name][what])) for name in self.others}
            for what, counts in numbers[REFERENCE].items()
        }

    def correlations(self) -> dict[str, Any]:
        """Rank correlations of all pairs of targets."""
        names = [target.branch for target in self.targets()]
        matrices = {name: spearman(s.residuals(self.targets())) for name, s in self.samples.items()}
        full = matrices[REFERENCE]
        compared = {name: difference(full, matrices[name]) for name in self.others}
        shift = (matrices["flash"] - full).round(4).tolist()
        return {"targets": names, "differences": compared, "matrix": full.round(4).tolist(), "shift": shift}

    def tagging(self, tagging: Tagging) -> dict[str, Any]:
        """ROC curves and signal efficiencies at fixed mistag rates."""
        score = next((s for s in tagging.scores if s in self.full.targets), None)
        if score is None:
            return {}
        found: dict[str, Any] = {
            "score": score,
            "mistags": tagging.mistags,
            "curve_mistags": _ROC_POINTS.tolist(),
        }
        for background in tagging.backgrounds:
            rows = {}
            for name, sample in self.samples.items():
                scores = _scores(sample, tagging, score, background)
                if min(len(scores.signal), len(scores.background)) < 50:
                    continue
                at, error = efficiency_at(scores, np.array(tagging.mistags), sample.units)
                rows[name] = {
                    "area": roc_area(scores),
                    "signal": len(scores.signal),
                    "background": len(scores.background),
                    "efficiency": at.tolist(),
                    "error": error.tolist(),
                    "curve": roc(scores, _ROC_POINTS).round(5).tolist(),
                }
            found[background] = rows
        return found

    def histograms(self) -> list[dict[str, Any]]:
        """Shares of every target in bins between the reference's 0.2 % and 99.8 % quantiles."""
        residuals = {name: self._residuals(sample) for name, sample in self.samples.items()}
        found = []
        for target in self.targets():
            truth = residuals[REFERENCE][target.branch].values
            low, high = np.quantile(truth, [0.002, 0.998])
            margin = 0.02 * (high - low) if high > low else 0.5
            edges = np.linspace(low - margin, high + margin, _HISTOGRAM_BINS + 1)
            row: dict[str, Any] = {"target": target.branch, "edges": edges.tolist()}
            for name in self.samples:
                values = residuals[name][target.branch].values
                row[name] = (np.histogram(values, edges)[0] / max(len(values), 1)).round(6).tolist()
            found.append(row)
        return found

    def violations(self, generated: Columns) -> dict[str, Any]:
        """Values of generated objects that no branch can have."""
        by_target = violations(self.targets(), generated)
        totals = {
            kind: sum(row.get(kind, 0) for row in by_target.values())
            for kind in ("checked", "not_allowed", "not_integer")
        }
        return totals | {
            "by_target": {n: row for n, row in by_target.items() if sum(row.values()) > row["checked"]}
        }

    def _residuals(self, sample: Sample) -> dict[str, Drawn]:
        unit = sample.matched_unit
        return {n: Drawn(values, unit) for n, values in sample.residuals(self.targets()).items()}

    def _for_trees(self, sample: Sample, *, surroundings: bool) -> Columns:
        conditioning, gen = sample.matched("conditioning"), sample.matched("gen")
        if surroundings:
            conditioning |= sample.matched("surroundings")
        return columns_for_trees(self.targets(), conditioning, gen, sample.matched("targets"))

    def _slicing(self, sample: Sample) -> Columns:
        gen = sample.matched("gen")
        return sample.matched("conditioning") | {"pt": gen["pt"], "|eta|": np.abs(gen["eta"])}


def generalisation_gap(model: ObjectModel) -> float | None:
    """Subtract train from validation loss of the flow, in nats, as the model's header has them."""
    losses = model.provenance.get("losses", {}).get("flow")
    return None if losses is None else float(losses["validation"] - losses["train"])


def _is_category(column: NDArray[np.float64]) -> bool:
    """Whether a column is a flag that some objects have and some have not."""
    return bool(np.isin(column, (0.0, 1.0)).all() and column.min() < column.max())


def _per_event(sample: Sample, thresholds: list[float]) -> dict[str, NDArray[np.int64]]:
    pt = np.concatenate((sample.matched("targets")["pt"], sample.unmatched["pt"]))
    event = np.concatenate((sample.matched_event, sample.unmatched_event))
    found = {
        f"objects with pT > {low:g} GeV" if low else "objects": np.bincount(
            event[pt > low], minlength=sample.events
        )
        for low in thresholds
    }
    return found | {"unmatched objects": np.bincount(sample.unmatched_event, minlength=sample.events)}


def _scores(sample: Sample, tagging: Tagging, score: str, background: str) -> Scores:
    targets, truth = sample.matched("targets"), sample.matched("conditioning")
    taken = (targets["pt"] > tagging.min_pt) & (np.abs(targets["eta"]) < tagging.max_eta)
    which = tagging.backgrounds[background]
    none_of, one_of = (which, []) if isinstance(which, list) else ([], [which])
    is_background = taken & np.all(
        [np.ones(len(taken), bool), *(truth[n] == 0 for n in none_of), *(truth[n] == 1 for n in one_of)],
        axis=0,
    )
    is_signal = taken & (truth[tagging.signal] == 1)
    unit = sample.matched_unit
    values = targets[score]
    return Scores(values[is_signal], values[is_background], unit[is_signal], unit[is_background])
