"""Compare reconstructed objects of the reference simulation with those of CMS's full simulation.

    python -m benchmarks.realism tt_2018_v5.root GEN_DIR --output docs/realism.md

GEN_DIR holds ``gen.root`` and ``hidden.root`` of the same process (``flashsim reference``). Writes the page,
and the numbers as JSON if asked to.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.realism.compare import compare
from benchmarks.realism.page import page
from benchmarks.realism.samples import real_sample, reference_sample


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.realism", description=__doc__)
    parser.add_argument("real", type=Path, help="NanoAOD of CMS's full simulation")
    parser.add_argument("folder", type=Path, help="folder with gen.root and hidden.root")
    parser.add_argument("--output", type=Path, required=True, help="page to write")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--detector", default="full", help="detector, by name or path")
    parser.add_argument("--events", type=int, default=8000, help="gen-level events to use")
    parser.add_argument("--seed", type=int, default=1, help="seed of the detector")
    options = parser.parse_args()
    real = real_sample(options.real)
    reference = reference_sample(options.folder, options.detector, options.events, options.seed)
    comparisons = compare(real, reference)
    text = page(comparisons, f"`{options.real.name}`", real.events, reference.events)
    options.output.write_text(f"{text.rstrip()}\n", encoding="utf-8")
    if options.json:
        numbers = [asdict(comparison) | {"passes": comparison.passes} for comparison in comparisons]
        options.json.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    passed = sum(comparison.passes for comparison in comparisons)
    print(f"{passed} of {len(comparisons)} numbers pass")


if __name__ == "__main__":
    main()
