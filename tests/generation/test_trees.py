"""Trees beside the events: those of NanoAOD are copied, others on request."""

from __future__ import annotations

import numpy as np
import pytest
import uproot

from flashsim.errors import InputFileError, OutputFileError
from flashsim.generation.report import remarks
from flashsim.nanoaod.provenance import GENERATION, read_provenance
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.writing import NanoWriter

EVENTS = 240


@pytest.fixture(scope="module")
def source(made_nanoaod, tmp_path_factory):
    """The made file with a friend of the events, another tree, a folder, a histogram and a text."""
    path = tmp_path_factory.mktemp("trees") / "in.root"
    path.write_bytes(made_nanoaod.read_bytes())
    with uproot.update(path) as file:
        for name, entries in {"Friends": EVENTS, "Cuts": 3}.items():
            file.mktree(name, {"number": "i4", "Jet": "var * float32"}).extend(
                {"number": np.arange(entries), "Jet": [[0.5] * (k % 3) for k in range(entries)]}
            )
        file.mktree("folder/Inner", {"x": "i4"}).extend({"x": np.arange(2)})
        file["histogram"] = np.histogram([1.0, 2.0])
        file["comment"] = "made"
    return path


def test_others_are_left_out_and_said(make_generator, source, tmp_path):
    summary = make_generator().run(source, tmp_path / "out.root")
    with NanoFile(tmp_path / "out.root") as file:
        assert set(file.trees) == {"Runs", "LuminosityBlocks"}
    said = [text for text in remarks(summary) if text.startswith("left out of the input: ")]
    trees, others = (
        "Friends, Cuts (a tree: --keep NAME keeps it)",
        "folder, histogram, comment (cannot be kept)",
    )
    assert said == [f"left out of the input: {trees}, {others}"]
    assert read_provenance(tmp_path / "out.root", GENERATION)["trees"] == []


def test_nothing_is_said_of_plain_nanoaod(make_generator, made_nanoaod, tmp_path):
    assert not any(
        "left out of" in text for text in remarks(make_generator().run(made_nanoaod, tmp_path / "o.root"))
    )


@pytest.mark.parametrize("chunk", [7, 5000])
@pytest.mark.parametrize("folds", [1, 3])
def test_kept_trees_follow_the_events(make_generator, source, tmp_path, folds, chunk):
    summary = make_generator(oversample=folds, chunk=chunk).run(
        source, tmp_path / "out.root", keep=["Fri*", "Cuts"]
    )
    assert summary.trees_left == []
    with NanoFile(tmp_path / "out.root") as file:
        assert set(file.trees) == {"Runs", "LuminosityBlocks", "Friends", "Cuts"}
        friends, cuts = file.read_tree("Friends")[1], file.read_tree("Cuts")[1]
        assert file.tree_entries("Friends") == file.num_entries
        assert file.read(["event"])["event"].tolist() == [
            10_000_000_000 + number for number in friends["number"].tolist()
        ]
    assert friends["number"].tolist() == np.repeat(np.arange(EVENTS), folds).tolist()
    assert friends["Jet"].tolist() == [[0.5] * (k % 3) for k in range(EVENTS) for _ in range(folds)]
    assert cuts["number"].tolist() == [0, 1, 2]
    assert read_provenance(tmp_path / "out.root", GENERATION)["trees"] == ["Friends", "Cuts"]


def test_patterns_may_name_branches_trees_or_both(make_generator, source, tmp_path):
    make_generator().run(source, tmp_path / "out.root", keep=["HLT_*", "[CH]*"])
    with NanoFile(tmp_path / "out.root") as file:
        assert file.has("HLT_IsoMu24")
        assert "Cuts" in file.trees
    with pytest.raises(InputFileError, match=r"in\.root: has no branch or tree that fits --keep 'folder'"):
        make_generator().run(source, tmp_path / "other.root", keep=["folder"])


def test_an_output_with_other_trees_is_not_finished(make_generator, source, tmp_path):
    make_generator().run(source, tmp_path / "out.root", keep=["Cuts"])
    assert make_generator().run(source, tmp_path / "out.root", keep=["Cuts"], resume=True).reused
    with pytest.raises(OutputFileError, match="is finished, but of another set of kept trees"):
        make_generator().run(source, tmp_path / "out.root", resume=True)


def test_doubts_of_the_version_are_said(make_generator, made_nanoaod, tmp_path):
    path = tmp_path / "in.root"
    generator = make_generator()
    needed = generator.plan(NanoFile(made_nanoaod)).needed
    few = [*(name for name in needed if not name.startswith("GenVtx_")), "genWeight"]
    with NanoFile(made_nanoaod) as file, NanoWriter(path) as writer:
        writer.tree("Events", [file.branches[name] for name in few])
        writer.extend("Events", file.read(few))
    summary = generator.run(path, tmp_path / "out.root")
    assert summary.version == "v5"
    assert (
        "taken for NanoAOD v5: no branch came with a later version; say --nano-version if it is another"
    ) in remarks(summary)
    summary = generator.run(path, tmp_path / "v9.root", version="v9")
    assert (summary.version, summary.doubt) == ("v9", "")
