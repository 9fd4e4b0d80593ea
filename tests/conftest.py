"""Fixtures that several folders of tests share."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import settings

if (processes := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
    # Threads of several processes that wait for each other cost more than they bring.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))

# Lines are as wide as the terminal, and break elsewhere in each: tests read them at one width.
os.environ["COLUMNS"] = "140"

# Kernels are compiled at their first call, and machines are shared: how long an example takes says nothing.
settings.register_profile("flashsim", settings(), deadline=None)
settings.load_profile("flashsim")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Share the whole suite out among processes; what is named on the command line runs in one."""
    whole = config.args_source == pytest.Config.ArgsSource.TESTPATHS
    return min(4, os.cpu_count() or 1) if whole else 0


@pytest.fixture(scope="session")
def nanoaod_dir() -> Path:
    """Folder of real CMS files, which are not part of the project."""
    default = Path(__file__).parents[2] / "shared" / "nanoaod"
    folder = Path(os.environ.get("FLASHSIM_NANOAOD", default))
    if not folder.is_dir():
        pytest.skip(f"no real NanoAOD files in {folder}; set FLASHSIM_NANOAOD to a folder that has them")
    return folder


@pytest.fixture(scope="session")
def few_interactions(tmp_path_factory) -> Path:
    """Minimum-bias interactions without multiple ones, which take no time: pileup for tests of detectors."""
    pytest.importorskip("pythia8mc", reason="pythia8mc is not installed (extra 'reference')")
    from flashsim.gen.minbias import MinBias, write_minbias

    folder = tmp_path_factory.mktemp("minbias")
    settings = folder / "soft.cmnd"
    settings.write_text("include = cp5.cmnd\nSoftQCD:nonDiffractive = on\nPartonLevel:MPI = off\n")
    write_minbias(MinBias(13000.0, 300, settings=str(settings)), folder / "minbias.root")
    return folder / "minbias.root"


@pytest.fixture
def flashsim(monkeypatch, capfd):
    """Run the console script in this process; gives exit status, stdout and stderr."""
    from flashsim.cli.main import main

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    level = logging.getLogger("flashsim").level

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["flashsim", *map(str, arguments)])
        with pytest.raises(SystemExit) as exited:
            main()
        out, err = capfd.readouterr()
        return exited.value.code or 0, out, err

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
    logging.getLogger("flashsim").setLevel(level)


VERSION = "v9"
"""NanoAOD version of the made file."""


@pytest.fixture(scope="session")
def made_nanoaod(tmp_path_factory) -> Path:
    """NanoAOD of 240 made events with everything that the shipped objects need, and some that they do not."""
    path = tmp_path_factory.mktemp("made") / "made.root"
    write_made_nanoaod(path, 240)
    return path


@pytest.fixture(scope="session")
def made_without_vertices(made_nanoaod, tmp_path_factory) -> Path:
    """The made file without true vertices, and without the primary one but for numbers of vertices."""
    from flashsim.nanoaod.reading import NanoFile
    from flashsim.nanoaod.writing import NanoWriter

    path = tmp_path_factory.mktemp("without") / "made.root"
    with NanoFile(made_nanoaod) as file, NanoWriter(path) as writer:
        kept = [
            branch
            for branch in file.branches.values()
            if not branch.name.startswith(("GenVtx_", "PV_")) or branch.name.startswith("PV_npvs")
        ]
        writer.tree("Events", kept)
        writer.extend("Events", file.read([branch.name for branch in kept]))
    return path


@pytest.fixture(scope="session")
def train_quickly():
    """Give the function that trains a small model of whole events; its tables stand beside it."""
    from flashsim.declarations.flows import SplineMAFRecipe
    from flashsim.declarations.schedule import Schedule
    from flashsim.declarations.training import TrainingRecipe
    from flashsim.preprocessing.preprocess import preprocess
    from flashsim.training.train import train

    def trained(declaration, file, work, epochs=20):
        preprocess(declaration, [str(file)], work / "tables")
        schedule = Schedule(epochs=epochs, batch=64, min_steps=8)
        flow = SplineMAFRecipe(layers=1, width=16, depth=1, bins=4, schedule=schedule)
        recipe = TrainingRecipe(schema_version=1, object=declaration.name, min_rows=5, flow=flow)
        model, _ = train(work / "tables", recipe, work / f"{declaration.name}.safetensors", accelerator="cpu")
        return model

    return trained


@pytest.fixture(scope="session")
def part_of_vertex(made_without_vertices, train_quickly, tmp_path_factory):
    """A model that draws numbers of vertices only: the rest follows by the laws of the output recipe."""
    from flashsim.declarations.objects import load_object

    part = load_object("vertices").with_targets({"PV_npvs", "PV_npvsGood", "fixedGridRhoFastjetAll"})
    return train_quickly(part, made_without_vertices, tmp_path_factory.mktemp("part"), epochs=2)


@pytest.fixture(scope="session")
def made_models() -> Path:
    """Folder of barely trained models of objects and vertices, see its make_models.py; only read."""
    return Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def made_process(tmp_path_factory) -> Path:
    """Folder with made gen events, three simulations of them, all alike, and one of other events."""
    folder = tmp_path_factory.mktemp("made_process")
    for name, detector in {"gen": 1, "full": 1, "full_1": 2, "fast": 3}.items():
        write_made_nanoaod(folder / f"{name}.root", 240, detector=detector)
    write_made_nanoaod(folder / "other.root", 240, seed=2)
    return folder


@pytest.fixture(scope="session")
def command_file(tmp_path_factory):
    """Write a user's command file: a shipped process without underlying event, which takes most time."""
    pytest.importorskip("pythia8mc", reason="pythia8mc is not installed (extra 'reference')")
    pytest.importorskip("fastjet", reason="fastjet is not installed (extra 'reference')")
    folder = tmp_path_factory.mktemp("settings")

    def write(process, *lines):
        path = folder / f"{process}.fast.cmnd"
        path.write_text("\n".join([f"include = {process}.cmnd", "PartonLevel:MPI = off", *lines]))
        return path

    return write


@pytest.fixture
def start_cluster(tmp_path):
    """Give the context that starts a Dask cluster of separate processes; gives the scheduler's address.

    Its workers load the module `preload`, if there is one, and have the variables in their environment.
    """

    @contextlib.contextmanager
    def started(workers, *, preload=None, **variables):
        contact = tmp_path / "scheduler.json"
        environment = os.environ | {"OMP_NUM_THREADS": "1"} | variables
        local = ("--no-dashboard", "--scheduler-file", contact)
        worker = ("--no-nanny", "--nthreads", 1, "--local-directory", tmp_path / "dask")
        loaded = () if preload is None else ("--preload", preload)
        commands = [("dask_scheduler", *local, "--port", 0, "--host", "127.0.0.1")]
        commands += [("dask_worker", *local, *worker, *loaded)] * workers
        processes = [
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", f"distributed.cli.{name}", *map(str, arguments)],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for name, *arguments in commands
        ]
        try:
            yield _address(contact)
        finally:
            for process in reversed(processes):
                process.kill()
                process.wait()

    return started


def _address(contact: Path) -> str:
    """Address of a scheduler, which writes it into a file when it is ready."""
    for _ in range(600):
        with contextlib.suppress(OSError, ValueError):
            return json.loads(contact.read_text())["address"]
        time.sleep(0.1)
    pytest.fail("no scheduler")


def write_made_nanoaod(path: Path, events: int, seed: int = 1, detector: int | None = None) -> None:
    """Write NanoAOD with random events; the objects are those of the shipped declarations.

    Files of one seed have the same gen events, and with a seed of the detector different objects of them.
    """
    import numpy as np

    from flashsim.interface.inspection import shipped_objects
    from flashsim.nanoaod.branch import Branch
    from flashsim.nanoaod.schema import load_schema
    from flashsim.nanoaod.writing import NanoWriter

    rng = np.random.default_rng(seed)
    schema = load_schema(VERSION)
    arrays = _gen_level(rng, events)
    rng = rng if detector is None else np.random.default_rng([seed, detector])
    pileup = np.asarray(arrays["Pileup_nPU"])
    arrays |= {
        "PV_npvs": 1 + rng.binomial(pileup, 0.7),
        "PV_npvsGood": 1 + rng.binomial(pileup, 0.5),
        "fixedGridRhoFastjetAll": (0.6 * pileup * rng.normal(1.0, 0.1, events)).astype(np.float32),
    }
    arrays |= _vertices(np.random.default_rng([seed, events, detector or 0]), events)
    for declaration in shipped_objects("object"):
        arrays |= _reconstructed(rng, declaration, arrays, schema)
    arrays |= {
        "HLT_IsoMu24": rng.random(events) < 0.3,
        "MET_pt": rng.exponential(30.0, events),
        **_jagged(rng, "Tau", events, 1, {"pt": lambda n: rng.exponential(20.0, n)}),
    }
    arrays |= {f"{name}_jetIdx": -1 * (arrays[f"{name}_pt"] > 0) for name in ("Tau", "Muon", "Electron")}
    others = {
        "HLT_IsoMu24": Branch("HLT_IsoMu24", np.dtype("bool"), None, "trigger bit"),
        "Tau_pt": Branch("Tau_pt", np.dtype("f4"), "Tau", "pT of the tau"),
        "Tau_jetIdx": Branch("Tau_jetIdx", np.dtype("i4"), "Tau", "index of its jet"),
    }
    branches = [others[name] if name in others else schema[name] for name in arrays]
    with NanoWriter(path) as writer:
        writer.tree("Events", branches, counter_titles={"GenJet": "made gen jets", "Tau": "made"})
        writer.extend("Events", arrays)
        sums = [Branch("run", np.dtype("u4")), Branch("genEventSumw", np.dtype("f8"), None, "sum of weights")]
        writer.tree("Runs", sums)
        writer.extend("Runs", {"run": [1, 2], "genEventSumw": [0.1, 12.5]})
        writer.tree("LuminosityBlocks", [Branch("run", np.dtype("u4"))])
        writer.extend("LuminosityBlocks", {"run": [1, 1, 2]})


def _vertices(rng, events):
    """Made primary vertices, near the true ones."""
    import numpy as np

    made = {}
    for axis in "xyz":
        true = np.random.default_rng([events, ord(axis)]).normal(0.0, 3.0 if axis == "z" else 0.01, events)
        made |= {f"GenVtx_{axis}": true, f"PV_{axis}": true + rng.normal(0.0, 0.001, events)}
    made |= {"PV_ndof": rng.uniform(10, 200, events), "PV_score": rng.exponential(2000.0, events)}
    made["PV_chi2"] = rng.uniform(0.5, 1.5, events)
    return {name: values.astype(np.float32) for name, values in made.items()}


def _jagged(rng, collection, events, mean, fields):
    """Jagged columns of a made collection; `fields` make values from their number."""
    import awkward as ak

    counts = rng.poisson(mean, events)
    return {f"{collection}_{name}": ak.unflatten(make(counts.sum()), counts) for name, make in fields.items()}


def _gen_level(rng, events):
    """Made events of jets, leptons of both charges, their mothers and pileup."""
    import awkward as ak
    import numpy as np

    def angles(n):
        return rng.uniform(-np.pi, np.pi, n).astype(np.float32)

    def normal(n):
        return rng.normal(1.0, 0.1, n)

    def pick(*values):
        return lambda n: rng.choice(values, n)

    kinematics = {
        "pt": lambda n: rng.exponential(25.0, n).astype(np.float32) + np.float32(2.0),
        "eta": lambda n: rng.normal(0.0, 1.8, n).astype(np.float32),
        "phi": angles,
        "mass": lambda n: rng.exponential(5.0, n).astype(np.float32),
    }
    particle = {
        "pdgId": pick(13, -13, 11, -11, 211, 511, 23),
        "status": pick(1, 2),
        "statusFlags": pick(8193, 8192, 8200, 4096, 0),
        "genPartIdxMother": pick(-1, 0),
    }
    jet = {"partonFlavour": pick(-5, -1, 0, 2, 4, 21), "hadronFlavour": pick(0, 4, 5)}
    whole = np.arange(events)
    met = np.random.default_rng(events)
    made = {
        "GenMET_pt": met.exponential(10.0, events),
        "GenMET_phi": met.uniform(-np.pi, np.pi, events),
        "run": 1 + whole // 200,
        "luminosityBlock": 1 + whole // 50,
        "event": 10_000_000_000 + whole,
        "genWeight": rng.normal(1.0, 0.3, events).astype(np.float32),
        "LHEPdfWeight": _jagged(rng, "LHEPdf", events, 3, {"Weight": normal})["LHEPdf_Weight"],
        **{f"Pileup_{name}": rng.uniform(20, 40, events) for name in ("nTrueInt", "pudensity", "gpudensity")},
        **{f"Pileup_{name}": rng.integers(10, 60, events) for name in ("nPU", "sumEOOT", "sumLOOT")},
        **_jagged(rng, "GenPart", events, 6, kinematics | particle),
        **_jagged(rng, "GenJet", events, 4, kinematics | jet),
    }
    mother = made["GenPart_genPartIdxMother"]
    made["GenPart_genPartIdxMother"] = ak.where(ak.local_index(mother) == 0, -1, mother)
    return made


def _reconstructed(rng, declaration, arrays, schema):
    """Columns of the objects that a made detector finds: four of five gen objects, and some of its own."""
    import awkward as ak
    import numpy as np

    from flashsim.analysis.statistics.residuals import compared_field
    from flashsim.events.gen_chunk import gen_chunk

    chunk = gen_chunk(declaration, {name: ak.Array(values) for name, values in arrays.items()})
    gen = chunk.collections[declaration.gen]
    gen = gen.select(rng.random(len(gen)) < 0.8)
    other_rows = np.flatnonzero(rng.random(chunk.events) < 0.3)
    rows = np.concatenate((gen.event_rows, other_rows))
    columns = {declaration.match: np.concatenate((gen["index"], np.full(len(other_rows), -1)))}
    for target in declaration.targets:
        if target.exists_in(VERSION) and f"{declaration.collection}_{target.branch}" in schema:
            same = compared_field(target)
            alike = same and gen[same]
            columns[target.branch] = _target(rng, target, alike, len(gen), len(other_rows))
    density = np.asarray(arrays["fixedGridRhoFastjetAll"])[rows].astype(np.float64)
    columns |= _related(declaration, columns, {"rho": density})
    order = np.lexsort((-columns["pt"], rows))
    counts = np.bincount(rows, minlength=chunk.events)
    return {
        f"{declaration.collection}_{name}": ak.unflatten(column[order], counts)
        for name, column in columns.items()
    }


def _related(declaration, columns, conditioning):
    """Values of a made collection, moved to where its declared relations hold.

    Of conditioning that is not given they see 0.
    """
    import numpy as np

    from flashsim.declarations.relations import arranged
    from flashsim.transforms.layout import relation_block

    d = declaration.with_targets(columns)
    known = dict.fromkeys(
        (f"conditioning.{name}" for name in d.related_conditioning()), np.zeros(len(columns["pt"]))
    )
    known |= {f"conditioning.{name}": values for name, values in conditioning.items()}
    known |= {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
    for group in arranged(d.targets, d.relations):
        if group.relation is not None:
            block = relation_block(group.relation, d.targets)
            drawn = [np.where(c.free, 0.0, c.value) for c in block.cells(known, {})]
            known |= block.decode(drawn, known)
    return {name: known[name] for name in columns}


def _target(rng, target, gen, found, others):
    """Values of one target for objects with and without a gen object."""
    import numpy as np

    n = found + others
    if target.values is not None:
        return rng.choice(target.values, n)
    if target.discrete:
        return rng.integers(1, 60, n)
    if gen is None:
        low, high = target.range or (-1.0, 1.0)
        values = rng.uniform(low, min(high, 1.0), n)
        return np.where(rng.random(n) < 0.1, target.special[0], values) if target.special else values
    alone = (
        rng.exponential(10.0, others) if target.relation in {"excess", "ratio"} else rng.normal(0, 1, others)
    )
    smeared = gen * rng.normal(1.0, 0.05, found)
    values = np.concatenate((smeared, alone))
    if target.threshold is not None:
        values = target.threshold + np.abs(values - target.threshold)
    return np.clip(values, *target.range) if target.range else values
