"""LHE files are read whole, or refused with the event's number, before Pythia gets them."""

from __future__ import annotations

import gzip

import pytest

from flashsim.errors import InputFileError
from flashsim.gen.lhe.event import LHEEvent
from flashsim.gen.lhe.text import LHEText


def read(path):
    with LHEText(path) as text:
        return text.init, [LHEEvent.of(one, k, path) for k, one in enumerate(text.events(), start=1)]


@pytest.mark.parametrize("name", ["madgraph", "powheg"])
@pytest.mark.parametrize("packed", [False, True])
def test_events_are_read(tmp_path, lhe, styles, name, packed):
    path = tmp_path / "a.dat"
    data = lhe(styles[name], 12).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    init, events = read(path)
    style = styles[name]
    assert init.strategy == style.strategy
    assert init.energies == (6500.0, 6500.0)
    assert init.cross_section.value == 800.0
    assert init.cross_section.error == 4.0
    assert [len(event.pdg_id) for event in events] == [5, 6] * 6
    assert [event.weight for event in events] == [
        -style.weight if style.strategy < 0 and k == 9 else style.weight for k in range(12)
    ]
    first = events[0]
    assert first.pdg_id[2:].tolist() == [23, 13, -13]
    assert first.status.tolist() == [-1, -1, 2, 1, 1]
    assert first.momentum[:2, 3].sum() == pytest.approx(first.momentum[3:, 3].sum())


def replaced(text, number, old, new):
    """Text whose event of a number, from 1, has something else."""
    parts = text.split("<event")
    assert old in parts[number]
    parts[number] = parts[number].replace(old, new, 1)
    return "<event".join(parts)


BROKEN = {
    "empty": (lambda text: "", "is not LHE"),
    "no lhe": (lambda text: text.replace("LesHouchesEvents", "Events"), "is not LHE"),
    "no init": (
        lambda text: text[: text.index("<init>")] + text[text.index("<event") :],
        "has no <init> block",
    ),
    "cut in init": (lambda text: text[: text.index("</init>")], "is cut off in its <init> block"),
    "init of words": (lambda text: text.replace("2212 2212", "p p"), "<init> block cannot be read"),
    "init too short": (lambda text: text.replace(" 3 1\n", " 3 2\n"), "<init> block .*2 processes"),
    "strategy": (lambda text: text.replace(" 3 1\n", " 7 1\n"), "strategy 7, expected 1 to 4"),
    "beams": (lambda text: text.replace(" 6.5000000000E+03", " -6.5E+03"), "beams of -6500 and"),
    "cross section nan": (
        lambda text: text.replace(" 8.0000000000E+02", " nan"),
        "<init> block .*not finite",
    ),
    "cut in event": (
        lambda text: text[: text.rindex("<wgt")],
        "event 8 is cut off after 7 complete.*--events 7",
    ),
    "no end": (lambda text: text.replace("</LesHouchesEvents>", ""), "cut off.*missing after 8 complete"),
    "event without end": (lambda text: replaced(text, 3, "</event>", ""), "event 3 has no </event>"),
    "nan": (lambda text: replaced(text, 4, " 0.0 9.0", " nan 9.0"), "event 4 .*finite in particle 1"),
    "momentum nan": (
        lambda text: replaced(text, 4, "23 2 1 2 0 0 ", "23 2 1 2 0 0 nan "),
        "event 4 .*finite in particle 3",
    ),
    "weight inf": (
        lambda text: replaced(text, 5, " 2.5000000000E+00", " inf"),
        "event 5 .*finite in its first line",
    ),
    "huge weight": (
        lambda text: replaced(text, 5, " 2.5000000000E+00", " 1e300"),
        "event 5 has a weight of 1e.300",
    ),
    "count": (
        lambda text: replaced(text, 2, "\n6 1 ", "\n7 1 "),
        "event 2 announces 7 particles and holds 6",
    ),
    "count too small": (
        lambda text: replaced(text, 2, "\n6 1 ", "\n5 1 "),
        "event 2 announces 5 particles and holds 6",
    ),
    "word": (lambda text: replaced(text, 6, "\n23 2 ", "\nZ 2 "), "event 6 holds no number in particle 3"),
    "short row": (
        lambda text: replaced(text, 6, " 0.0 9.0\n", "\n"),
        "event 6 has 11 numbers in particle 1, expected 13",
    ),
    "mothers": (
        lambda text: replaced(text, 1, "13 1 3 3", "13 1 3 9"),
        "event 1 has a particle with a mother outside",
    ),
    "status": (lambda text: replaced(text, 1, "23 2 1 2", "23 5 1 2"), "event 1 has a particle of status 5"),
    "incoming": (lambda text: replaced(text, 1, "23 2 1 2", "23 -1 1 2"), "event 1 has 3 incoming particles"),
    "rwgt": (
        lambda text: replaced(text, 7, "<wgt id='2'> ", "<wgt id='2'> x"),
        "event 7 holds no number in its weight '2'",
    ),
    "pdg id of no whole number": (
        lambda text: replaced(text, 3, "\n23 2 ", "\n23.7 2 "),
        "event 3 holds 23.7 in particle 3, expected a whole number",
    ),
    "colour of no whole number": (
        lambda text: replaced(text, 3, " 501 0 ", " 501.5 0 "),
        "event 3 holds 501.5 in particle 1, expected a whole number",
    ),
    "number of particles": (
        lambda text: replaced(text, 2, "\n6 1 ", "\n6.5 1 "),
        "event 2 announces 6.5 particles, expected a whole number",
    ),
    "number of 64 bits": (
        lambda text: replaced(text, 3, "\n23 2 ", "\n4294967319 2 "),
        r"event 3 holds the whole number 4.29497e\+09, expected one of 32 bits",
    ),
    "momentum": (
        lambda text: replaced(text, 4, "23 2 1 2 0 0 ", "23 2 1 2 0 0 2e12 "),
        r"event 4 has px 2e\+12 GeV in particle 3, expected at most 1e\+12 GeV",
    ),
    "joined": (lambda text: text + text, "further events after 8"),
    "empty event": (
        lambda text: text.replace("<event npLO", "<event>\n</event>\n<event npLO", 1),
        "event 1 is empty",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_refused_with_its_event(tmp_path, lhe, name):
    change, message = BROKEN[name]
    path = tmp_path / "a.lhe"
    text = lhe(events=8)
    path.write_text(change(text))
    with pytest.raises(InputFileError, match=rf"a\.lhe: .*{message}") as error:
        read(path)
    assert "\n" not in str(error.value)


def test_damaged_compression(tmp_path, lhe):
    path = tmp_path / "a.lhe.gz"
    path.write_bytes(gzip.compress(lhe(events=40).encode())[:-3000])
    with pytest.raises(InputFileError, match=r"cut off or damaged .* after \d+ complete events"):
        read(path)
