from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import uproot

from flashsim.errors import InputFileError
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.containers import NtupleContainer
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.writing import NanoWriter

PT = Branch("Jet_pt", np.dtype("f4"), "Jet", "pt")
EVENT = Branch("event", np.dtype("u8"), None, "event number")
SUMW = Branch("LHEScaleSumw_", np.dtype("f8"), "LHEScaleSumw_", "sums")
COUNTS = [2, 0, 1, 3, 0]


def make(path, counts=COUNTS):
    with NanoWriter(path) as writer:
        writer.tree("Events", [EVENT, PT], counter_titles={"Jet": "jets"})
        writer.tree("Runs", [Branch("run", np.dtype("u4")), SUMW])
        writer.extend(
            "Events",
            {
                "event": np.arange(len(counts)),
                "Jet_pt": ak.unflatten(np.arange(sum(counts), dtype="f4"), np.array(counts, int)),
            },
        )
        writer.extend("Runs", {"run": [1], "LHEScaleSumw_": ak.Array([[0.5, 1.0]])})
        writer.write_string("tag", "untagged")
    return path


def test_reads_back_what_was_written(tmp_path):
    with NanoFile(make(tmp_path / "x.root")) as file:
        assert (file.path, file.num_entries, file.container) == (str(tmp_path / "x.root"), 5, "TTree")
        assert file.branches == {"event": EVENT, "Jet_pt": PT}
        assert file.counter_titles == {"Jet": "jets"}
        assert file.unsupported == {}
        assert file.has("Jet_pt")
        assert not file.has("nJet")
        arrays = file.read(["Jet_pt", "event"])
        assert list(arrays) == ["Jet_pt", "event"]
        assert ak.num(arrays["Jet_pt"]).tolist() == COUNTS
        assert file.read(["event"], 1, 3)["event"].tolist() == [1, 2]
        assert file.read(["event"], 3, 99)["event"].tolist() == [3, 4]
        assert file.read([]) == {}


def test_other_trees(tmp_path):
    with NanoFile(make(tmp_path / "x.root")) as file:
        assert file.trees == ("Runs",)
        branches, arrays = file.read_tree("Runs")
        assert branches == {"run": Branch("run", np.dtype("u4")), "LHEScaleSumw_": SUMW}
        assert arrays["LHEScaleSumw_"].tolist() == [[0.5, 1.0]]
        with pytest.raises(InputFileError, match=r"x\.root: has no tree 'tag'.*it has Runs"):
            file.read_tree("tag")


@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize("names", [["Jet_pt", "event"], []])
def test_chunks_are_the_file(tmp_path, size, names):
    with NanoFile(make(tmp_path / "x.root")) as file:
        chunks = list(file.chunks(names, size))
        assert [start for start, _, _ in chunks] == list(range(0, 5, size))
        assert chunks[-1][1] == 5
        assert all(len(array) == stop - start for start, stop, arrays in chunks for array in arrays.values())
        for name in names:
            whole = ak.concatenate([arrays[name] for *_, arrays in chunks])
            assert whole.tolist() == file.read([name])[name].tolist()


def test_no_events_no_chunks(tmp_path):
    with NanoFile(make(tmp_path / "x.root", [])) as file:
        assert list(file.chunks(["Jet_pt"], 10)) == []
        assert str(file.read(["Jet_pt"])["Jet_pt"].type) == "0 * var * float32"


def test_refuses_empty_chunks_and_missing_branches(tmp_path):
    with NanoFile(make(tmp_path / "x.root")) as file:
        with pytest.raises(ValueError, match="size 0"):
            next(file.chunks(["event"], 0))
        with pytest.raises(InputFileError, match=r"x\.root: branch 'Jet_eta' is missing"):
            file.read(["Jet_eta"])
        with pytest.raises(InputFileError, match="'Jet_eta' is missing"):
            next(file.chunks(["Jet_eta"], 2))


def test_takes_paths_with_colons(tmp_path):
    with NanoFile(make(tmp_path / "run:1.root")) as file:
        assert file.num_entries == 5


def test_branches_with_counters_of_their_own_belong_to_one_collection(tmp_path):
    column = ak.Array([[1.0, 2.0], []])
    with uproot.recreate(tmp_path / "x.root") as file:
        data = {
            "nJet": np.array([2, 0], "i4"),
            "Jet_pt": column,
            "Jet_n_tracks": column,
            "nSubJet": np.array([2, 0], "i4"),
            "SubJet_pt": column,
            "PSWeight": column,
            "LHEScaleSumw_": column,
            "nTracks": np.array([4, 5], "i4"),
        }
        file.mktree("Events", {name: ak.type(array).content for name, array in data.items()}).extend(data)
    with NanoFile(tmp_path / "x.root") as file:
        assert {name: branch.collection for name, branch in file.branches.items()} == {
            "Jet_pt": "Jet",
            "Jet_n_tracks": "Jet",
            "SubJet_pt": "SubJet",
            "PSWeight": "PSWeight",
            "LHEScaleSumw_": "LHEScaleSumw_",
            "nTracks": None,
        }
        assert {branch.title for branch in file.branches.values()} == {""}


def test_leaves_out_what_nanoaod_does_not_have(tmp_path):
    with uproot.recreate(tmp_path / "x.root") as file:
        tree = file.mktree("Events", {"event": "u8", "matrix": np.dtype(("f4", (3,))), "text": "string"})
        tree.extend({"event": np.arange(2), "matrix": np.ones((2, 3)), "text": ak.Array(["a", "b"])})
    with NanoFile(tmp_path / "x.root") as file:
        assert list(file.branches) == ["event"]
        assert set(file.unsupported) == {"matrix", "text"}
        assert "float[3]" in file.unsupported["matrix"]
        with pytest.raises(InputFileError, match="'text' is of type char"):
            file.read(["text"])


def test_rntuples_of_vectors(tmp_path):
    with uproot.recreate(tmp_path / "x.root") as file:
        file["Events"] = {"event": np.arange(3, dtype="u8"), "Sumw": ak.Array([[1.0], [], [2.0]])}
    with NanoFile(tmp_path / "x.root") as file:
        assert file.container == "RNTuple"
        assert file.branches["Sumw"] == Branch("Sumw", np.dtype("f8"), "Sumw")
        assert file.branches["event"] == Branch("event", np.dtype("u8"))
        assert file.read(["Sumw"], 1, 3)["Sumw"].tolist() == [[], [2.0]]


def test_each_rntuple_cluster_is_read_once(tmp_path, monkeypatch):
    with uproot.recreate(tmp_path / "x.root") as file:
        ntuple = file.mkrntuple("Events", {"event": "u8"})
        for start in range(0, 50, 10):
            ntuple.extend({"event": np.arange(start, start + 10, dtype="u8")})
    reads = []
    read = NtupleContainer.read

    def spy(self, names, start, stop):
        reads.append((start, stop))
        return read(self, names, start, stop)

    monkeypatch.setattr(NtupleContainer, "read", spy)
    with NanoFile(tmp_path / "x.root") as file:
        chunks = [arrays["event"].tolist() for *_, arrays in file.chunks(["event"], 7)]
    assert [event for chunk in chunks for event in chunk] == list(range(50))
    assert [len(chunk) for chunk in chunks] == [7] * 7 + [1]
    assert reads == [(start, start + 10) for start in range(0, 50, 10)]


def test_refuses_what_is_not_nanoaod(tmp_path):
    (tmp_path / "text.root").write_text("not a ROOT file " * 100)
    (tmp_path / "empty.root").touch()
    with uproot.recreate(tmp_path / "other.root") as file:
        file["Events"] = "a string"
        file["tag"] = "untagged"
    for name, match in {
        "none.root": "no such file",
        "text.root": "not a ROOT file",
        "empty.root": "not a ROOT file",
        "other.root": "expected a tree 'Events', found Events, tag",
        ".": "cannot be opened",
    }.items():
        with pytest.raises(InputFileError, match=match) as error:
            NanoFile(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_refuses_truncated_files(tmp_path, share):
    whole = make(tmp_path / "x.root").read_bytes()
    (tmp_path / "cut.root").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputFileError, match=r"cut\.root: is"):
        NanoFile(tmp_path / "cut.root")


def test_damaged_data_is_a_clear_error(tmp_path):
    path = make(tmp_path / "x.root", [1] * 5000)
    with uproot.open(path) as file:
        position = int(file["Events"]["event"].member("fBasketSeek")[0])
    with path.open("r+b") as handle:
        handle.seek(position + 100)
        handle.write(b"\xff" * 200)
    with NanoFile(path) as file, pytest.raises(InputFileError, match=r"x\.root: .*damaged"):
        file.read(["event"])


FILES = {
    "tt_2018_v5": 501,
    "tt_2022_v12": 200,
    "tt_2024_v15": 200,
    "dy_2018_v6": 40,
    "dy_2018_v6_rntuple": 40,
    "wjets_2015_v9": 200,
    "htt_fastsim_v9": 1000,
    "dy_empty": 0,
}


@pytest.mark.parametrize("name", FILES)
def test_real_files(real_file, name):
    file = real_file(name)
    assert file.num_entries == FILES[name]
    assert file.unsupported == {}
    assert file.branches["Jet_pt"].collection == "Jet"
    assert file.branches["PSWeight"].collection == "PSWeight"
    assert file.branches["run"] == Branch("run", np.dtype("u4"), None, file.branches["run"].title)
    for branch in file.branches.values():
        assert "/" not in branch.name
        assert branch.dtype.isnative
        assert branch.collection is None or branch.name.startswith(branch.collection)
    jets = [name for name, branch in file.branches.items() if branch.collection == "Jet"]
    arrays = file.read(jets)
    for jet in jets:
        assert ak.num(arrays[jet]).tolist() == ak.num(arrays["Jet_pt"]).tolist()
        assert ak.to_numpy(ak.flatten(arrays[jet])).dtype == file.branches[jet].dtype


def test_rntuple_is_its_ttree_twin(real_file):
    tree, ntuple = real_file("dy_2018_v6"), real_file("dy_2018_v6_rntuple")
    assert set(tree.branches) == set(ntuple.branches)
    for name, branch in tree.branches.items():
        twin = ntuple.branches[name]
        assert (branch.dtype, branch.collection) == (twin.dtype, twin.collection), name
    # A thousand trigger bits are all alike.
    names = [name for name in tree.branches if not name.startswith(("HLT_", "L1_", "FatJet", "Tau"))]
    names += [name for name in tree.branches if name.startswith("HLT_")][:5]
    ours, theirs = tree.read(names), ntuple.read(names)
    for name, array in ours.items():
        assert array.type == theirs[name].type
        assert array.layout.form == theirs[name].layout.form
        assert ak.array_equal(array, theirs[name], equal_nan=True), name


def test_real_runs(real_file):
    file = real_file("htt_fastsim_v9")
    assert set(file.trees) == {"Runs", "LuminosityBlocks"}
    branches, arrays = file.read_tree("Runs")
    assert branches["genEventSumw"].dtype == np.float64
    assert branches["LHEScaleSumw"].collection == "LHEScaleSumw"
    assert len(arrays["run"]) == 1
    file = real_file("dy_2018_v6")
    branches, _ = file.read_tree("Runs")
    assert branches["LHEScaleSumw_"].collection == "LHEScaleSumw_"


ROUND_TRIP = ("run", "luminosityBlock", "event", "Jet_", "GenPart_", "LHEPdfWeight", "Flag_", "Pileup")


@pytest.mark.parametrize("name", ["dy_2018_v6", "tt_2024_v15"])
def test_real_events_survive_a_round_trip(real_file, tmp_path, name):
    source = real_file(name)
    branches = [b for b in source.branches.values() if b.name.startswith(ROUND_TRIP)]
    names = [branch.name for branch in branches]
    with NanoWriter(tmp_path / "copy.root") as writer:
        writer.tree("Events", branches, counter_titles=source.counter_titles)
        for *_, arrays in source.chunks(names, 64):
            writer.extend("Events", arrays)
    with NanoFile(tmp_path / "copy.root") as copy:
        assert copy.branches == {branch.name: branch for branch in branches}
        ours, theirs = copy.read(names), source.read(names)
        assert [n for n in names if not ak.array_equal(ours[n], theirs[n], equal_nan=True)] == []


def test_a_branch_that_hides_its_entries_is_a_clear_error(tmp_path, monkeypatch):
    """A damaged list of baskets makes a reader find fewer entries of a branch than the tree has."""
    make(tmp_path / "x.root")
    with NanoFile(tmp_path / "x.root") as file:
        name = next(iter(file.branches))
        read = file._events.read

        def hiding(names, start, stop):
            return {n: v[:0] if n == name else v for n, v in read(names, start, stop).items()}

        monkeypatch.setattr(file._events, "read", hiding)
        with pytest.raises(InputFileError, match=rf"x\.root: {name} has 0 of the entries 0 to \d+, expected"):
            file.read(list(file.branches))


@pytest.mark.parametrize("name", ["x.lhe", "x.lhe.gz", "x.hepmc", "x.HepMC3.xz"])
def test_generator_events_belong_to_another_command(tmp_path, name):
    (tmp_path / name).write_text("<LesHouchesEvents>", encoding="utf-8")
    with pytest.raises(
        InputFileError, match=r"generator events; make gen-level NanoAOD of them with 'flashsim gen'"
    ):
        NanoFile(tmp_path / name)
