"""FlashSim as the first step of a coffea job: gen-level files in, the dimuon mass of simulated events out.

    python examples/flashsim_in_coffea.py examples/vbf_hmumu_gen.root --workers 2

Nothing is written in between: each chunk of gen-level events is simulated where it is analysed.
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import hist
from coffea import processor
from coffea.nanoevents import NanoAODSchema

import flashsim

if TYPE_CHECKING:
    from collections.abc import Iterator


class GenSchema(NanoAODSchema):
    """NanoAOD without the collections that its schema looks for."""

    warn_missing_crossrefs = False


class DimuonMass(processor.ProcessorABC):
    """Histogram of the mass of events with two muons of opposite charge.

    Parameters
    ----------
    simulator
        Simulates each chunk. It travels to workers by its settings, and loads its models once in each.
    """

    def __init__(self, simulator: flashsim.Simulator) -> None:
        self.simulator = simulator

    def process(self, events: Any) -> dict[str, Any]:
        """Simulate a chunk of gen-level events, select, and fill."""
        events = self.simulator(events)
        muons = events.Muon[(events.Muon.pt > 20) & (abs(events.Muon.eta) < 2.4) & events.Muon.mediumId]
        chosen = (ak.num(muons) == 2) & (ak.sum(muons.charge, axis=1) == 0)
        pairs = muons[chosen]
        mass = hist.Hist.new.Reg(8, 105, 145, name="mass", label="dimuon mass (GeV)").Weight()
        mass.fill((pairs[:, 0] + pairs[:, 1]).mass, weight=events.genWeight[chosen])
        # Cross references work, as they do in the events of a file.
        found = ak.num(ak.drop_none(pairs.matched_gen))
        counts = {"events": len(events), "muons": int(ak.sum(ak.num(pairs))), "matched": int(ak.sum(found))}
        return {events.metadata["dataset"]: {"mass": mass, **counts}}

    def postprocess(self, accumulator: dict[str, Any]) -> dict[str, Any]:
        """Leave the sums as they are."""
        return accumulator


@contextlib.contextmanager
def executor_of(workers: int, dask: str | None) -> Iterator[Any]:
    """Run chunks in this process, in several of this machine, or on the Dask cluster of a scheduler."""
    if dask is not None:
        from distributed import Client  # noqa: PLC0415  # optional

        with Client(dask) as client:
            yield processor.DaskExecutor(client=client, status=False)
    elif workers > 1:
        yield processor.FuturesExecutor(workers=workers, status=False)
    else:
        yield processor.IterativeExecutor(status=False)


def main() -> None:
    """Run the job, and print what it found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", help="gen-level NanoAOD")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--dask", metavar="ADDRESS", help="run on the Dask cluster of this scheduler")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same events")
    options = parser.parse_args()
    fileset = {
        Path(name).stem: {"files": {str(Path(name).resolve()): "Events"}, "metadata": {}}
        for name in options.files
    }
    # One thread a process: there are as many processes as cores.
    job = DimuonMass(flashsim.Simulator(seed=options.seed, threads=1))
    with executor_of(options.workers, options.dask) as executor:
        run = processor.Runner(
            executor=executor,
            pre_executor=processor.IterativeExecutor(status=False),
            schema=GenSchema,
            chunksize=250,
        )
        found = run(fileset, job)
    for name, sums in found.items():
        print(
            f"{name}: {sums['events']} events, {sums['matched']} of {sums['muons']} muons with a gen particle"
        )
        edges, values = sums["mass"].axes[0].edges, sums["mass"].values()
        for low, high, value in zip(edges[:-1], edges[1:], values, strict=True):
            print(f"  {low:.0f} to {high:.0f} GeV: {value:.6g}")


if __name__ == "__main__":
    main()
