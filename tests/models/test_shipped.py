from __future__ import annotations

import runpy
import shutil

import pytest

from flashsim.declarations.objects import load_object
from flashsim.declarations.optional import for_file
from flashsim.errors import ModelFileError
from flashsim.interface.inspection import shipped_objects
from flashsim.models.object_model import FORMAT_VERSION, ObjectModel, read_header
from flashsim.models.shipped import model_files, shipped_digests, shipped_models, write_digests
from flashsim.nanoaod.reading import NanoFile


def test_named_files_and_folders(made_models, tmp_path):
    made = [made_models / f"{name}.safetensors" for name in ("electrons", "jets", "muons", "vertices")]
    assert model_files([made_models]) == made
    assert model_files(made[::-1]) == made[::-1]
    (tmp_path / "README.md").write_text("no model", encoding="utf-8")
    with pytest.raises(ModelFileError, match="holds no model"):
        model_files([tmp_path])
    with pytest.raises(ModelFileError, match="no such model file or folder"):
        model_files([tmp_path / "none.safetensors"])


def test_what_is_shipped_is_found(made_models, tmp_path, monkeypatch):
    monkeypatch.setattr("flashsim.models.shipped._FOLDER", tmp_path)
    with pytest.raises(ModelFileError, match="no shipped models; name your own with --models"):
        model_files()
    shutil.copy(made_models / "jets.safetensors", tmp_path)
    assert model_files() == model_files([]) == shipped_models() == [tmp_path / "jets.safetensors"]


def test_a_shipped_model_that_has_changed_is_refused(made_models, tmp_path, monkeypatch):
    monkeypatch.setattr("flashsim.models.shipped._FOLDER", tmp_path)
    path = tmp_path / "jets.safetensors"
    shutil.copy(made_models / path.name, path)
    write_digests(tmp_path)
    assert model_files() == [path]
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"jets.safetensors: is not the model that flashsim shipped"):
        model_files()
    assert model_files([path]) == [path]


def test_digests_are_of_the_shipped_models():
    assert shipped_digests().keys() == {path.name for path in shipped_models()}
    model_files()


@pytest.fixture(scope="module")
def shipped():
    if not (paths := shipped_models()):
        pytest.skip("no models are shipped in this checkout")
    return {path.stem: ObjectModel.load(path) for path in paths}


def test_every_shipped_object_has_a_model(shipped):
    assert shipped.keys() == {declaration.name for declaration in shipped_objects()}
    for name, model in shipped.items():
        assert model.declaration.name == name


def test_shipped_models_are_of_the_shipped_declarations(shipped):
    """A recipe that changed without a new training would promise what the model does not do."""
    for name, model in shipped.items():
        declared, trained = load_object(name), model.declaration
        assert (trained.collection, trained.gen, trained.match) == (
            declared.collection,
            declared.gen,
            declared.match,
        )
        assert trained.gen_view == declared.gen_view
        assert trained.conditioning == declared.conditioning
        known = {target.branch: target for target in declared.targets}
        assert all(known[target.branch] == target for target in trained.targets)


def test_shipped_models_are_small_and_say_where_they_come_from(shipped):
    for model in shipped.values():
        assert sum(model.parameters().values()) < 2_000_000
        assert model.provenance["files"]
        others = set() if model.efficiency is None else {"efficiency"}
        others |= {f"unmatched_{name}_{what}" for name in model.unmatched for what in ("count", "flow")}
        others |= set() if model.placed is None else {"placed_flow"}
        assert model.provenance["losses"].keys() == {"flow", *others}
        assert not any(name.startswith("/") or name.count("/") > 1 for name in model.provenance["files"])


REMAKE = "run 'python tests/data/make_models.py' and commit what it writes"


def test_models_of_the_tests_are_of_the_present_format(made_models, made_nanoaod):
    with NanoFile(made_nanoaod) as file:
        made = set(file.branches)
    assert [path.stem for path in model_files([made_models])] == ["electrons", "jets", "muons", "vertices"]
    for path in model_files([made_models]):
        assert path.stat().st_size < 300_000
        assert read_header(path)["format_version"] == FORMAT_VERSION, REMAKE
        model, declared = ObjectModel.load(path), load_object(path.stem)
        # Neither a version of NanoAOD nor made events need have every target.
        targets = [target for target in declared.targets if target.exists_in(model.nanoaod_version)]
        targets = [target for target in targets if made.issuperset(declared.sources(target))]
        declared = for_file(declared, made.__contains__)[0].with_targets([t.branch for t in targets])
        # Made events need not have what declares a relation of a real detector.
        kept = [relation for relation in declared.relations if relation in model.declaration.relations]
        assert len(kept) >= min(3, len(declared.relations)), REMAKE
        assert model.declaration == declared.model_copy(update={"relations": kept}), REMAKE


@pytest.mark.slow
def test_models_of_the_tests_can_be_made_again(made_models, tmp_path):
    script = runpy.run_path(str(made_models / "make_models.py"))
    (path,) = script["make_models"](tmp_path, only=frozenset({"muons"}))
    made, kept = (ObjectModel.load(folder / path.name) for folder in (tmp_path, made_models))
    assert made.parameters() == kept.parameters()
    assert made.declaration == kept.declaration
    assert made.provenance["events"] == kept.provenance["events"]
