from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from flashsim.declarations.output import load_output
from flashsim.errors import InputFileError, ModelFileError, OutputFileError
from flashsim.generation.generate import DEFAULT_CHUNK, Generator
from flashsim.interface.inspection import shipped_objects
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.writing import NanoWriter

EVENTS = 240
OBJECTS = shipped_objects("object")
COLLECTIONS = [declaration.collection for declaration in OBJECTS]


def copy_events(source, target, start, stop, leave_out=()):
    """Copy a range of events into a file of its own."""
    with NanoFile(source) as file, NanoWriter(target) as writer:
        branches = [b for b in file.branches.values() if b.name not in leave_out]
        writer.tree("Events", branches)
        writer.extend("Events", file.read([b.name for b in branches], start, stop))
    return target


def test_summary(generated, made_nanoaod):
    summary, path = generated
    assert (summary.input, summary.output) == (str(made_nanoaod), str(path))
    assert (summary.version, summary.events) == ("v9", EVENTS)
    assert summary.stale == ["Tau_jetIdx"]
    assert summary.trained_on == {}
    with NanoFile(path) as file:
        counts = {name: int(ak.sum(ak.num(file.read([f"{name}_pt"])[f"{name}_pt"]))) for name in COLLECTIONS}
    assert summary.objects == counts
    assert min(counts.values()) > EVENTS / 4


def test_what_is_outside_of_the_training_is_told_and_flagged(make_generator, made_nanoaod, content, tmp_path):
    path, generator = tmp_path / "flagged.root", make_generator(flag_domain=True, chunk=50)
    summary = generator.run(made_nanoaod, path)
    again = generator.run(made_nanoaod, path, resume=True)
    assert again.reused
    assert again.outside_counts == summary.outside_counts
    assert set(summary.outside_counts) == set(generator.phase_spaces)
    with NanoFile(made_nanoaod) as file:
        jets = file.read(["GenJet_pt"])["GenJet_pt"]
    assert summary.outside_counts["GenJet for Jet"].rows == ak.sum(ak.num(jets))
    flags = {name: found for name, found in content(path).items() if name.endswith("outsideDomain")}
    assert {name: dtype for name, (dtype, _, _) in flags.items()} == dict.fromkeys(
        (f"{name}_outsideDomain" for name in (*COLLECTIONS, "Vertices")), np.dtype("bool")
    )
    make_generator().run(made_nanoaod, tmp_path / "plain.root")
    others = {name: found for name, found in content(path).items() if name not in flags}
    assert others == content(tmp_path / "plain.root")
    with pytest.raises(OutputFileError, match="of another set of branches"):
        make_generator().run(made_nanoaod, path, resume=True)


def test_generator_level_is_the_inputs_bit_by_bit(generated, made_nanoaod, content):
    before, after = content(made_nanoaod), content(generated[1])
    copied = {name for name in before if name.startswith(("Gen", "gen", "LHE", "Pileup"))}
    copied |= {"run", "luminosityBlock", "event", "HLT_IsoMu24", "Tau_pt"}
    assert {name: after[name] for name in copied} == {name: before[name] for name in copied}
    with NanoFile(made_nanoaod) as source, NanoFile(generated[1]) as output:
        assert {n: output.branches[n] for n in copied} == {n: source.branches[n] for n in copied}
        for collection in ("GenJet", "Tau"):
            assert output.counter_titles[collection] == source.counter_titles[collection]
        assert "slimmedJets" in output.counter_titles["Jet"]


def test_nothing_reconstructed_is_left_of_the_input(generated, made_nanoaod, content):
    before, after = content(made_nanoaod), content(generated[1])
    assert "MET_pt" not in after
    same = [
        name
        for name in after
        if name.startswith(tuple(f"{c}_" for c in COLLECTIONS)) and after[name] == before.get(name)
    ]
    assert same == []


def test_file_is_a_tree_that_root_reads(generated):
    with uproot.open(generated[1]) as file:
        assert file.classnames()["Events;1"] == "TTree"
        tree = file["Events"]
        assert tree.num_entries == EVENTS
        for branch in tree.branches:
            assert np.all(np.diff(branch.entry_offsets) > 0), branch.name
        counters = {key for key in tree.keys() if key.startswith("n")}  # noqa: SIM118  # not a mapping
        assert counters == {
            f"n{name}" for name in (*COLLECTIONS, "GenPart", "GenJet", "Tau", "TrigObj", "LHEPdfWeight")
        }
        assert all(
            branch.title and "/" not in branch.title for branch in tree.branches if "Jet_" in branch.name
        )


def test_other_trees_are_copied(generated, made_nanoaod):
    with NanoFile(made_nanoaod) as source, NanoFile(generated[1]) as output:
        assert set(output.trees) == {"Runs", "LuminosityBlocks"}
        for name in output.trees:
            expected, found = source.read_tree(name), output.read_tree(name)
            assert found[0] == expected[0]
            assert {k: v.tolist() for k, v in found[1].items()} == {
                k: v.tolist() for k, v in expected[1].items()
            }


def test_provenance(generated, loaded_models):
    with uproot.open(generated[1]) as file:
        made = json.loads(str(file["flashsim"]))
    assert (made["seed"], made["command"], made["input"]) == (1, "flashsim test", "made.root")
    digests = {model.declaration.name: model.digest for model in loaded_models}
    assert {name: model["sha256"] for name, model in made["models"].items()} == digests
    assert all(len(digest) == 64 for digest in digests.values())
    origins = made["origins"]
    assert "Jet_pt" in origins["simulated"]["Jet"]
    assert "Jet" not in origins["copied"]
    assert "HLT_IsoMu27" in origins["emulated"]["HLT"]
    assert "Flag_METFilters" in origins["constant"]["Flag"]
    assert "Photon_pt" in origins["absent"]["Photon"]


def test_events_are_consistent(generated):
    with NanoFile(generated[1]) as file:
        a = file.read([n for n in file.branches if n.startswith((*COLLECTIONS, "GenJet", "GenPart_p"))])
    for declaration in OBJECTS:
        threshold = next(target.threshold for target in declaration.targets if target.branch == "pt")
        pt = a[f"{declaration.collection}_pt"]
        assert ak.all(pt[:, :-1] >= pt[:, 1:])
        assert ak.min(pt) >= threshold
        assert ak.all(abs(a[f"{declaration.collection}_phi"]) <= np.float32(np.pi))
        gen, index = declaration.gen_collection, a[f"{declaration.collection}_{declaration.match}"]
        assert ak.all(index < ak.num(a[f"{gen.branch}_pt"]))
        if gen.abs_pdg_id:
            matched = abs(a["GenPart_pdgId"][index[index >= 0]])
            assert set(ak.flatten(matched)) == set(gen.abs_pdg_id)


@pytest.mark.parametrize("link", load_output().links, ids=lambda link: link.source)
def test_cross_references_agree(generated, link):
    names = (*link.back, link.count)
    with NanoFile(generated[1]) as file:
        a = file.read([f"{link.source}_{link.index}", *(f"{link.target}_{name}" for name in names)])
    pointed, number = a[f"{link.source}_{link.index}"].tolist(), a[f"{link.target}_{link.count}"].tolist()
    for event, target_of in enumerate(pointed):
        for target, count in enumerate(number[event]):
            sources = [source for source, index in enumerate(target_of) if index == target]
            assert count == len(sources)
            back = [a[f"{link.target}_{name}"][event][target] for name in link.back]
            assert back == [*sources, -1, -1][: len(back)]
    assert np.any(ak.flatten(a[f"{link.source}_{link.index}"]) >= 0)


@pytest.fixture(scope="module")
def few(made_nanoaod, make_generator, tmp_path_factory):
    """Give a file of 15 events and what is generated from it at once."""
    folder = tmp_path_factory.mktemp("few")
    source = copy_events(made_nanoaod, folder / "few.root", 0, 15)
    make_generator().run(source, folder / "flash.root")
    return source, folder / "flash.root"


@pytest.mark.parametrize("chunk", [1, 7, 14])
def test_chunks_change_nothing(few, make_generator, content, tmp_path, chunk):
    source, expected = few
    seen = []
    make_generator(chunk=chunk).run(
        source, tmp_path / "out.root", progress=lambda done, total: seen.append((done, total))
    )
    assert content(tmp_path / "out.root") == content(expected)
    assert seen == [(done, 15) for done in [*range(0, 15, chunk), 15]]


def test_splitting_the_file_changes_nothing(made_nanoaod, make_generator, generated, tmp_path):
    parts = []
    for number, (start, stop) in enumerate(((0, 1), (1, EVENTS))):
        source = copy_events(made_nanoaod, tmp_path / f"in{number}.root", start, stop)
        make_generator().run(source, tmp_path / f"out{number}.root", keep=["HLT_*", "Tau_*"])
        with NanoFile(tmp_path / f"out{number}.root") as file:
            parts.append(file.read(list(file.branches)))
    with NanoFile(generated[1]) as file:
        whole = file.read(list(parts[0]))
    for name, array in whole.items():
        joined = ak.concatenate([part[name] for part in parts])
        assert ak.to_list(joined) == ak.to_list(array), name


def test_no_more_than_a_chunk_is_in_memory(made_nanoaod, make_generator, tmp_path, monkeypatch):
    sizes = []
    extend = NanoWriter.extend

    def spy(self, name, arrays):
        if name == "Events":
            sizes.append(len(arrays["event"]))
        extend(self, name, arrays)

    monkeypatch.setattr(NanoWriter, "extend", spy)
    make_generator(chunk=50).run(made_nanoaod, tmp_path / "out.root")
    assert sizes == [50, 50, 50, 50, 40]


def test_no_events(made_nanoaod, make_generator, generated, tmp_path):
    source = copy_events(made_nanoaod, tmp_path / "empty.root", 0, 0)
    summary = make_generator().run(source, tmp_path / "out.root", keep=["HLT_*", "Tau_*"])
    assert (summary.events, summary.objects) == (0, dict.fromkeys(COLLECTIONS, 0))
    with NanoFile(tmp_path / "out.root") as file, NanoFile(generated[1]) as full:
        assert file.num_entries == 0
        assert {n: (b.dtype, b.collection) for n, b in file.branches.items()} == {
            n: (b.dtype, b.collection) for n, b in full.branches.items()
        }


def test_another_version(made_nanoaod, make_generator, tmp_path):
    summary = make_generator().run(made_nanoaod, tmp_path / "out.root", version="v12")
    assert summary.version == "v12"
    assert {"Jet_puId", "Jet_qgl"} <= set(summary.left_out)
    assert summary.trained_on == dict.fromkeys((*COLLECTIONS, "Vertices"), "v9")
    with NanoFile(tmp_path / "out.root") as file:
        assert file.branches["Jet_genJetIdx"].dtype == np.int16
        assert file.branches["Jet_nConstituents"].dtype == np.uint8
        assert not file.has("Jet_qgl")


class Interrupted(BaseException):
    """As an interrupt of the user, which is no Exception."""


def stop_midway(done, total):
    if done > total / 2:
        raise Interrupted


def test_stopped_midway_leaves_nothing(made_nanoaod, make_generator, tmp_path):
    with pytest.raises(Interrupted):
        make_generator(chunk=50).run(made_nanoaod, tmp_path / "out.root", progress=stop_midway)
    assert list(tmp_path.iterdir()) == []


def test_damage_midway_leaves_nothing(made_nanoaod, make_generator, tmp_path):
    source = tmp_path / "damaged.root"
    with uproot.open(made_nanoaod) as file:
        basket = file["Events/GenPart_phi"].member("fBasketSeek")[0]
    content = bytearray(Path(made_nanoaod).read_bytes())
    content[basket + 80 : basket + 400] = bytes(320)
    source.write_bytes(content)
    with pytest.raises(
        InputFileError, match=r"damaged\.root: is not a ROOT file that can be read, or is damaged"
    ):
        make_generator().run(source, tmp_path / "out.root")
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("force", [False, True])
def test_the_input_is_never_replaced(made_nanoaod, make_generator, tmp_path, force):
    source = copy_events(made_nanoaod, tmp_path / "in.root", 0, 2)
    (tmp_path / "link.root").symlink_to(source)
    before = source.read_bytes()
    with pytest.raises(OutputFileError, match=r"link\.root: is an input"):
        make_generator().run(source, tmp_path / "link.root", force=force)
    assert source.read_bytes() == before


def test_an_output_is_replaced_only_when_told(made_nanoaod, make_generator, tmp_path):
    source = copy_events(made_nanoaod, tmp_path / "in.root", 0, 2)
    output = tmp_path / "out.root"
    output.write_bytes(b"precious")
    with pytest.raises(OutputFileError, match=r"out\.root: exists already"):
        make_generator().run(source, output)
    assert output.read_bytes() == b"precious"
    make_generator().run(source, output, force=True)
    with NanoFile(output) as file:
        assert file.num_entries == 2


def test_a_failed_replacement_keeps_the_old_output(made_nanoaod, make_generator, tmp_path):
    output = tmp_path / "out.root"
    output.write_bytes(b"precious")
    with pytest.raises(Interrupted):
        make_generator(chunk=50).run(made_nanoaod, output, force=True, progress=stop_midway)
    assert output.read_bytes() == b"precious"


def test_models_must_fit_together(loaded_models):
    model = loaded_models[0]
    with pytest.raises(ModelFileError, match=f"two models simulate {model.declaration.collection}"):
        Generator([model, model], load_output())
    with pytest.raises(ModelFileError, match="name at least one model"):
        Generator([], load_output())


def test_one_object_alone(made_nanoaod, loaded_models, generated, content, tmp_path):
    """Simulating other objects does not change muons, which are given vertices, but for what jets tell."""
    models = [model for model in loaded_models if model.declaration.collection in {"Muon", "Vertices"}]
    Generator(models, load_output()).run(made_nanoaod, tmp_path / "out.root")
    alone, both = content(tmp_path / "out.root"), content(generated[1])
    added = {f"Muon_{link.index}" for link in load_output().links if link.source == "Muon"}
    assert not {"Jet_pt", "Electron_pt", *added} & alone.keys()
    linked = {
        d.branch(b) for d in (m.declaration for m in models) for link in d.linked for b in link.formulas
    }
    assert linked
    assert {n: v for n, v in alone.items() if n.startswith("Muon_") and n not in linked} == {
        n: v for n, v in both.items() if n.startswith("Muon_") and n not in added | linked
    }


def test_values_that_objects_are_given_must_be_simulated(loaded_models):
    (jets,) = (model for model in loaded_models if model.declaration.collection == "Jet")
    with pytest.raises(ModelFileError, match="given fixedGridRhoFastjetAll of Vertices, which no model"):
        Generator([jets], load_output())


def without(models, collection, branch):
    """Models of which the one of a collection does not simulate a branch."""

    def changed(declaration):
        kept = [target for target in declaration.targets if target.branch != branch]
        return declaration.model_copy(update={"targets": kept})

    return [
        replace(model, declaration=changed(model.declaration))
        if model.declaration.collection == collection
        else model
        for model in models
    ]


def given_of(models):
    """What objects are given of models of others, once for each pair: (given, collection, branch)."""
    drawn = {m.declaration.collection: [t.branch for t in m.declaration.targets] for m in models}
    for declaration in (model.declaration for model in models):
        results = [(e.of.removeprefix("reco."), e.branch) for e in declaration.event_results()]
        fields = [(name, field) for name, of in declaration.reconstructed().items() for field in of]
        found = {name: branch for name, branch in (*results, *fields) if branch in drawn.get(name, ())}
        yield from ((declaration.name, name, branch) for name, branch in found.items())


def test_models_that_lack_what_others_are_given(loaded_models):
    """A user's model of few targets: the message says what is missing, of which model, and for which."""
    pairs = list(given_of(loaded_models))
    assert {name for _, name, _ in pairs} > {"Vertices"}
    for given, collection, branch in pairs:
        words = f"are drawn given {branch} of {collection}, which the model of {collection} does not simulate"
        with pytest.raises(
            ModelFileError, match=rf"{words} \(it has .*\): train it from files with"
        ) as error:
            Generator(without(loaded_models, collection, branch), load_output())
        assert "\n" not in str(error.value)
        assert given


def test_quiet_and_a_sensible_chunk(made_nanoaod, make_generator, tmp_path, caplog, capfd):
    with caplog.at_level(logging.WARNING):
        make_generator().run(copy_events(made_nanoaod, tmp_path / "in.root", 0, 3), tmp_path / "out.root")
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
    assert 1000 <= DEFAULT_CHUNK <= 20_000
