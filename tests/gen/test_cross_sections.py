from __future__ import annotations

import math
from pathlib import Path

import pytest

from flashsim.gen.cross_sections import FileCrossSection, combined
from flashsim.gen.pythia import CrossSection


def part(name, events, *cross_section):
    return FileCrossSection(Path(name), events, CrossSection(*cross_section) if cross_section else None)


def test_files_of_one_process_are_averaged_by_events():
    cross_section, notes = combined([part("a", 100, 10.0, 0.3, 100), part("b", 300, 10.4, 0.4, 300)])
    assert cross_section.value == pytest.approx(10.3)
    assert cross_section.error == pytest.approx((0.075**2 + 0.3**2) ** 0.5)
    assert notes == []


def test_files_of_other_processes_are_told():
    cross_section, notes = combined([part("a", 100, 10.0, 0.1, 100), part("b", 100, 20.0, 0.1, 100)])
    assert cross_section.value == pytest.approx(15.0)
    assert len(notes) == 1
    assert "a: 10 pb, b: 20 pb" in notes[0]


@pytest.mark.parametrize(("known", "notes"), [(0, 0), (1, 1)])
def test_a_file_without_a_cross_section_leaves_none(known, notes):
    parts = [part("a", 10, 1.0, 0.1, 10)] * known + [part("b", 10)]
    cross_section, found = combined(parts)
    assert cross_section is None
    assert len(found) == notes


def test_an_unknown_error_hides_no_difference():
    cross_section, notes = combined([part("a", 100, 10.0, math.nan, 0), part("b", 100, 20.0, 0.1, 0)])
    assert cross_section.value == pytest.approx(15.0)
    assert math.isnan(cross_section.error)
    assert "a: 10 pb, b: 20 pb" in notes[0]
