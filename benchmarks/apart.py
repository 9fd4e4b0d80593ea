"""What tells two NanoAOD files apart: classifiers of objects, of their neighbourhoods, of whole events.

    python -m benchmarks.apart full.root flash.root --collections Jet Muon --most 5000

prints, for each classifier, its area under the ROC curve and the columns that it goes by. A quick look while
models are made; `benchmarks.events` judges them.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.events.together import WHOLE, giveaway
from benchmarks.markdown import table
from flashsim.analysis.whole_events.judged import comparable, event_numbers, read_judged_events
from flashsim.analysis.whole_events.verdict import tell_apart_events, tell_apart_objects
from flashsim.interface.inspection import shipped_objects

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.apart",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("reference", type=Path, help="NanoAOD that is taken for the truth")
    parser.add_argument("candidate", type=Path, help="NanoAOD of the same gen events, or of the same process")
    parser.add_argument("--collections", nargs="*", help="whose objects are judged; all by default")
    parser.add_argument("--events", type=int, help="events of each file; all by default")
    parser.add_argument("--most", type=int, default=5000, help="objects of a file for a classifier")
    given = parser.parse_args(arguments)
    declarations = shipped_objects()
    files = {"reference": given.reference, "candidate": given.candidate}
    whole = [read_judged_events(path, declarations, stop=given.events) for path in files.values()]
    fields, (one, other) = comparable(declarations, whole)
    first, second = event_numbers({"reference": one, "candidate": other}).values()
    told = tell_apart_objects(
        one,
        other,
        (first, second),
        fields,
        most=given.most,
        importance=True,
        collections=given.collections,
    )
    if given.collections is None:
        told[WHOLE] = tell_apart_events(one, other, (first, second), fields, importance=True)
    rows = (giveaway(what, asdict(test)) for what, test in told.items())
    print("\n".join(table(("classifier", "AUC", "goes by"), rows)))


if __name__ == "__main__":
    main()
