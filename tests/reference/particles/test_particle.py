from __future__ import annotations

import numpy as np
import pytest

from flashsim.reference.particles.particle import charges

KNOWN = {211: 1, -211: -1, 321: 1, 2212: 1, -2212: -1, 11: -1, -13: 1, 22: 0, 130: 0, 310: 0, 2112: 0}
STRANGE = {3112: -1, 3222: 1, 3312: -1, 3334: -1, 3122: 0, 411: 1, -431: -1, 521: 1, 511: 0}


@pytest.mark.parametrize(("code", "charge"), {**KNOWN, **STRANGE}.items())
def test_charges_of_known_particles(code, charge):
    assert charges(np.array([code]))[0] == charge


def test_charges_are_pythias():
    pythia8 = pytest.importorskip("pythia8mc", reason="pythia8mc is not installed")
    data = pythia8.Pythia("", False).particleData
    numbers = [
        *range(11, 17),
        22,
        *(n for n in range(100, 5600) if n % 10 in (1, 2, 3, 4) and data.isParticle(n)),
    ]
    codes = np.array([n for n in numbers if data.isLepton(n) or n == 22 or data.isHadron(n)])
    assert len(codes) > 100
    np.testing.assert_array_equal(charges(codes), [round(data.charge(int(code))) for code in codes])
