"""Small recorded events for tests of leptons and photons: random, of the types of the recorder."""

from __future__ import annotations

import numpy as np

from flashsim.events.collection import Collection
from flashsim.reference.flow.recorded import Recorded
from flashsim.reference.particles.streams import Streams

KINDS = (211, 211, 211, 211, 11, 13)


def some_events(events: int = 40, tracks: int = 30, clusters: int = 20, seed: int = 1) -> Recorded:
    """Events with `tracks` tracks, each with its candidate, and `clusters` ECAL clusters, half linked."""
    rng = np.random.default_rng(seed)
    size = events * tracks
    kind = rng.choice(KINDS, size)
    charge = rng.choice([-1, 1], size)
    pt = rng.exponential(12.0, size) + 1.0
    eta, phi = rng.uniform(-2.3, 2.3, size), rng.uniform(-np.pi, np.pi, size)
    track = {
        "pt": pt,
        "eta": eta,
        "phi": phi,
        "charge": charge,
        "ptErr": 0.012 * pt * rng.exponential(1.0, size),
        "d0": 0.01 * rng.standard_cauchy(size),
        "d0Err": np.full(size, 0.002),
        "z": 0.02 * rng.standard_cauchy(size),
        "zErr": np.full(size, 0.004),
        "layers": rng.integers(4, 16, size),
        "pixelHits": rng.integers(0, 5, size),
        "lostInnerHits": rng.integers(0, 3, size),
        "chi2": np.ones(size),
        "quality": rng.random(size) < 0.9,
        "particle": np.arange(size),
        "kind": kind,
        "inFlight": rng.random(size) < 0.05,
        "chambers": np.where(kind == 13, rng.integers(1, 5, size), rng.random(size) < 0.1),
        "gsf": kind == 11,
        "brem": rng.random(size) ** 3,
        "superEnergy": np.where(kind == 11, pt * np.cosh(eta), 0.0),
        "superEta": eta,
        "superPhi": phi,
        "hcalEnergy": np.where(kind == 211, 0.6 * pt, 0.0),
        "ecal": np.full(size, -1),
    }
    linked = rng.permuted(np.tile(np.arange(tracks), (events, 1)), axis=1)[:, : clusters // 2]
    rows = (np.arange(events)[:, None] * tracks + linked).ravel()
    own = (np.arange(events)[:, None] * clusters + np.arange(clusters // 2)).ravel()
    track["ecal"][rows] = own
    count = events * clusters
    cluster = {
        "energy": rng.exponential(20.0, count) + 1.0,
        "eta": rng.uniform(-2.5, 2.5, count),
        "phi": rng.uniform(-np.pi, np.pi, count),
        "width": np.full(count, 0.01),
        "tracks": np.zeros(count, dtype=np.int64),
        "particle": np.full(count, -1),
        "candidate": np.full(count, -1),
    }
    cluster["seed"] = cluster["energy"] * rng.uniform(0.4, 1.0, count)
    cluster["eta"][own], cluster["phi"][own] = eta[rows], phi[rows]
    cluster["energy"][own] = (pt * np.cosh(eta))[rows] * rng.uniform(0.6, 1.1, len(rows))
    cluster["tracks"][own] = 1
    track["ecalEnergy"] = np.where(track["ecal"] >= 0, cluster["energy"][track["ecal"]], 0.0)
    free = np.flatnonzero(cluster["tracks"] == 0)
    event = np.concatenate([np.repeat(np.arange(events), tracks), free // clusters])
    charged = np.arange(len(event)) < size
    neutral = cluster["energy"][free] / np.cosh(cluster["eta"][free])
    hadronic = ~charged & (rng.random(len(event)) < 0.3)
    candidate = {
        "pt": np.concatenate([pt, neutral]),
        "eta": np.concatenate([eta, cluster["eta"][free]]),
        "phi": np.concatenate([phi, cluster["phi"][free]]),
        "mass": np.zeros(len(event)),
        "charge": np.concatenate([charge, np.zeros(len(free), dtype=np.int64)]),
        "track": np.concatenate([np.arange(size), np.full(len(free), -1)]),
        "cluster": np.concatenate([track["ecal"], free]),
        "fromPV": rng.integers(0, 4, len(event)),
        "puppi": rng.random(len(event)),
        "hcalFraction": np.where(hadronic, 1.0, 0.0),
    }
    code = np.concatenate([np.where(kind == 211, 211, -kind) * charge, np.full(len(free), 22)])
    candidate["pdgId"] = np.where(hadronic, 130, code)
    candidate["energy"] = candidate["pt"] * np.cosh(candidate["eta"])
    vertices = {"x": 0.0005, "y": -0.0005, "z": 0.0, "xErr": 0.001, "yErr": 0.001, "zErr": 0.0015}
    size_each = {"track": tracks, "cluster": clusters, "one": 1}
    each = {name: np.arange(events + 1) * number for name, number in size_each.items()}
    candidates = Collection.of_event_rows(event, candidate, events)
    new = np.argsort(np.argsort(event, kind="stable"))
    cluster["candidate"][free] = new[size:]
    particles = {
        "pdg": kind,
        "interaction": np.zeros(size, dtype=np.int64),
        "x": np.zeros(size),
        "y": np.zeros(size),
    }
    return Recorded(
        gen={},
        keys=rng.integers(1, 2**63, events).astype(np.uint64),
        streams=Streams(1, "full"),
        particles=Collection(each["track"], particles),
        tracks=Collection(each["track"], track),
        clusters=Collection(each["cluster"], cluster),
        vertices=Collection(each["one"], {n: np.full(events, v) for n, v in vertices.items()}),
        candidates=candidates,
        rho={"FastjetAll": np.full(events, 20.0)},
    )


def one_event(recorded: Recorded, event: int) -> Recorded:
    """One of the events as a chunk of its own."""
    rows = {"track": "tracks", "cluster": "clusters", "candidate": "candidates", "particle": "particles"}
    first = {name: getattr(recorded, whole).offsets[event] for name, whole in rows.items()}

    def cut(collection: Collection) -> Collection:
        kept = slice(collection.offsets[event], collection.offsets[event + 1])
        columns = {name: column[kept].copy() for name, column in collection.columns.items()}
        for name in set(columns) & {"cluster", "candidate", "particle"}:
            columns[name] -= np.where(columns[name] >= 0, first[name], 0)
        if "ecal" in columns:
            columns["ecal"] -= np.where(columns["ecal"] >= 0, first["cluster"], 0)
        if "fromPV" in columns:
            columns["track"] -= np.where(columns["track"] >= 0, first["track"], 0)
        return Collection(np.array([0, kept.stop - kept.start]), columns)

    return Recorded(
        gen={},
        keys=recorded.keys[event : event + 1],
        streams=recorded.streams,
        rho={name: values[event : event + 1] for name, values in recorded.rho.items()},
        **{whole: cut(getattr(recorded, whole)) for whole in (*rows.values(), "vertices")},
    )
