from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.gen.pruning import MINIAOD_RULES, NANOAOD_RULES, Depth, Rule, prune, relink
from flashsim.gen.status import status_flags


def kept_of(record_of, event):
    lines, place = event
    record = record_of(lines)
    flags = status_flags(record)
    family, present = record.genealogy, np.ones(len(lines), dtype=bool)
    for rules in (MINIAOD_RULES, NANOAOD_RULES):
        present = prune(rules, record, flags, family, present)
        family = relink(family, present)
    return {name for name, i in place.items() if present[i]}


def test_keeps_the_hard_process_without_beams(record_of, drell_yan):
    assert kept_of(record_of, drell_yan) == set(drell_yan[1]) - {"beam 1", "beam 2"}


def test_keeps_heavy_hadrons_and_leptons(record_of, b_decays):
    kept = kept_of(record_of, b_decays)
    assert kept >= {"gluon", "b", "b last", "B*", "B", "D", "tau", "nu"}
    assert kept >= {"mu from B", "mu from D", "mu from tau", "nu from tau"}
    assert not kept & {"photon", "beam 1"}


def test_keeps_all_that_a_prompt_tau_gives(record_of, tau_decay):
    assert kept_of(record_of, tau_decay) >= {"mu", "nu", "rho", "pi", "pi0", "photon"}


def test_keeps_photons_when_hard_or_prompt(record_of, line):
    pions = [line(2212, 4), line(111, 2, (0,)), line(22, 1, (1,), px=9.9), line(22, 1, (1,), px=10.1)]
    assert kept_of(record_of, (pions, {"soft": 2, "hard": 3})) == {"hard"}
    prompt = [line(2212, 4), line(22, 1, (0,), px=0.5)]
    assert kept_of(record_of, (prompt, {"prompt": 1})) == {"prompt"}


def test_later_rules_override(record_of, line):
    record = record_of([line(2212, 4), line(5, 23, (0,)), line(5, 71, (1,)), line(21, 71, (1,))])
    flags, everything = status_flags(record), np.ones(4, dtype=bool)
    last = lambda record, _: record.status == 71  # noqa: E731
    rules = (Rule(last, mothers=Depth.ALL), Rule(lambda record, _: record.pdg_id == 21, keep=False))
    assert prune(rules, record, flags, record.genealogy, everything).tolist() == [True, True, True, False]
    rules = (Rule(last, mothers=Depth.ONE),)
    assert prune(rules, record, flags, record.genealogy, everything).tolist() == [False, True, True, True]
    rules = (Rule(lambda record, _: record.status == 4, daughters=Depth.ALL),)
    assert prune(rules, record, flags, record.genealogy, everything).all()


def nearest(mothers, kept, i, seen):
    found = []
    for mother in mothers[i]:
        if mother in seen:
            continue
        seen.add(mother)
        found += [mother] if kept[mother] else nearest(mothers, kept, mother, seen)
    return found


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_relinks_to_the_nearest_kept_relatives(record_of, line, data):
    n = data.draw(st.integers(1, 20))
    lines = [
        line(21, 1, tuple(sorted(data.draw(st.sets(st.integers(0, i - 1), max_size=3))) if i else ()))
        for i in range(n)
    ]
    record = record_of(lines)
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    family = record.genealogy
    mothers = np.split(family.mothers, family.mother_offsets[1:-1])
    daughters = np.split(family.daughters, family.daughter_offsets[1:-1])
    linked = relink(family, kept)
    new_mothers = np.split(linked.mothers, linked.mother_offsets[1:-1])
    new_daughters = np.split(linked.daughters, linked.daughter_offsets[1:-1])
    for i in range(n):
        assert new_mothers[i].tolist() == (nearest(mothers, kept, i, {i}) if kept[i] else [])
        assert new_daughters[i].tolist() == (nearest(daughters, kept, i, {i}) if kept[i] else [])
