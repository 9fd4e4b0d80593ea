"""Some gen-level events with their particles, and a little pileup."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from flashsim.gen import generate_gen


class Sample(NamedTuple):
    gen: str
    particles: str
    minbias: str


EVENTS = 12


@pytest.fixture(scope="session")
def sample(tmp_path_factory, few_interactions):
    """Top quark pairs without multiple interactions, which take long."""
    folder = tmp_path_factory.mktemp("sample")
    settings = folder / "quick.cmnd"
    settings.write_text("include = cp5.cmnd\nTop:gg2ttbar = on\nPartonLevel:MPI = off\n")
    made = Sample(str(folder / "gen.root"), str(folder / "particles.root"), str(few_interactions))
    generate_gen(settings, made.gen, events=EVENTS, seed=3, particles=made.particles)
    return made
