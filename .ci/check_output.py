"""Check what `flashsim generate` made of an input: python .ci/check_output.py INPUT OUTPUT."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import awkward as ak
import numpy as np
import uproot
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

EVENT = ["run", "luminosityBlock", "event"]


def faults(source: Any, result: Any) -> list[str]:
    """Say what is wrong with a generated file, in a line each."""
    found = []
    before, after = source["Events"].arrays(EVENT), result["Events"].arrays(EVENT)
    if before.tolist() != after.tolist():
        found.append("the events are not those of the input, in their order")
    if result.classname_of("Events") != "TTree":
        found.append(f"Events is a {result.classname_of('Events')}, not a TTree")
    for collection in ("Jet", "Muon"):
        pt = result["Events"][f"{collection}_pt"].array()
        if ak.sum(ak.num(pt)) < len(pt):
            found.append(f"{collection}: {ak.sum(ak.num(pt))} in {len(pt)} events")
        if not np.isfinite(ak.to_numpy(ak.flatten(pt))).all():
            found.append(f"{collection}_pt is not finite")
        if not ak.all(pt[:, :-1] >= pt[:, 1:]):
            found.append(f"{collection} is not ordered by pt")
    for branch in ("GenPart_pt", "GenJet_pt", "genWeight"):
        if not ak.all(source["Events"][branch].array() == result["Events"][branch].array()):
            found.append(f"{branch} is not that of the input")
    return found


def main(source: str, result: str) -> None:
    """Exit with the faults, or print what is there."""
    with uproot.open(source) as before, uproot.open(result) as after:
        if found := faults(before, after):
            sys.exit(f"{result}: {'; '.join(found)}")
    with warnings.catch_warnings():
        # A generated file has no electrons and photons to refer to.
        warnings.filterwarnings("ignore", "Missing cross-reference", RuntimeWarning)
        events = NanoEventsFactory.from_root({result: "Events"}, schemaclass=NanoAODSchema).events()
    jets, muons = (int(ak.sum(ak.num(c.pt))) for c in (events.Jet, events.Muon))
    print(f"{result}: {len(events)} events, {jets} jets, {muons} muons, read by coffea")


if __name__ == "__main__":
    main(*sys.argv[1:])
