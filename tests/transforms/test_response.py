from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flashsim.declarations.objects import RelationName
from flashsim.events.angles import wrap_angle
from flashsim.transforms.response import RELATIONS, Angle, Excess, Ratio


def test_every_relation_can_be_declared():
    assert set(get_args(RelationName)) == RELATIONS.keys()


@given(hnp.arrays(np.float64, 20, elements=st.floats(-1e3, 1e3)))
def test_wrapped_angles_are_the_same_angles(phi):
    wrapped = wrap_angle(phi)
    assert np.all((wrapped >= -np.pi) & (wrapped < np.pi))
    assert np.allclose(np.cos(wrapped), np.cos(phi), atol=1e-9)
    assert np.allclose(np.sin(wrapped), np.sin(phi), atol=1e-9)


@pytest.mark.parametrize("kind", RELATIONS)
@given(data=st.data())
def test_relations_go_back(kind, data):
    gen = data.draw(hnp.arrays(np.float32, 30, elements=st.floats(0.0, 1e3, width=32))).astype(np.float64)
    reco = data.draw(hnp.arrays(np.float32, 30, elements=st.floats(15.0, 5e3, width=32))).astype(np.float64)
    if kind == "angle":
        gen, reco = wrap_angle(gen), wrap_angle(reco)
    if kind == "product":
        gen = np.where(gen > 10, 1.0, -1.0)
    relation = RELATIONS[kind](threshold=15.0, width=10.0, floor=0.1)
    back = relation.inverse(relation.forward(reco, gen), gen)
    away = wrap_angle(back - reco) if kind == "angle" else back - reco
    assert np.all(np.abs(away) <= 1e-7 * np.maximum(np.abs(reco), 1.0))


@given(relative=hnp.arrays(np.float64, 30, elements=st.floats(-50, 50)), gen=st.floats(0.0, 7000.0))
def test_an_excess_never_falls_below_its_threshold(relative, gen):
    values = Excess(threshold=15.0, width=10.0).inverse(relative, np.full(30, gen))
    assert np.isfinite(values).all()
    assert np.all(values >= 15.0)


@given(relative=hnp.arrays(np.float64, 30, elements=st.floats(-4.0, 4.0)), gen=st.floats(-np.pi, np.pi))
def test_an_angle_stays_in_its_range(relative, gen):
    angles = Angle().inverse(relative, np.full(30, gen))
    assert np.all((angles >= -np.pi) & (angles < np.pi))
    assert np.allclose(np.exp(1j * angles), np.exp(1j * (gen + relative)))


def test_an_excess_is_the_log_response_far_above_the_threshold():
    gen, reco = np.array([1e4]), np.array([1.1e4])
    assert Excess(threshold=15.0, width=10.0).forward(reco, gen) == pytest.approx(np.log(1.1), abs=1e-3)


def test_a_ratio_to_nothing_is_finite():
    relation = Ratio(floor=0.1)
    relative = relation.forward(np.array([5.0, 5.0]), np.array([0.0, -1.0]))
    assert relation.inverse(relative, np.array([0.0, -1.0])) == pytest.approx([5.0, 5.0])
