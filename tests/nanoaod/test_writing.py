from __future__ import annotations

import warnings

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.errors import OutputFileError
from flashsim.nanoaod import writing
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.writing import COMPRESSIONS, NanoWriter

BRANCHES = (
    Branch("run", np.dtype("u4"), None, "run number"),
    Branch("luminosityBlock", np.dtype("u4")),
    Branch("event", np.dtype("u8")),
    Branch("Jet_pt", np.dtype("f4"), "Jet", "pt of the jets"),
    Branch("Jet_eta", np.dtype("f4"), "Jet"),
    Branch("Jet_phi", np.dtype("f4"), "Jet"),
    Branch("Jet_mass", np.dtype("f4"), "Jet"),
    Branch("Jet_jetId", np.dtype("u1"), "Jet"),
    Branch("Jet_isGood", np.dtype("?"), "Jet"),
    Branch("LHEPdfWeight", np.dtype("f4"), "LHEPdfWeight", "weights"),
)


def events(counts, first=0):
    counts = np.asarray(counts, dtype=np.int64)
    values = 15 + np.arange(counts.sum(), dtype=np.float32)
    jets = ak.unflatten(values, counts)
    return {
        "run": np.ones(len(counts), dtype=int),
        "luminosityBlock": np.ones(len(counts), dtype=int),
        "event": first + np.arange(len(counts)),
        "Jet_pt": jets,
        "Jet_eta": jets / 64,
        "Jet_phi": jets / 128,
        "Jet_mass": jets / 4,
        "Jet_jetId": ak.values_astype(jets * 0 + 6, np.int64),
        "Jet_isGood": jets > 20,
        "LHEPdfWeight": ak.unflatten(np.ones(2 * len(counts)), np.full(len(counts), 2)),
    }


def write(path, *chunks, branches=BRANCHES, **options):
    with NanoWriter(path, **options) as writer:
        writer.tree("Events", branches, counter_titles={"Jet": "all jets"})
        for chunk in chunks:
            writer.extend("Events", chunk)
    return path


def read(path, tree="Events"):
    with uproot.open(path) as file:
        return file[tree].arrays(how=dict)


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


def test_writes_a_ttree_with_one_counter_a_collection(tmp_path):
    with uproot.open(write(tmp_path / "x.root", events([2, 0, 1]))) as file:
        assert file.classnames() == {"Events;1": "TTree"}
        tree = file["Events"]
        assert {name for name in tree.keys() if name.startswith("n")} == {"nJet", "nLHEPdfWeight"}  # noqa: SIM118
        assert tree["nJet"].array().tolist() == [2, 0, 1]
        for branch in BRANCHES:
            if branch.collection:
                leaf = tree[branch.name].member("fLeaves")[0]
                assert leaf.member("fTitle") == f"{branch.name}[n{branch.collection}]"
                assert leaf.member("fLeafCount").member("fName") == f"n{branch.collection}"
        assert tree["nJet"].member("fLeaves")[0].member("fMaximum") == 2


def test_keeps_dtypes(tmp_path):
    for name, array in read(write(tmp_path / "x.root", events([2, 1]))).items():
        expected = {branch.name: branch.dtype for branch in BRANCHES}.get(name, np.dtype("i4"))
        assert ak.to_numpy(ak.flatten(array, axis=None)).dtype == expected, name


@pytest.mark.parametrize(
    ("version", "dtype", "unsigned"),
    [("v5", "u4", True), ("v6", "u4", True), ("v9", "u4", True), ("v12", "i4", False), ("v15", "i4", False)],
)
def test_counters_have_the_type_of_the_version(tmp_path, version, dtype, unsigned):
    # C++ asks for counters by type, and TTreeReaderValue<UInt_t> gives 0 on an Int_t without an error.
    with uproot.open(write(tmp_path / "x.root", events([2, 0, 7]), version=version)) as file:
        counter = file["Events"]["nJet"]
        assert counter.interpretation.to_dtype.newbyteorder("=") == np.dtype(dtype)
        np.testing.assert_array_equal(counter.array(library="np"), np.array([2, 0, 7], dtype=dtype))
        leaf = counter.member("fLeaves")[0]
        assert leaf.classname == "TLeafI"
        members = {name: leaf.member(name) for name in ("fLenType", "fIsUnsigned", "fIsRange", "fMaximum")}
        assert members == {"fLenType": 4, "fIsUnsigned": unsigned, "fIsRange": True, "fMaximum": 7}
        assert file["Events"]["Jet_pt"].array().tolist()[1:] == [[], [*range(17, 24)]]


@pytest.mark.parametrize(("source", "version"), [("dy_2018_v6", "v6"), ("scouting_run3", "v12")])
def test_counters_are_stored_as_those_of_cms(tmp_path, nanoaod_dir, source, version):
    output = write(tmp_path / "x.root", events([2]), version=version)
    with uproot.open(nanoaod_dir / f"{source}.root") as cms, uproot.open(output) as own:
        branches = [next(b for b in f["Events"].branches if b.name[0] == "n") for f in (cms, own)]
        leaves = [branch.member("fLeaves")[0] for branch in branches]
        for pair, names in (
            (branches, ("fEntryOffsetLen", "fOffset", "fSplitLevel")),
            (leaves, ("fLen", "fLenType", "fOffset", "fIsRange", "fIsUnsigned", "fMinimum", "fLeafCount")),
        ):
            theirs, ours = ({name: part.member(name) for name in names} for part in pair)
            assert ours == theirs
        assert leaves[0].classname == leaves[1].classname


def test_titles_are_documentation(tmp_path):
    with uproot.open(write(tmp_path / "x.root", events([2]))) as file:
        titles = {branch.name: branch.title for branch in file["Events"].branches}
    assert titles["run"] == "run number"
    assert titles["Jet_pt"] == "pt of the jets"
    assert titles["LHEPdfWeight"] == "weights"
    assert titles["nJet"] == "all jets"


def test_titles_are_there_without_entries(tmp_path):
    with uproot.open(write(tmp_path / "x.root")) as file:
        assert file["Events"]["Jet_pt"].title == "pt of the jets"


@pytest.mark.parametrize("empty_at", [0, 1, 2])
def test_empty_chunks_make_no_empty_baskets(tmp_path, monkeypatch, empty_at):
    monkeypatch.setattr(writing, "_FLUSH_BYTES", 1)
    chunks = [events([1, 2]), events([3, 0], first=2)]
    chunks.insert(empty_at, events([]))
    with uproot.open(write(tmp_path / "x.root", *chunks)) as file:
        for branch in file["Events"].branches:
            assert np.all(np.diff(branch.entry_offsets) > 0)
        assert file["Events"]["Jet_pt"].array().tolist() == [[15], [16, 17], [15, 16, 17], []]


def test_small_chunks_share_baskets(tmp_path):
    with uproot.open(write(tmp_path / "x.root", *[events([1], first=i) for i in range(50)])) as file:
        assert file["Events"]["Jet_pt"].num_baskets == 1
        assert file["Events"]["event"].array().tolist() == list(range(50))


def test_large_chunks_are_cut_into_baskets(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_FLUSH_BYTES", 2000)
    data = events([3, 1] * 200)
    with uproot.open(write(tmp_path / "x.root", data)) as file:
        assert file["Events"]["Jet_pt"].num_baskets > 5
        assert file["Events"]["Jet_pt"].array().tolist() == data["Jet_pt"].tolist()


def test_a_tree_never_extended_is_valid(tmp_path):
    arrays = read(write(tmp_path / "x.root", events([])))
    assert {len(array) for array in arrays.values()} == {0}


@settings(max_examples=25, deadline=None)
@given(
    chunks=st.lists(st.lists(st.integers(0, 4), max_size=4), max_size=5),
    flush=st.sampled_from([1, 100, 10**7]),
)
def test_reads_back_what_was_written_however_it_is_cut(tmp_path_factory, chunks, flush):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "_FLUSH_BYTES", flush)
        data = [events(chunk) for chunk in chunks]
        arrays = read(write(tmp_path_factory.mktemp("cut") / "x.root", *data))
    for branch in BRANCHES:
        expected = [entry for chunk in data for entry in chunk[branch.name].tolist()]
        assert arrays[branch.name].tolist() == expected, branch.name


@settings(max_examples=40, deadline=None)
@given(
    dtype=st.sampled_from(["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]),
    data=st.data(),
)
def test_every_value_of_every_dtype_survives(tmp_path_factory, dtype, data):
    kind = np.dtype(dtype)
    if kind.kind == "b":
        elements = st.booleans()
    elif kind.kind == "f":
        elements = st.floats(width=kind.itemsize * 8)
    else:
        elements = st.integers(int(np.iinfo(kind).min), int(np.iinfo(kind).max))
    lists = data.draw(st.lists(st.lists(elements, max_size=3), min_size=1, max_size=4))
    values = np.array([value for entry in lists for value in entry], dtype=kind)
    column = ak.unflatten(values, [len(entry) for entry in lists])
    path = tmp_path_factory.mktemp("dtype") / "x.root"
    write(path, {"X_y": column}, branches=[Branch("X_y", kind, "X")])
    back = read(path)["X_y"]
    assert ak.num(back).tolist() == [len(entry) for entry in lists]
    np.testing.assert_array_equal(ak.to_numpy(ak.flatten(back)), values)


def test_members_and_a_branch_of_the_collection_itself_share_a_counter(tmp_path):
    branches = [Branch("W", np.dtype("f4"), "W"), Branch("W_id", np.dtype("i4"), "W")]
    column = ak.Array([[1, 2], []])
    arrays = read(write(tmp_path / "x.root", {"W": column, "W_id": column}, branches=branches))
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "nW": [2, 0],
        "W": [[1, 2], []],
        "W_id": [[1, 2], []],
    }


def refused(tmp_path, match, **changes):
    data = events([2, 1]) | changes
    with pytest.raises(ValueError, match=match):
        write(tmp_path / "x.root", {name: array for name, array in data.items() if array is not None})
    assert leftovers(tmp_path) == []


def test_refuses_wrong_columns(tmp_path):
    refused(tmp_path, "lack Jet_eta", Jet_eta=None)
    refused(tmp_path, "unknown nJet", nJet=np.array([2, 1]))
    refused(tmp_path, "2 entries in 'run' and 1 in 'event'", event=np.array([1]))
    refused(tmp_path, "2 in 'Jet_pt' and 1 in 'Jet_phi' at entry 0", Jet_phi=ak.Array([[1.0], [2.0]]))
    refused(tmp_path, "'Jet_jetId'.*256", Jet_jetId=ak.Array([[1, 256], [0]]))
    refused(tmp_path, "'Jet_jetId'.*nan", Jet_jetId=ak.Array([[1, np.nan], [0]]))
    refused(tmp_path, "'run'.*-1", run=np.array([1, -1]))
    refused(tmp_path, "'Jet_isGood'.*inf", Jet_isGood=ak.Array([[1, np.inf], [0]]))


def test_a_refused_chunk_leaves_nothing_in_the_tree(tmp_path):
    with NanoWriter(tmp_path / "x.root") as writer:
        writer.tree("Events", BRANCHES)
        writer.extend("Events", events([1]))
        with pytest.raises(ValueError, match="Jet_jetId"):
            writer.extend("Events", events([1]) | {"Jet_jetId": ak.Array([[-1]])})
        writer.extend("Events", events([2], first=7))
    assert read(tmp_path / "x.root")["event"].tolist() == [0, 7]


@pytest.mark.parametrize(
    ("branches", "match"),
    [
        ([], "at least one"),
        ([BRANCHES[0], BRANCHES[0]], "twice"),
        ([BRANCHES[3], Branch("nJet", np.dtype("i4"))], "counter"),
        ([Branch("x", np.dtype("f2"))], "float16"),
        ([Branch("x", np.dtype("U3"))], "cannot store"),
    ],
)
def test_refuses_impossible_trees(tmp_path, branches, match):
    with pytest.raises(ValueError, match=match):
        write(tmp_path / "x.root", branches=branches)
    assert leftovers(tmp_path) == []


def test_refuses_trees_twice_or_undeclared(tmp_path):
    with NanoWriter(tmp_path / "x.root") as writer:
        writer.tree("Events", BRANCHES)
        with pytest.raises(ValueError, match="twice"):
            writer.tree("Events", BRANCHES)
        with pytest.raises(ValueError, match="declared are Events"):
            writer.extend("Runs", {})


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_leaves_nothing_behind_when_interrupted(tmp_path, error):
    def interrupted():
        with NanoWriter(tmp_path / "x.root") as writer:
            writer.tree("Events", BRANCHES)
            writer.extend("Events", events([1]))
            assert sorted(name.rpartition(".")[2] for name in leftovers(tmp_path)) == ["lock", "part"]
            raise error

    with pytest.raises(error):
        interrupted()
    assert leftovers(tmp_path) == []


def test_an_interrupt_keeps_the_file_that_was_to_be_replaced(tmp_path):
    path = write(tmp_path / "x.root", events([1]))
    before = path.read_bytes()

    def interrupted():
        with NanoWriter(path, force=True) as writer:
            writer.tree("Events", BRANCHES)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == before


def test_a_full_disk_is_one_clear_error(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("uproot.writing._cascadetree.Tree.extend", full)
    with pytest.raises(OutputFileError, match=r"x\.root: cannot be written \(No space left on device\)"):
        write(tmp_path / "x.root", events([1]))
    assert leftovers(tmp_path) == []


def test_refuses_to_overwrite_unless_forced(tmp_path):
    path = write(tmp_path / "x.root", events([1]))
    with pytest.raises(OutputFileError, match="exists already"):
        NanoWriter(path)
    write(path, events([3]), force=True)
    assert read(path)["nJet"].tolist() == [3]
    assert leftovers(tmp_path) == ["x.root"]


def test_refuses_to_overwrite_what_came_meanwhile(tmp_path):
    path = tmp_path / "x.root"

    def race():
        with NanoWriter(path) as writer:
            writer.tree("Events", BRANCHES)
            path.write_text("theirs")

    with pytest.raises(OutputFileError, match="exists already"):
        race()
    assert path.read_text() == "theirs"
    assert leftovers(tmp_path) == ["x.root"]


def test_refuses_impossible_places(tmp_path):
    with pytest.raises(OutputFileError, match="does not exist"):
        NanoWriter(tmp_path / "no" / "x.root")
    with pytest.raises(OutputFileError, match="is a folder"):
        NanoWriter(tmp_path, force=True)
    with pytest.raises(OutputFileError, match="local"):
        NanoWriter("root://host//x.root")


def test_needs_a_with_block(tmp_path):
    with pytest.raises(RuntimeError, match="'with'"):
        NanoWriter(tmp_path / "x.root").tree("Events", BRANCHES)


@pytest.mark.parametrize("compression", sorted(COMPRESSIONS))
def test_compressions(tmp_path, compression):
    path = write(tmp_path / "x.root", events([1] * 2000), compression=compression)
    plain = write(tmp_path / "plain.root", events([1] * 2000), compression="none")
    assert read(path)["Jet_pt"].tolist() == read(plain)["Jet_pt"].tolist()
    assert (path.stat().st_size < plain.stat().st_size) == (compression != "none")


def test_refuses_unknown_compressions(tmp_path):
    with pytest.raises(ValueError, match="zstd, lz4"):
        NanoWriter(tmp_path / "x.root", compression="rar")


@pytest.mark.parametrize("text", ["", "untagged", "long " * 1000, "Müon"])
def test_strings(tmp_path, text):
    with NanoWriter(tmp_path / "x.root") as writer:
        writer.tree("Events", BRANCHES)
        writer.write_string("flashsim_config", text)
    with uproot.open(tmp_path / "x.root") as file:
        assert file.classnames()["flashsim_config;1"] == "TObjString"
        assert str(file["flashsim_config"]) == text


def test_two_trees_grow_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_FLUSH_BYTES", 1)
    runs = [Branch("run", np.dtype("u4")), Branch("LHEScaleSumw_", np.dtype("f8"), "LHEScaleSumw_")]
    with NanoWriter(tmp_path / "x.root") as writer:
        writer.tree("Events", BRANCHES)
        writer.tree("Runs", runs)
        for index in range(25):
            writer.extend("Events", events([2, 0]))
            writer.extend("Runs", {"run": [index], "LHEScaleSumw_": ak.Array([[0.5, 1.5]])})
    assert read(tmp_path / "x.root")["nJet"].tolist() == [2, 0] * 25
    assert read(tmp_path / "x.root", "Runs")["run"].tolist() == list(range(25))
    assert read(tmp_path / "x.root", "Runs")["nLHEScaleSumw_"].tolist() == [2] * 25


def test_coffea_reads_it(tmp_path):
    path = write(tmp_path / "x.root", events([2, 0, 1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

        factory = NanoEventsFactory.from_root({str(path): "Events"}, schemaclass=NanoAODSchema, mode="eager")
        loaded = factory.events()
        assert ak.num(loaded.Jet).tolist() == [2, 0, 1]
        assert ak.to_numpy(loaded.Jet[0, :1].mass).tolist() == [3.75]
        assert loaded.Jet.__doc__ == "all jets"
        assert loaded.Jet.pt.__doc__ == "pt of the jets"
