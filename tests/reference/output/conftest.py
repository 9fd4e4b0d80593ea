"""Some gen-level events with their particles, and a little pileup."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from flashsim.gen import generate_gen
from flashsim.gen.minbias import MinBias, write_minbias


class Sample(NamedTuple):
    gen: str
    particles: str
    minbias: str


EVENTS = 12


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """Top quark pairs without multiple interactions, which take long."""
    pytest.importorskip("pythia8mc", reason="pythia8mc is not installed (extra 'reference')")
    folder = tmp_path_factory.mktemp("sample")
    for name, process in (("quick", "Top:gg2ttbar = on"), ("soft", "SoftQCD:nonDiffractive = on")):
        text = f"include = cp5.cmnd\n{process}\nPartonLevel:MPI = off\n"
        (folder / f"{name}.cmnd").write_text(text)
    made = Sample(*(str(folder / f"{name}.root") for name in Sample._fields))
    generate_gen(folder / "quick.cmnd", made.gen, events=EVENTS, seed=3, particles=made.particles)
    write_minbias(MinBias(13000.0, 300, settings=str(folder / "soft.cmnd")), made.minbias)
    return made
