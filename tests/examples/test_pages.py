"""Code blocks of all other pages: quick ones are followed here, each of the others has its reason."""

from __future__ import annotations

import gzip
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
import yaml
from lhe_files import STYLES, lhe_text

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = {"target", "object", "conditioning", "relation", "generator", "loss"}
"""Pages that the other modules of this folder follow to the last block."""
FOLLOWED = {
    ("README.md", "Simulate your own events", "bash"),
    ("README.md", "From your generator", "bash"),
    ("analysis/README.md", "Analysis", "python"),
    ("analysis/README.md", "Oversampled events", "python"),
    ("docs/models.md", "Shipped models", "flashsim inspect"),
    ("docs/refinement.md", "Refinement", "bash"),
    ("docs/refinement.md", "Losses", "yaml"),
    ("examples/README.md", "Examples", "flashsim generate"),
    ("generation/README.md", "Generation", "bash"),
    ("generation/README.md", "Oversampling", "bash"),
    ("preprocessing/README.md", "Preprocessing", "bash"),
    ("reference/README.md", "Partons of MadGraph or POWHEG (LHE)", "bash"),
    ("training/README.md", "Grids", "yaml"),
    ("training/README.md", "Searches", "yaml"),
}
"""Sections whose blocks of a language, or that begin so, the tests below follow."""

CODE = {"bash", "python", "sh", "yaml"}
IN_CI = "is what .ci/run does"
BENCHMARK = "makes samples or trains for minutes to hours; tests/benchmarks has small ones"
TRAINS = "trains with a shipped recipe to the end; docs/howto trains two epochs"
PYTHIA = "makes events with Pythia; tests/gen and tests/reference do"
NOT_RUN = {
    "pip install . && flashsim generate": IN_CI,
    "pip install '.[test]' && pytest": IN_CI,
    "pip install -e '.[test,docs]'": IN_CI,
    "python -m venv .venv": IN_CI,
    "./noxfile.py": "is what GitHub runs",
    "import flashsim": "tests/interface/test_documentation.py runs it",
    "class Mine(processor.ProcessorABC)": "tests/interface/test_coffea_job.py runs the whole example",
    "python .ci/mutations.py": "changes lines of the package for half an hour",
    "conda env create": "needs conda; tests/packaging compares the environment with the project",
    "pip install '.[reference,benchmarks]'": BENCHMARK,
    "pip install '.[analysis,reference]'": BENCHMARK,
    "python -m benchmarks.": BENCHMARK,
    "python docs/figures/physics.py": BENCHMARK,
    "python examples/flashsim_in_coffea.py": "tests/interface/test_coffea_job.py runs it",
    "flashsim preprocess muons full_*.root": TRAINS,
    "flashsim train ": TRAINS,
    "unmatched:": "is a part of a recipe; tests/declarations reads whole ones",
    "flashsim grid": "trains at each of its points; tests/grid has small ones",
    "flashsim analyze": "needs samples of several processes; tests/analysis makes them",
    "from pathlib import Path": "needs what the commands beside it make; tests/analysis and tests/runs do",
    "flashsim monitor": "serves a page; tests/monitor reads it",
    "pip install 'flashsim[monitor]'": "serves a page; tests/monitor reads the files",
    "ssh ": "needs another machine",
    "pip install '.[analysis]'": "takes half a minute; tests/analysis/validation runs it on made files",
    "flashsim validate": "takes half a minute; tests/analysis/validation runs it on made files",
    "flashsim generate --input 'gen_*.root' --output simulated/ --workers 8": "starts eight processes or "
    "needs a cluster; tests/generation does with two and a local one",
    "pip install dask-jobqueue": "needs a batch system",
    "pytest tests/badinput": "runs tests",
    "pip install 'flashsim[reference]'": PYTHIA,
    "flashsim gen ": PYTHIA,
}
"""How a line begins of each block that no test here runs, with the reason."""


def pages():
    found = [*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("docs/*.md")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def test_every_how_to_page_is_followed():
    assert {path.stem for path in (ROOT / "docs" / "howto").glob("*.md")} == HOW_TO


def test_every_block_is_followed_or_has_a_reason(all_blocks):
    blocks = [(page, block) for page in pages() for block in all_blocks(page) if block.language in CODE]
    unused = {*FOLLOWED, *NOT_RUN}
    bare = []
    for page, block in blocks:
        followed = {
            (where, heading, kind)
            for where, heading, kind in FOLLOWED
            if (where, heading) == (page, block.heading)
            and (kind == block.language if kind in CODE else block.text.startswith(kind))
        }
        lines = () if followed else block.text.splitlines()
        reasons = {start for start in NOT_RUN if any(line.startswith(start) for line in lines)}
        unused -= followed | reasons
        if not followed and not reasons:
            bare.append((page, block.heading, block.text.splitlines()[0]))
    assert bare == [], "follow these blocks in a test, or give the reason in NOT_RUN"
    assert unused == set(), "no page has these any more"


@pytest.fixture
def gen_files(reader, nanoaod_dir):
    """Give three names of a real file of Drell-Yan events."""
    for name in ("gen.root", "gen_1.root", "gen_2.root"):
        (reader.folder / name).symlink_to(nanoaod_dir / "dy_2018_v6.root")


def assert_simulated(path, events=40):
    with uproot.open(path) as file:
        arrays = file["Events"].arrays(["Jet_pt", "Muon_pt"])
    assert len(arrays) == events
    for name in ("Jet_pt", "Muon_pt"):
        values = ak.to_numpy(ak.flatten(arrays[name]))
        assert np.isfinite(values).all()
        assert len(values) > 0.3 * events


def test_simulate_your_own_events(reader, gen_files):
    reader.follow("README.md", "Simulate your own events")
    for name in ("gen_1", "gen_2"):
        assert_simulated(next(reader.folder.glob(f"simulated/{name}*.root")))


@pytest.fixture
def events_of(reader):
    """Write some events of a generator's style as events.lhe.gz."""
    pytest.importorskip("pythia8mc", reason="pythia8mc is not installed (extra 'reference')")
    pytest.importorskip("fastjet", reason="fastjet is not installed (extra 'reference')")

    def write(style, events):
        text = lhe_text(STYLES[style], events)
        (reader.folder / "events.lhe.gz").write_bytes(gzip.compress(text.encode()))

    return write


@pytest.mark.parametrize("style", ["madgraph", "powheg"])
def test_from_your_generator(reader, events_of, style):
    """Of every second event the muons, and mostly a jet, are to be found in the simulation."""
    events_of(style, 200)
    reader.follow("README.md", "From your generator")
    assert_simulated("flash.root", 200)
    with uproot.open("flash.root") as file:
        events = file["Events"].arrays(["Muon_pt", "Muon_genPartFlav", "LHE_HT", "nLHEPdfWeight"])
    assert ak.mean(ak.sum((events.Muon_genPartFlav == 1) & (events.Muon_pt > 10), axis=1)) > 1.0
    assert ak.all((events.LHE_HT > 10) == (np.arange(200) % 2 == 1))
    assert ak.all(events.nLHEPdfWeight == 3)


def test_partons_of_madgraph_with_matching(reader, events_of):
    events_of("madgraph", 60)
    page, heading = "reference/README.md", "Partons of MadGraph or POWHEG (LHE)"
    reader.take(next(block for block in reader.blocks_of(page, heading) if block.title), page)
    reader.follow(page, heading, "bash")
    assert_simulated("flash.root", 60)
    with uproot.open("matched.root") as file:
        assert 5 < file["Events"].num_entries < 55


def test_generation(reader, gen_files):
    (reader.folder / "my_models").symlink_to(ROOT / "tests" / "data")
    reader.follow("generation/README.md", "Generation")
    assert_simulated("flash.root")
    assert len(list(reader.folder.glob("simulated/*.root"))) == 2


@pytest.mark.filterwarnings("ignore:Missing cross-reference index:RuntimeWarning")
def test_oversampled_events(reader):
    (reader.folder / "gen.root").symlink_to(ROOT / "examples" / "vbf_hmumu_gen.root")
    reader.follow("generation/README.md", "Oversampling")
    assert_simulated("flash.root", 25 * 1000)
    names = reader.follow("analysis/README.md", "Analysis", "python")
    assert np.median(names["mass"]) == pytest.approx(125.0, abs=1.0)
    names = reader.follow("analysis/README.md", "Oversampled events", "python")
    h, mass = names["h"], names["mass"]
    weights = names["events"].genWeight[names["chosen"]]
    assert h.values().sum() == pytest.approx(ak.sum(weights[(mass > 110) & (mass < 140)]), rel=1e-5)
    # Resolution decides into which of the narrow bins an event falls.
    assert 5.0 < h.overall_gain() < 25.0


def test_the_example(reader):
    (reader.folder / "examples").symlink_to(ROOT / "examples")
    reader.take(reader.blocks_of("examples/README.md", "Examples")[0])
    assert_simulated("flash.root", 1000)


def test_shipped_models(reader):
    (reader.folder / "MODEL.safetensors").symlink_to(ROOT / "flashsim" / "models" / "muons.safetensors")
    reader.take(reader.blocks_of("docs/models.md", "Shipped models")[0])
    assert "model of muons, NanoAOD v9" in reader.output


def test_preprocessing(reader):
    for number in (1, 2):
        (reader.folder / f"full_{number}.root").symlink_to(reader.folder / "full.root")
    reader.follow("preprocessing/README.md", "Preprocessing")
    assert "jets of NanoAOD v5" in reader.output
    assert (reader.folder / "tables" / "jets" / "train" / "objects.parquet").is_file()


def test_refinement(reader, nanoaod_dir):
    (reader.folder / "full.root").unlink()
    (reader.folder / "full.root").symlink_to(nanoaod_dir / "pfnano_tt_2018.root")
    reader.run("flashsim generate --input full.root --output fast.root")
    reader.follow("docs/refinement.md", "Refinement")
    with uproot.open("refined.root") as file:
        jets = file["Events"].arrays(["Jet_pt", "Jet_pt_unrefined", "Jet_btagDeepFlavB"])
    moved = ak.to_numpy(ak.flatten(jets.Jet_pt / jets.Jet_pt_unrefined))
    assert np.isfinite(moved).all()
    assert np.median(moved) == pytest.approx(1.0, abs=0.2)
    assert (moved != 1.0).mean() > 0.5


def test_stages_of_a_refiner(reader):
    from flashsim.declarations.refinement import load_refiner

    reader.run("cp training/refine_jets.yaml my_refiner.yaml")
    (stages,) = reader.blocks_of("docs/refinement.md", "Losses")
    content = yaml.safe_load((reader.folder / "my_refiner.yaml").read_text(encoding="utf-8"))
    content |= yaml.safe_load(stages.text)
    (reader.folder / "my_refiner.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    assert [stage.primary for stage in load_refiner("my_refiner.yaml").stages] == ["mse", "mmd"]


def test_grids(reader):
    from flashsim.grid.recipe import load_grid

    (grid,) = reader.blocks_of("training/README.md", "Grids", "yaml")
    (search,) = reader.blocks_of("training/README.md", "Searches", "yaml")
    path = reader.folder / "my_grid.yaml"
    path.write_text(grid.text, encoding="utf-8")
    assert len(load_grid(str(path)).points()) == 2 * 2 * 2
    path.write_text(yaml.safe_dump(yaml.safe_load(grid.text) | yaml.safe_load(search.text)), encoding="utf-8")
    searched = load_grid(str(path))
    searched.check_space()
    assert set(searched.recipe.vary) == set(yaml.safe_load(search.text)["vary"])
