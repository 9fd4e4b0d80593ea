from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest


def lists(offsets, members):
    return [part.tolist() for part in np.split(members, offsets[1:-1])]


def test_family_comes_from_vertices(record_of, drell_yan):
    lines, place = drell_yan
    family = record_of(lines).genealogy
    mothers = lists(family.mother_offsets, family.mothers)
    daughters = lists(family.daughter_offsets, family.daughters)
    assert mothers == [list(line.mothers) for line in lines]
    assert daughters[place["Z last"]] == [place["mu-"], place["mu+"]]
    assert daughters[place["photon"]] == []


def test_refuses_columns_that_do_not_fit(record_of, drell_yan):
    record = record_of(drell_yan[0])
    with pytest.raises(ValueError, match="status has 1 entries, expected 10"):
        replace(record, status=record.status[:1])
    with pytest.raises(ValueError, match="offsets"):
        replace(record, offsets=np.array([0, 3]))
