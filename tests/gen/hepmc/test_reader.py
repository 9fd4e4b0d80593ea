"""Weights, and events that are empty, damaged or cannot be true, in both text formats."""

from __future__ import annotations

import json
import re

import awkward as ak
import numpy as np
import pytest
import uproot
from typer.testing import CliRunner

from flashsim.cli.main import app
from flashsim.errors import InputFileError, OutputFileError
from flashsim.gen import convert_hepmc

NAMES = ["MEWeight", "MUR0.5 MUF1", "MUR0.5_MUF1", "Weight"]
# Not representable in 32 bits.
WEIGHTS = [[7.0, 0.1, 2.0, 0.1], [7.0, 0.2, 2.0, 0.7], [7.0, 0.3, 2.0, -0.3]]
CROSS_SECTION = [(7.0, 0.7), (8.0, 0.8), (9.0, 0.9), (10.0, 1.0)]


@pytest.fixture(scope="module")
def events(record_of, drell_yan):
    """Three events of a Z that decays to muons."""
    return record_of(*[drell_yan[0]] * 3)


@pytest.fixture
def write(events, hepmc_text, version, tmp_path):
    """Write the three events, after a change of the text if wanted."""

    def make(change=lambda text: text, name="a.hepmc", **options):
        path = tmp_path / name
        path.write_bytes(change(hepmc_text(events, version, **options)).encode())
        return path

    return make


def convert(path, **options):
    return convert_hepmc(path, path.with_name("out.root"), force=True, **options)


def read(path, tree="Events"):
    with uproot.open(path.with_name("out.root")) as file:
        return file[tree].arrays()


def provenance(path):
    with uproot.open(path.with_name("out.root")) as file:
        return json.loads(str(file["flashsim_gen"]))


def test_the_nominal_weight_is_written_and_summed(write, version):
    path = write(weights=WEIGHTS, names=NAMES, cross_section=CROSS_SECTION)
    summary = convert(path)
    expected = np.array([own[3] for own in WEIGHTS])
    assert read(path).genWeight.to_list() == expected.astype(np.float32).tolist()
    runs = read(path, "Runs")[0]
    # In double precision, from the weights as the file has them.
    assert runs.genEventSumw == summary.sum_of_weights == pytest.approx(expected.sum(), rel=1e-15)
    assert runs.genEventSumw2 == pytest.approx(np.square(expected).sum(), rel=1e-15)
    assert runs.GenWeightSumw_MUR0_5_MUF1 == pytest.approx(0.6, rel=1e-15)
    assert runs.GenWeightSumw_MUR0_5_MUF1_2 == 6.0
    assert summary.weight_text == "weight 'Weight' of 4"
    assert provenance(path)["weight"] == "Weight"
    assert not summary.notes
    # HepMC2 has one cross section for all weights.
    assert summary.cross_section == (10.0 if version == "hepmc3" else 7.0)
    assert summary.cross_section_error == (1.0 if version == "hepmc3" else 0.7)


def test_a_weight_can_be_chosen(write, version):
    path = write(weights=WEIGHTS, names=NAMES, cross_section=CROSS_SECTION)
    summary = convert(path, weight="MUR0.5_MUF1")
    assert set(read(path).genWeight) == {2.0}
    assert summary.sum_of_weights == 6.0
    assert summary.cross_section == (9.0 if version == "hepmc3" else 7.0)
    said = [
        note for note in summary.notes if "of the nominal weight: the file has none of 'MUR0.5_MUF1'" in note
    ]
    assert len(said) == (version == "hepmc2")
    assert read(path).GenWeight_Weight.to_list() == [np.float32(own[3]) for own in WEIGHTS]
    with pytest.raises(
        InputFileError, match=r"no weight 'MUR1'; of its 4 weights, the nearest are .*'MUR0.5"
    ):
        convert(path, weight="MUR1")


def test_where_no_name_tells_the_first_is_taken_and_said(write):
    path = write(weights=WEIGHTS, names=["one", "two", "three", "four"])
    summary = convert(path)
    assert set(read(path).genWeight) == {7.0}
    assert re.search("none of the 4 weights .*'one', is taken", summary.notes[0])


def test_a_line_break_in_the_name_of_a_weight(record_of, drell_yan, hepmc_text, tmp_path):
    names = ["rwgt\nSET param", "Weight_MERGING=0.000"]
    path = tmp_path / "a.hepmc"
    text = hepmc_text(record_of(*[drell_yan[0]] * 2), "hepmc2", weights=[[1.0, 2.0]] * 2, names=names)
    path.write_text(text)
    assert convert(path).weight_text == "weight 'Weight_MERGING=0.000' of 2"
    assert set(read(path).GenWeight_rwgt_SET_param) == {1.0}


def test_names_in_another_order_are_the_same_weights(hepmc_text, events, tmp_path):
    text = hepmc_text(events, "hepmc2", weights=[[1.0, 2.0]] * 3, names=["Weight", "other"])
    first, second, third = text.split("\nE ")[1:]
    swapped = second.replace('"Weight" "other"', '"other" "Weight"')
    path = tmp_path / "a.hepmc"
    path.write_text(text.replace(second, swapped, 1) if first != second else text)
    parts = text.split("\nE ")
    parts[2] = swapped
    path.write_text("\nE ".join(parts))
    assert third
    assert (convert(path), read(path).genWeight.to_list())[1] == [1.0, 2.0, 1.0]
    parts[2] = second.replace("other", "unknown")
    path.write_text("\nE ".join(parts))
    with pytest.raises(InputFileError, match=r"event 2 has a weight 'unknown', which the first one has not"):
        convert(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300, -1e39, 1e-42])
@pytest.mark.parametrize("column", [0, 3])
def test_a_weight_that_cannot_be_stored_is_refused(write, value, column):
    weights = [list(own) for own in WEIGHTS]
    weights[1][column] = value
    path = write(weights=weights, names=NAMES)
    with pytest.raises(InputFileError, match=rf"event 2: weight '{NAMES[column]}' is .*leave this event out"):
        convert(path)
    assert [found.name for found in path.parent.iterdir()] == ["a.hepmc"]


def empty_event(version, weight):
    return {
        "hepmc3": f"E 7 0 0\nU GEV MM\nW {weight}\n",
        "hepmc2": f"E 7 -1 -1 -1 -1 0 0 0 0 0 0 1 {weight}\nU GEV MM\n",
    }[version]


@pytest.mark.parametrize("place", [0, 1, 3])
def test_events_without_particles_are_written_empty(write, version, place):
    def change(text):
        parts = re.split(r"(?m)^(?=E \d|HepMC::\w+-END)", text)
        return "".join([*parts[: place + 1], empty_event(version, 0.25), *parts[place + 1 :]])

    path = write(change)
    summary = convert(path, particles=path.with_name("particles.root"))
    found = read(path)
    assert summary.events == len(found) == 4
    assert summary.sum_of_weights == 3.25
    assert [int(n) for n in found.nGenPart > 0] == [1 - (number == place) for number in range(4)]
    assert found.genWeight[place] == 0.25
    assert summary.notes == ("1 event has no particles: written empty, with the weight in the sums",)
    assert provenance(path)["events_without_particles"] == 1


def test_a_file_of_nothing_but_empty_events(write, version):
    path = write(lambda text: re.sub(r"(?ms)^E 0.*(?=^HepMC)", empty_event(version, 2.0) * 2, text))
    assert convert(path, particles=path.with_name("particles.root")).sum_of_weights == 4.0
    assert ak.sum(read(path).nGenPart) == 0


def test_white_space_does_not_matter(write):
    plain = write()
    convert(plain)
    expected = read(plain)
    spaced = write(
        lambda text: "\r\n \r\n".join(f"  {line.replace(' ', '  ')} " for line in text.split("\n"))
    )
    convert(spaced)
    assert all(ak.array_equal(read(spaced)[name], expected[name]) for name in expected.fields)


def test_files_joined_end_to_end_are_read_to_their_end(write):
    assert convert(write(lambda text: text + text)).events == 6


def test_a_written_vertex_may_have_any_number(tmp_path):
    """A vertex that is not written takes a number that no other has, however many are taken."""
    particles = [
        "P 1 0 2212 0 0 50 50 0 4",
        "P 2 1 23 0 0 50 50 0 2",
        "P 3 2 13 0 0 50 50 0 1",
    ]
    taken = [f"V -{number} 0 []" for number in range(1, 9)]
    body = ["E 0 10 3", "U GEV MM", *taken, *particles]
    head = ["HepMC::Version 3.02.06", "HepMC::Asciiv3-START_EVENT_LISTING"]
    path = tmp_path / "a.hepmc"
    path.write_text("\n".join([*head, *body, "HepMC::Asciiv3-END_EVENT_LISTING", ""]))
    assert convert(path).events == 1
    assert read(path).GenPart_pdgId.to_list() == [[23, 13]]
    assert read(path).GenPart_genPartIdxMother.to_list() == [[-1, 0]]


def test_files_of_one_name_are_counted_apart(write):
    first = write()
    (first.parent / "other").mkdir()
    second = write(name="other/a.hepmc")
    convert_hepmc([first, second], first.with_name("out.root"), events=5)
    assert provenance(first)["inputs"] == [{"file": "a.hepmc", "events": 3}, {"file": "a.hepmc", "events": 2}]


def test_an_input_is_never_replaced(write):
    path = write()
    before = path.read_bytes()
    path.with_name("link.hepmc").symlink_to(path)
    for output in (path, path.with_name("link.hepmc")):
        with pytest.raises(OutputFileError, match="is an input; name another output"):
            convert_hepmc(path, output, force=True)
        with pytest.raises(OutputFileError, match="is an input; name another output"):
            convert_hepmc(path, path.with_name("out.root"), particles=output, force=True)
    assert path.read_bytes() == before


def particle(text, event, place, column, value):
    """Change one field of a particle's line; columns from 1 on: px, py, pz, energy, mass."""
    parts = re.split(r"(?m)^(?=E \d)", text)
    lines = parts[event].split("\n")
    rows = [number for number, line in enumerate(lines) if line.startswith("P ")]
    fields = lines[rows[place]].split()
    offset = 3 if len(fields) == 10 else 2
    fields[offset + column] = value
    lines[rows[place]] = " ".join(fields)
    parts[event] = "\n".join(lines)
    return "".join(parts)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        *((1, "nan", "px nan GeV"), (3, "-inf", "pz -inf GeV"), (4, "nan", r"energy nan GeV")),
        *((2, "1e300", r"py 1e\+300 GeV"), (5, "inf", "mass inf GeV")),
        *((4, "0", r"energy 0 GeV at a momentum of"), (4, "-50", "energy -50 GeV at a momentum of")),
    ],
)
def test_what_cannot_be_true_is_refused_with_event_and_particle(write, column, value, message):
    path = write(lambda text: particle(text, 2, -1, column, value))
    with pytest.raises(
        InputFileError,
        match=rf"a\.hepmc: event 2 \(number 1 in the file\): particle \d+ \(PDG number .*{message}",
    ):
        convert(path)
    assert [found.name for found in path.parent.iterdir()] == ["a.hepmc"]
    assert convert(path, events=1).events == 1


@pytest.mark.parametrize("value", ["x", "", "1e", "nan(0x1)", "1.0D+01"])
def test_what_is_no_number_is_refused_with_the_event(write, value):
    path = write(lambda text: particle(text, 3, 2, 1, value))
    with pytest.raises(InputFileError, match=r"event 3 is cut off or damaged \(.*--events 2"):
        convert(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("P ", "Q "),
        ("V -1 ", "V -2 "),
        ("P 3 ", "P 2 "),
        ("P 10003 ", "P 10002 "),
        (" -13 ", " 99999999999 "),
        ("V -1 0", "V x 0"),
    ],
)
def test_a_graph_that_does_not_hold_together_is_refused(write, old, new):
    whole = write().read_text()
    path = write(lambda text: text.replace(old, new, 1))
    if old not in whole:
        assert convert(path).events == 3
        return
    with pytest.raises(InputFileError, match=r"event 1 is cut off or damaged \("):
        convert(path)


@pytest.mark.parametrize("share", np.linspace(0.02, 0.995, 40).round(4).tolist())
def test_a_file_cut_anywhere_is_refused_and_its_complete_events_can_be_taken(write, share):
    path = write(lambda text: text[: int(share * len(text))])
    with pytest.raises(InputFileError) as caught:
        convert(path)
    assert [found.name for found in path.parent.iterdir()] == ["a.hepmc"]
    if complete := re.search(r"--events (\d)", str(caught.value)):
        assert convert(path, events=int(complete[1])).events == int(complete[1])


def test_the_command_says_which_weight_it_takes(write):
    path = write(weights=WEIGHTS, names=NAMES)
    runner = CliRunner()
    for options, name in (([], "Weight"), (["--weight", "MEWeight"], "MEWeight")):
        result = runner.invoke(
            app, ["gen", str(path), "-o", str(path.with_name("out.root")), "--force", *options]
        )
        assert result.exit_code == 0, result.output
        assert f", weight '{name}' of 4" in result.stdout
