from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save
from safetensors.torch import save_file
from written_models import PARTS, as_version_5, contents, put

from flashsim.declarations.objects import load_object
from flashsim.declarations.unmatched import PLACE
from flashsim.errors import ModelFileError, OutputFileError
from flashsim.flows import Flow
from flashsim.flows.maf import ConditionalMAF
from flashsim.learning.perceptron_module import PerceptronModule
from flashsim.models.object_model import FORMAT_VERSION, ObjectModel, read_header
from flashsim.models.unmatched_model import PlacedModel, UnmatchedModel
from flashsim.transforms.codec import ConditioningCodec, TargetCodec
from flashsim.transforms.phase_space import PhaseSpace

ROWS = 300


def maf(*sizes, **others):
    module = ConditionalMAF(*sizes, **others)
    return Flow.of("spline_maf", module.architecture(), module)


def references(declaration):
    """Names of all that relations of a declaration need."""
    return [*declaration.references(), *(f"conditioning.{n}" for n in declaration.related_conditioning())]


@pytest.fixture(scope="module", params=["unmatched", "none unmatched", "placed"])
def model(request):
    """Untrained model of muons."""
    some = request.param != "none unmatched"
    declaration = load_object("muons").with_targets({"pt", "eta", "phi", "charge", "dxy"})
    rng = np.random.default_rng(1)
    names = [name for entry in declaration.conditioning for name in entry.columns()]
    of_gen = {n: rng.exponential(5.0, ROWS) for n in names}
    conditioning = ConditioningCodec.fit(declaration.conditioning, of_gen)
    (source,) = (source for source in declaration.unmatched if source.is_event)
    placed = None if request.param == "unmatched" else declaration.placed
    declaration = declaration.model_copy(update={"unmatched": [source], "placed": placed})
    of_events = {n: rng.exponential(5.0, ROWS) for n in source.columns}
    events = ConditioningCodec.fit(source.conditioning, of_events)
    columns = {target.branch: rng.normal(4.0, 1.0, ROWS) for target in declaration.targets}
    gen = {name: np.abs(rng.normal(4.0, 1.0, ROWS)) for name in references(declaration)}
    torch.manual_seed(1)
    drawn = source.related(declaration.source_targets())
    count, context = len(declaration.targets), len(events.transforms)
    unmatched = UnmatchedModel(
        conditioning=events,
        count=PerceptronModule(context, source.max_count + 1, width=4, depth=1).trained(),
        targets=TargetCodec.fit(drawn, columns, {}) if some else None,
        flow=maf(len(drawn), context, layers=1, width=8, bins=4) if some else None,
        phase_space=PhaseSpace.fit(source.conditioning, of_events),
    )
    return ObjectModel(
        declaration=declaration,
        nanoaod_version="v9",
        conditioning=conditioning,
        efficiency=PerceptronModule(len(conditioning.transforms), 1, width=4, depth=1, dropout=0.5).trained(),
        targets=TargetCodec.fit(declaration.targets, columns, gen),
        flow=maf(count, len(conditioning.transforms), layers=2, width=8, bins=4, dropout=0.1),
        unmatched={"event": unmatched},
        placed=placed_model(declaration, columns, rng) if request.param == "placed" else None,
        phase_space=PhaseSpace.fit(declaration.conditioning, of_gen),
        provenance={"events": {"train": 5}, "note": "ä"},
    )


def placed_model(declaration, columns, rng):
    """Untrained model of what unmatched muons are at their places."""
    placed = declaration.placed
    names = [name for entry in placed.conditioning for name in entry.columns()]
    around = {name: rng.exponential(5.0, ROWS) for name in names}
    place = {name: columns[name] for name in PLACE}
    related, exact = placed.related(declaration.targets), placed.exact(declaration.relations)
    targets = TargetCodec.fit(related, columns, place, relations=exact)
    return PlacedModel(
        conditioning=ConditioningCodec.fit(placed.conditioning, around),
        targets=targets,
        flow=maf(targets.width, len(names), layers=1, width=8, bins=4),
        phase_space=PhaseSpace.fit(placed.conditioning, around),
    )


@pytest.fixture
def saved(model, tmp_path):
    path = tmp_path / "folder" / "muons.safetensors"
    model.save(path)
    return path


def rewrite(path, change, names=lambda name: name):
    """Change the header of a model file as if it had been written so; `change` gets and may return it.

    `names` gives the new name of a tensor.
    """
    header, tensors = contents(path)
    changed = change(header)
    put(path, header if changed is None else changed, {names(name): x for name, x in tensors.items()})


def test_a_file_gives_the_same_outputs(model, saved):
    loaded = ObjectModel.load(saved)
    context = len(model.conditioning.transforms)
    rows = np.random.default_rng(2).normal(size=(50, context)).astype(np.float32)
    assert np.array_equal(loaded.efficiency.logits(rows), model.efficiency.logits(rows))
    noise = np.random.default_rng(3).normal(size=(50, len(model.targets.targets)))
    drawn, again = (m.flow.sampler().from_noise(noise, rows) for m in (model, loaded))
    assert np.array_equal(drawn, again)
    gen = {name: np.full(50, 5.0) for name in references(model.declaration)}
    before, after = (m.targets.decode(drawn, gen) for m in (model, loaded))
    assert all(np.array_equal(before[name], after[name]) for name in before)
    of_events, again = model.unmatched["event"], loaded.unmatched["event"]
    event_rows = rows[:, : len(of_events.conditioning.transforms)]
    assert np.array_equal(again.count.logits(event_rows), of_events.count.logits(event_rows))


def test_a_file_keeps_everything_else(model, saved):
    loaded = ObjectModel.load(saved)
    assert loaded.declaration == model.declaration
    assert loaded.provenance == model.provenance
    assert loaded.nanoaod_version == "v9"
    assert loaded.conditioning == model.conditioning
    assert loaded.unmatched["event"].conditioning == model.unmatched["event"].conditioning
    assert loaded.parameters() == model.parameters()
    assert loaded.phase_space.to_json() == model.phase_space.to_json()
    assert loaded.unmatched["event"].phase_space.to_json() == model.unmatched["event"].phase_space.to_json()
    assert len(loaded.digest) == 64
    assert (loaded.unmatched["event"].flow is None) == (model.unmatched["event"].flow is None)
    assert (loaded.placed is None) == (model.placed is None)
    if model.placed is not None:
        assert loaded.placed.fitted() == model.placed.fitted()
        assert loaded.placed.targets.columns == model.placed.targets.columns


def test_the_header_is_json(saved):
    with safe_open(saved, framework="np") as file:
        header = json.loads(file.metadata()["flashsim"])
    assert header == read_header(saved)
    assert not header.keys() & set(PARTS)
    assert header["format_version"] == FORMAT_VERSION
    assert header["declaration"]["name"] == "muons"


def test_saving_twice_gives_the_same_bytes(model, tmp_path):
    for name in "ab":
        model.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_is_as_readable_as_any_other(saved, tmp_path):
    other = tmp_path / "other"
    other.write_text("")
    assert saved.stat().st_mode == other.stat().st_mode


def test_a_file_is_not_replaced_unasked(model, saved):
    before = saved.read_bytes()
    with pytest.raises(OutputFileError, match="exists already"):
        model.save(saved)
    assert saved.read_bytes() == before
    model.save(saved, force=True)


def test_nothing_is_left_when_writing_fails(model, saved, monkeypatch):
    before = saved.read_bytes()
    monkeypatch.setattr("flashsim.models.model_file.save", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.save(saved, force=True)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_place_that_cannot_be_written_is_named(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputFileError, match=r"x\.safetensors: cannot be written"):
        model.save(tmp_path / "file" / "x.safetensors")


def of_version_3(model, path):
    """Write a model in the format in which unmatched objects come from the event only, as fakes."""

    def name(new):
        return new.replace("unmatched.event.", "fakes.")

    def change(header):
        (source,) = header["declaration"].pop("unmatched")
        kept = ("conditioning", "max_count")
        header["declaration"]["fakes"] = {key: source[key] for key in kept}
        (of_event,) = header.pop("unmatched").values()
        header |= {f"fake_{key}": value for key, value in of_event.items()}
        header["architectures"] = {name(key): value for key, value in header["architectures"].items()}
        header["provenance"] |= {"fakes": {"train": 3}, "losses": {"flow": 1, "fake_flow": 2}}
        return header | {"format_version": 3}

    as_version_5(model, path)
    rewrite(path, change, name)


def test_a_file_of_version_3_has_the_event_as_source(model, saved):
    of_version_3(model, saved)
    loaded = ObjectModel.load(saved)
    assert loaded.declaration == model.declaration
    assert loaded.parameters() == model.parameters()
    of_event, again = model.unmatched["event"], loaded.unmatched["event"]
    assert again.fitted() == of_event.fitted()
    rows = np.ones((5, len(of_event.conditioning.transforms)), dtype=np.float32)
    assert np.array_equal(again.count.logits(rows), of_event.count.logits(rows))
    assert loaded.provenance["unmatched"] == {"event": {"train": 3}}
    assert loaded.provenance["losses"] == {"flow": 1, "unmatched_event_flow": 2}


def test_a_file_of_the_first_version_knows_no_phase_space(model, saved):
    def first(header):
        header.update(format_version=1)
        del header["domain"], header["fake_domain"]

    of_version_3(model, saved)
    rewrite(saved, first)
    loaded = ObjectModel.load(saved)
    assert loaded.phase_space is None
    assert loaded.unmatched["event"].phase_space is None
    assert loaded.parameters() == model.parameters()
    loaded.save(saved, force=True)
    assert ObjectModel.load(saved).phase_space is None


@pytest.mark.parametrize("version", [0, FORMAT_VERSION + 1, None, "1"])
def test_another_format_version_is_refused(saved, version):
    rewrite(saved, lambda header: header.update(format_version=version))
    for read in (read_header, ObjectModel.load):
        with pytest.raises(ModelFileError, match=f"has format version {version}, .* train the model again"):
            read(saved)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(saved, share):
    raw = saved.read_bytes()
    saved.write_bytes(raw[: int(share * len(raw))])
    with pytest.raises(ModelFileError, match="is not a model file"):
        ObjectModel.load(saved)


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(ModelFileError, match="there is no such model file"):
        ObjectModel.load(path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ModelFileError, match="but not a FlashSim model"):
        ObjectModel.load(path)
    path.write_bytes(b"root" * 100)
    with pytest.raises(ModelFileError, match="is not a model file"):
        ObjectModel.load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.pop("declaration"),
        lambda header: header["declaration"].update(colour="blue"),
        lambda header: header["targets"].pop(),
        lambda header: header["targets"][0]["values"].reverse(),
        lambda header: header["conditioning"]["pt"].pop("mean"),
        lambda header: header["domain"]["axes"]["pt"].pop("scale"),
        lambda header: header["unmatched"]["event"]["domain"]["density"][0].pop("counts"),
        lambda header: header["architectures"]["flow"].update(width=9),
        lambda header: header["architectures"].pop("efficiency"),
        lambda header: header["architectures"]["flow"].update(colour=1),
    ],
)
def test_a_damaged_header_is_refused(saved, change):
    rewrite(saved, lambda header: change(header) and None)
    with pytest.raises(ModelFileError, match="is damaged or was made by another version"):
        ObjectModel.load(saved)


def first_flow(tensors):
    return min(name for name in tensors if name.startswith("flow/") and name.endswith("output.weight"))


def shorten(tensors, name):
    tensors[name] = tensors[name][:-1]


def spoil(tensors, name, value):
    tensors[name] = tensors[name].copy()
    tensors[name].flat[-1] = value


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            lambda h: h["architectures"]["efficiency"].update(depth=10**9),
            "efficiency: the .* depth 1000000000, for which the",
        ),
        (lambda h: h["architectures"]["flow"].update(layers=10**9), "layers 1000000000, for which the"),
        (lambda h: h["architectures"]["flow"].update(width=2**40), "for which the .* numbers of the file"),
        (lambda h: h["architectures"]["flow"].update(bins=-1), "has bins -1"),
        (lambda h: h["architectures"]["flow"].update(layers=2.0), "needs layers of at least 1, found 2.0"),
        (
            lambda h: h["architectures"]["flow"].update(context=True),
            "needs context of at least 0, found True",
        ),
        (lambda h: h["architectures"]["flow"].update(bound="6"), "not supported between"),
        (lambda h: h["architectures"]["efficiency"].update(dropout=-1.0), r"needs a dropout in \[0, 1\)"),
        (lambda h: h["architectures"]["efficiency"].update(width=None), "needs width of at least 1"),
        (lambda h: h["architectures"].update(flow=[]), "damaged"),
        (lambda h: h["conditioning"]["pt"].update(deviation=0.0), "positive deviation"),
        (lambda h: h["conditioning"]["pt"].update(minimum=1e9), "minimum and maximum in order"),
        (lambda h: h["conditioning"]["pt"].update(mean="1"), "damaged"),
        (lambda h: h["conditioning"]["pt"].update(scale="sqrt"), "expected a scale of"),
        (lambda h: h["conditioning"]["pt"].update(scale="linear"), "does not fit its declaration at .* pt"),
        (lambda h: h["conditioning"].pop("pt"), "does not fit its declaration"),
        (lambda h: h["targets"][0]["values"].__setitem__(0, None), "damaged"),
        (lambda h: h["domain"].update(rows=-1), "expected a number of rows"),
        (lambda h: h["domain"]["axes"]["pt"].update(scale="linear"), "columns or scales"),
        (lambda h: h["domain"]["axes"]["pt"]["quantiles"].reverse(), "finite quantiles that never fall"),
        (lambda h: h["domain"]["density"][0]["counts"].__delitem__(-1), "reshape"),
        (lambda h: h.update(provenance=[]), "mapping as provenance"),
        (lambda h: h.update(nanoaod_version=9), "text as nanoaod_version"),
        (lambda h: h["declaration"]["unmatched"][0].update(max_count=9), "count of unmatched of event has"),
    ],
)
def test_a_header_that_does_not_fit_its_tensors_is_refused(saved, change, fault):
    rewrite(saved, lambda header: change(header) and None)
    with pytest.raises(ModelFileError, match=fault) as refused:
        ObjectModel.load(saved)
    assert str(refused.value).startswith(f"{saved}: is damaged or was made by another version of flashsim (")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"format_version": NaN}', "expected finite numbers of at most 64 bits, found NaN"),
        ('{"format_version": 3, "x": 1e999}', "found 1e999"),
        ('{"format_version": 3, "x": ' + "9" * 5000 + "}", r"found 9{40}\.\.\.\)"),
        ('{"format_version": 3, "x": 18446744073709551616}', "found 18446744073709551616"),
        ('{"format_version": 3, "x": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"format_version": 3, "format_version": 3}', "the key 'format_version' is given twice"),
        ('{"format_version": 3', "Expecting"),
        ("", "Expecting value"),
    ],
    ids=["NaN", "1e999", "5000 digits", "65 bits", "deep", "twice", "cut", "empty"],
)
@pytest.mark.parametrize("read", [read_header, ObjectModel.load])
def test_a_header_that_is_no_sound_json_is_refused(tmp_path, read, text, fault):
    path = tmp_path / "a.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata={"flashsim": text})
    with pytest.raises(
        ModelFileError, match=f"is damaged: its header is no JSON object .*{fault}"
    ) as refused:
        read(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda t: spoil(t, first_flow(t), np.nan), "has 1 of .* numbers that are NaN or infinite"),
        (lambda t: spoil(t, "efficiency/0.bias", np.inf), r"0\.bias has 1 of 4 numbers"),
        (
            lambda t: t.update({n: np.full_like(a, np.nan) for n, a in t.items() if a.dtype.kind == "f"}),
            "NaN",
        ),
        (lambda t: t.pop("efficiency/0.bias"), r"the tensor 0\.bias is missing"),
        (lambda t: t.update({"efficiency/9.bias": np.zeros(2)}), r"9\.bias belongs to no such architecture"),
        (lambda t: t.update({"other": np.zeros(2)}), "the tensor other belongs to none of its networks"),
        (lambda t: t.update({"efficiency/0.bias": np.zeros((2, 2), np.float32)}), r"has shape \(2, 2\)"),
        (
            lambda t: t.update({"efficiency/0.bias": np.zeros(4, np.int32)}),
            "is of type int32, expected float32",
        ),
        (lambda t: t.update({"efficiency/0.bias": np.zeros(4, np.float16)}), "is of type float16"),
        (lambda t: t.update({"efficiency/0.bias": np.zeros(4)}), "of single and of double precision"),
        (
            lambda t: shorten(t, first_flow(t)),
            r"flow: the tensor .*output\.weight has shape \(\d+,\), its architecture needs",
        ),
        (
            lambda t: spoil(t, "flow/transform._transforms.1._permutation", 1),
            "_permutation does not hold each index once",
        ),
    ],
)
def test_tensors_that_do_not_fit_their_architecture_are_refused(model, saved, change, fault):
    header, tensors = contents(saved)
    change(tensors)
    put(saved, header, tensors)
    with pytest.raises(ModelFileError, match=fault) as refused:
        ObjectModel.load(saved)
    assert "\n" not in str(refused.value)


def test_a_file_without_codecs_is_refused(saved):
    with safe_open(saved, framework="np") as file:
        kept = {name: file.get_tensor(name) for name in file.keys() if name != "fitted"}  # noqa: SIM118
        header = json.loads(file.metadata()["flashsim"])
    header.pop("sha256")
    saved.write_bytes(save(kept, metadata={"flashsim": json.dumps(header)}))
    with pytest.raises(ModelFileError, match="the tensor fitted is missing"):
        ObjectModel.load(saved)


def test_no_byte_of_a_model_changes_unseen(saved):
    raw = saved.read_bytes()
    before = ObjectModel.load(saved)
    for place in np.random.default_rng(1).integers(0, len(raw), 60):
        changed = bytearray(raw)
        changed[place] ^= 4
        saved.write_bytes(changed)
        try:
            after = ObjectModel.load(saved)
        except ModelFileError:
            continue
        assert after._header() == before._header()
        assert after.fitted() == before.fitted()
        for name, network in before.networks().items():
            again = after.networks()[name].tensors
            assert all(np.array_equal(tensor, again[key]) for key, tensor in network.tensors.items())


def test_a_file_without_a_checksum_is_read(model, saved):
    rewrite(saved, lambda _: None)
    assert ObjectModel.load(saved).parameters() == model.parameters()


@pytest.mark.parametrize("header", [[], "text", 3])
def test_a_header_that_is_no_object_is_refused(saved, header):
    rewrite(saved, lambda _: header)
    with pytest.raises(ModelFileError, match="no JSON object"):
        read_header(saved)
