"""LHE branches of events as they are read, without a shower."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flashsim.gen.lhe.columns import lhe_columns
from flashsim.gen.lhe.event import LHEEvent
from flashsim.gen.particles import pseudorapidity

ALONG = """<event>
4 1 1.0 91.2 0.0078 0.118
2 -1 0 0 501 0 0 0 500 500 0 0 9
-2 -1 0 0 0 501 0 0 -300 300 0 0 9
11 1 1 2 0 0 0 0 500 500 0 0 1
-11 1 1 2 0 0 0 0 -300 300 0 0 -1
</event>
"""


def test_along_the_beam_eta_is_that_of_gen_particles():
    columns = lhe_columns([LHEEvent.of(ALONG, 1, Path("a.lhe"))])
    eta = columns["LHEPart_eta"][0].to_list()
    assert eta == [0.0, 0.0, *pseudorapidity(np.zeros(2), np.array([500.0, -300.0]))]
    assert eta[2:] == pytest.approx([500 + 22756, -300 - 22756])


TOPS = """<event>
8 1 1.0 91.2 0.0078 0.118
21 -1 0 0 501 502 0 0 500 500 0 0 9
21 -1 0 0 502 503 0 0 -500 500 0 0 9
21 1 1 2 501 503 10 0 0 10 0 0 1
6 2 1 2 501 0 0 0 0 200 200 0 0
24 2 4 4 0 0 0 60 0 100 80 0 0
5 1 4 4 501 0 0 -60 0 60 0 0 -1
-11 1 5 5 0 0 0 40 0 40 0 0 1
12 1 5 5 0 0 0 20 0 20 0 0 -1
</event>
"""


def test_resonances_and_mothers_are_those_of_v15():
    """As in a ttbar file of 2024: bosons are shown, top quarks are not, and indices count what is shown."""
    event = LHEEvent.of(TOPS, 1, Path("a.lhe"))
    columns = lhe_columns([event, event], resonances=True)
    assert columns["LHEPart_pdgId"].to_list() == [[21, 21, 21, 24, 5, -11, 12]] * 2
    assert columns["LHEPart_status"].to_list() == [[-1, -1, 1, 2, 1, 1, 1]] * 2
    assert columns["LHEPart_firstMotherIdx"].to_list() == [[-1, -1, 0, -1, -1, 3, 3]] * 2
    assert columns["LHEPart_lastMotherIdx"].to_list() == [[-1, -1, 1, -1, -1, 3, 3]] * 2
    assert lhe_columns([event])["LHEPart_pdgId"].to_list() == [[21, 21, 21, 5, -11, 12]]
    assert columns["LHE_Njets"].tolist() == lhe_columns([event, event])["LHE_Njets"].tolist()
