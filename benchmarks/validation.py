"""Speed of validation reports.

    python -m benchmarks.validation REFERENCE CANDIDATE [--third FAST]

makes a report of NanoAOD files in a folder that is thrown away, and prints a JSON object: events and objects
of the files, seconds in all with the imports, and the largest memory in GB.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import processor

__all__ = ["main", "measured"]


def main() -> None:
    """Parse the command line, measure, print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reference", help="NanoAOD that is taken for the truth")
    parser.add_argument("candidate", help="NanoAOD that is judged")
    parser.add_argument("--third", help="NanoAOD that is shown beside the candidate")
    given = parser.parse_args()
    print(json.dumps(measured(given.reference, given.candidate, given.third), indent=2))


def measured(reference: str, candidate: str, third: str | None) -> dict[str, Any]:
    """Measure one report of all shipped objects that the files have.

    Parameters
    ----------
    reference, candidate, third
        Paths of NanoAOD files.
    """
    started = time.monotonic()
    from flashsim.analysis.validation import validate  # noqa: PLC0415  # imports count, too
    from flashsim.analysis.validation.samples import shared_objects  # noqa: PLC0415
    from flashsim.interface.inspection import shipped_objects  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "report.html"
        files = [path for path in (reference, candidate, third) if path is not None]
        declarations = shared_objects(shipped_objects("object"), files)
        report = validate(reference, candidate, declarations, output, third=third)
        size = output.stat().st_size
    return {
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "events": report.objects[0].events,
        "objects": {part.name: part.objects for part in report.objects},
        "seconds": round(time.monotonic() - started, 1),
        "memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "page_mb": round(size / 1e6, 1),
    }


if __name__ == "__main__":
    main()
