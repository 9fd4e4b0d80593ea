"""Which branches stand for which concept, in real files of each version and where there are none."""

from __future__ import annotations

import warnings

import pytest
import yaml
from coffea.nanoevents import NanoEventsFactory

from flashsim.analysis.concepts import resolve
from flashsim.analysis.samples import load_samples
from flashsim.analysis.selection import load_selection
from flashsim.analysis.vbf_hmumu import AnalysisSchema, VbfHmumu
from flashsim.declarations.recipes import recipe_path
from flashsim.errors import InputFileError, RecipeError
from flashsim.nanoaod.reading import NanoFile

REAL = {
    "tt_2018_v5": ("2018", [], ["trigger", "leadingMuon", "eventFlags", "electronVeto", "bVeto", "hemVeto"]),
    "dy_2018_v6": ("2018", [], ["fsrRecovery", "trigger", "twoMuons"]),
    "wjets_2015_v9": ("UL2016postVFP", [], ["fsrRecovery", "bVeto"]),
    "htt_fastsim_v9": ("UL2018", [], ["bVeto"]),
    "tt_2022_v12": ("2022", ["puId"], ["electronVeto"]),
    "tt_2024_v15": ("2024", ["puId"], ["fsrRecovery", "electronVeto", "trigger"]),
}
EXPECTED = {
    "tt_2018_v5": ("jetId", "qgl"),
    "dy_2018_v6": ("jetId", "qgl"),
    "wjets_2015_v9": ("jetId", "qgl"),
    "htt_fastsim_v9": ("jetId", "qgl"),
    "tt_2022_v12": ("jetId", "btagPNetQvG"),
    "tt_2024_v15": ("chHEF, eta, nConstituents, neEmEF, neHEF", "btagPNetQvG"),
}


def branches(path):
    with NanoFile(path) as file:
        return frozenset(file.branches)


@pytest.mark.parametrize("name", REAL)
def test_real_files(name, nanoaod_dir, selection):
    """Each version is analysed with optional steps on; a weaker selection keeps more."""
    path = nanoaod_dir / f"{name}.root"
    era, without, steps = REAL[name]
    resolved = resolve(selection, {str(path): branches(path)}, era=era, without=without, steps=steps)
    says = resolved.says()
    assert (says["jetId"], says["quarkGluon"]) == EXPECTED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # From coffea, of collections that are not read.
        warnings.filterwarnings("ignore", "Branch .* already exists", RuntimeWarning)
        events = NanoEventsFactory.from_root(
            {str(path): "Events"}, schemaclass=AnalysisSchema, metadata={"dataset": name, "view": "reco"}
        ).events()
        flow = VbfHmumu(resolved).process(events)[name]["cutflow"]
    assert flow["all"] == len(events)
    assert list(flow.values()) == sorted(flow.values(), reverse=True)


@pytest.mark.parametrize("name", ["tt_2022_v12", "tt_2024_v15"])
def test_missing_concepts_are_no_silence(name, nanoaod_dir, selection):
    path = str(nanoaod_dir / f"{name}.root")
    with pytest.raises(InputFileError, match=r"has no puId .* expected Jet_puId; .*--without puId"):
        resolve(selection, {path: branches(path)}, era="2022")


def test_collision_data_are_refused(nanoaod_dir, selection):
    path = str(nanoaod_dir / "data_dimuon_2018.root")
    with pytest.raises(InputFileError, match="lacks genWeight; use simulated NanoAOD"):
        resolve(selection, {path: branches(path)}, era="2018")


def plain(selection, **without):
    """Give branches that are enough for the selection."""
    return resolve(selection, {}, era="UL2018").branches | {"Jet_jetId", "Jet_puId", "Jet_qgl"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"without": ["jetID"]}, "--without jetID: expected one of jetId, puId, quarkGluon"),
        ({"steps": ["bveto"]}, "--with bveto: expected one of twoMuons, trigger"),
        (
            {"steps": ["hemVeto"], "era": "2017"},
            r"--with hemVeto: has no values for the era '2017', only for \*2018",
        ),
    ],
)
def test_options_that_do_not_exist(selection, options, message):
    with pytest.raises(RecipeError, match=message):
        resolve(selection, {"a.root": plain(selection)}, **{"era": "UL2018", **options})


def test_branches_of_steps(selection):
    with pytest.raises(InputFileError, match=r"a.root: lacks HLT_IsoMu24; they are for --with trigger"):
        resolve(selection, {"a.root": plain(selection)}, era="UL2018", steps=["trigger"])


def test_files_that_cannot_be_compared(selection):
    newer = (plain(selection) - {"Jet_qgl"}) | {"Jet_btagPNetQvG"}
    files = {"a.root": plain(selection), "b.root": newer}
    with pytest.raises(InputFileError, match=r"b.root: has quarkGluon as btagPNetQvG, a.root as qgl"):
        resolve(selection, files, era="UL2018")
    without = resolve(selection, files, era="UL2018", without=["quarkGluon"])
    assert without.score is None
    assert without.says()["quarkGluon"] == "none, as asked for"


def test_bits_of_pileup_identification_run_the_other_way_in_2016(selection):
    def box(era):
        source = resolve(selection, {"a.root": plain(selection)}, era=era).sources["puId"]
        return source.any_of[1]["puId"].bits

    assert (box("UL2018"), box("UL2017"), box("2016"), box("UL2016preVFP")) == (4, 4, 4, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"regions": {}}, "there is no region 'PreSel'"),
        ({"muon": {}}, "muon: is no key of this recipe"),
        ({"jets": {"where": {"pt": {"above": 1}}, "require": ["id"], "score": "puId", "clean": 0.4}},
         "jets name the unknown concept 'id'"),
        ({"jets": {"where": {"pt": {}}, "require": [], "score": "quarkGluon", "clean": 0.4}},
         "expected one of above, below"),
        ({"jets": {"where": {"pt": {"above": 1}}, "require": [], "score": "puId", "clean": 0.4}},
         "'puId' is a concept without value"),
    ],
)  # fmt: skip
def test_selections_that_are_not_valid(tmp_path, change, message):
    content = yaml.safe_load(recipe_path("analysis", "vbf_hmumu").read_text(encoding="utf-8"))
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(content | change), encoding="utf-8")
    with pytest.raises(RecipeError, match=message):
        load_selection(str(tmp_path / "own.yaml"))


def test_unknown_observables(tmp_path):
    content = yaml.safe_load(recipe_path("analysis", "vbf_hmumu").read_text(encoding="utf-8"))
    content["discriminant"]["inputs"] = ["luck"]
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    own = load_selection(str(tmp_path / "own.yaml"))
    with pytest.raises(RecipeError, match="'luck' is no observable"):
        VbfHmumu(resolve(own, {}, era="UL2018"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"reference": "truth"},
            "expected one of the simulations fast, flash, full, gen, oversampled, found 'truth'",
        ),
        ({"processes": {"a": {"label": "a", "files": {"fulll": ["x"]}}}}, "found 'fulll'"),
        ({"processes": {"a": {"label": "a", "files": {"fast": ["x"]}}}}, "no files of the reference 'full'"),
    ],
)
def test_samples_that_are_not_valid(tmp_path, change, message):
    content = yaml.safe_load(recipe_path("analysis", "samples").read_text(encoding="utf-8"))
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(content | change), encoding="utf-8")
    with pytest.raises(RecipeError, match=message):
        load_samples(str(tmp_path / "own.yaml"))
