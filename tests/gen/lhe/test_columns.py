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
