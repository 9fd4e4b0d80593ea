"""What an input is, is recognised by its content."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os

import numpy as np
import pytest
import uproot

from flashsim.errors import InputFileError
from flashsim.gen.kinds import Kind, inputs_of_one_kind, kind_of

TEXTS = {
    Kind.HEPMC: b"HepMC::Version 3.02.06\nHepMC::Asciiv3-START_EVENT_LISTING\n",
    Kind.LHE: b'<?xml version="1.0"?>\n<LesHouchesEvents version="3.0">\n<header>\n',
    Kind.SETTINGS: b"! Z \xe9 events\nBeams:eCM = 13000.\n",
}
PACKINGS = {"plain": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("kind", TEXTS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", ["a.hepmc", "a.lhe.gz", "a.root", "a"])
def test_names_do_not_matter(tmp_path, kind, packing, name):
    path = tmp_path / name
    path.write_bytes(PACKINGS[packing](TEXTS[kind]))
    assert kind_of(path) is kind


def test_zstd(tmp_path):
    zstd = pytest.importorskip("backports.zstd", reason="no module that packs zstd is installed")
    (tmp_path / "a.hepmc").write_bytes(zstd.compress(TEXTS[Kind.LHE]))
    assert kind_of(tmp_path / "a.hepmc") is Kind.LHE


def _root(path, trees):
    with uproot.recreate(path) as file:
        for name, branches in trees.items():
            file[name] = {branch: np.zeros(3) for branch in branches}
    return path.read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"<event>\n 5 1 ...", "LHE events without <LesHouchesEvents>"),
        (bytes(range(256)) * 10, "is no file that gen reads; expected HepMC text, LHE or a Pythia 8"),
        (gzip.compress(TEXTS[Kind.LHE], mtime=0)[:20], "cannot be decompressed"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "is HDF5"),
        (b"HepMC::IO_Ascii-START_EVENT_LISTING\n", "before 2.0"),
        (b"root" + bytes(range(1, 101)), "is a ROOT file that cannot be read"),
        ({"Events": ["GenPart_pt", "run"]}, "is NanoAOD already; give it to 'flashsim generate'"),
        ({"tree": ["x"]}, "is a ROOT file without HepMC events"),
        ({"hepmc3_tree": ["hepmc3_event"]}, "is a HepMC3 ROOT file.*write HepMC3 text"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(tmp_path, content, message):
    path = tmp_path / "a.dat"
    path.write_bytes(_root(tmp_path / "a.root", content) if isinstance(content, dict) else content)
    with pytest.raises(InputFileError, match=message) as error:
        kind_of(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_no_file(tmp_path):
    with pytest.raises(InputFileError, match="there is no such file"):
        kind_of(tmp_path / "a.lhe")


def test_a_pipe_is_told_by_its_name_and_left_unread(tmp_path):
    for name, kind in (("a.lhe", Kind.LHE), ("a.hepmc", Kind.HEPMC), ("a", Kind.HEPMC)):
        os.mkfifo(tmp_path / name)
        assert kind_of(tmp_path / name) is kind


@pytest.fixture
def folder(tmp_path):
    for name in ("b.lhe", "a.lhe"):
        (tmp_path / name).write_bytes(TEXTS[Kind.LHE])
    (tmp_path / "notes.txt").write_text("what this is\n")
    return tmp_path


def test_folders_globs_and_lists(folder):
    names = [folder / "a.lhe", folder / "b.lhe"]
    (folder / "list.txt").write_text("\n".join(map(str, names)))
    for named in ([folder], [folder / "*.lhe"], [f"@{folder}/list.txt"], names, [names[0], folder]):
        assert inputs_of_one_kind(named) == (Kind.LHE, names)


def test_what_is_no_file_is_a_shipped_command_file(folder):
    assert inputs_of_one_kind(["vbf_hmumu.cmnd"])[0] is Kind.SETTINGS
    assert inputs_of_one_kind(["vbf_hmumu"])[0] is Kind.SETTINGS


def test_what_cannot_be_joined_is_refused(folder):
    (folder / "c.hepmc").write_bytes(TEXTS[Kind.HEPMC])
    with pytest.raises(InputFileError, match=r"c\.hepmc: is HepMC, and .*a\.lhe is LHE"):
        inputs_of_one_kind([folder])
    (folder / "empty").mkdir()
    with pytest.raises(InputFileError, match="is a folder without HepMC or LHE files"):
        inputs_of_one_kind([folder / "empty"])
    with pytest.raises(InputFileError, match="no file fits this pattern"):
        inputs_of_one_kind([folder / "*.hepmc3"])
    with pytest.raises(InputFileError, match="no input is named"):
        inputs_of_one_kind([])
