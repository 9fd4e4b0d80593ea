from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

from flashsim.nanoaod.reading import NanoFile
from flashsim.refinement.losses import RefinementObjective, boundary, deepjet_sum, unitarity
from flashsim.refinement.mmd import FourierFeatures
from flashsim.refinement.network import Refiner


def prepared(recipe, rows):
    torch.manual_seed(0)
    network = Refiner(recipe)
    fast, full, gen = (torch.from_numpy(part) for part in (rows.fast, rows.full, rows.gen))
    network.fit(full, gen)
    return network, RefinementObjective(recipe, network, fast, full, gen), (fast, full, gen)


def test_consistent_discriminators_sum_to_one():
    probabilities = torch.distributions.Dirichlet(torch.ones(4)).sample((1000,)).double()
    b, c, uds, gluon = probabilities.T
    sums = deepjet_sum(b, c / (c + b), c / (c + uds + gluon))
    torch.testing.assert_close(sums, torch.ones(1000, dtype=torch.float64), rtol=1e-6, atol=1e-6)


def test_discriminators_of_real_fast_simulation_sum_to_one(nanoaod_dir):
    path = nanoaod_dir / "htt_fastsim_v9.root"
    if not path.is_file():
        pytest.skip(f"no {path.name} among the real files")
    names = [f"Jet_btagDeepFlav{kind}" for kind in ("B", "CvB", "CvL")]
    with NanoFile(path) as file:
        columns = [ak.to_numpy(ak.flatten(array)) for array in file.read(names).values()]
    sums = deepjet_sum(*torch.from_numpy(np.stack(columns).astype(np.float64)))
    assert len(sums) > 4000
    # To the precision that the file stores.
    mean, deviation = unitarity(sums)
    assert float(mean) == pytest.approx(1.0, abs=1e-4)
    assert float(deviation) < 2e-3


@pytest.mark.parametrize("corner", [(0.5, 1.0, 0.0), (0.0, 1.0, 0.0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)])
def test_the_sum_is_finite_in_all_corners(corner):
    values = torch.tensor([corner], requires_grad=True)
    total = deepjet_sum(*values.T)
    total.sum().backward()
    assert torch.isfinite(total).all()
    assert torch.isfinite(values.grad).all()


def test_unitarity_of_nothing_is_no_fault():
    mean, deviation = unitarity(torch.zeros(0, requires_grad=True))
    assert (float(mean.detach()), float(deviation.detach())) == (1.0, 0.0)


def test_the_boundary_is_free_inside_and_quadratic_beyond():
    low, high = torch.zeros(2), torch.ones(2)
    assert float(boundary(torch.tensor([[0.0, 1.0], [0.5, 0.2]]), low, high)) == 0.0
    assert float(boundary(torch.tensor([[-2.0, 1.0], [0.5, 4.0]]), low, high)) == pytest.approx((4 + 9) / 4)


def test_all_components_are_there_for_every_batch(small, pair_rows):
    recipe = small("jets", stages=[{"constraints": [{"loss": "unitarity_mean", "target": "full"}]}])
    network, objective, (fast, full, gen) = prepared(recipe, pair_rows(recipe, 600))
    expected = {"loss", "mmd", "mmd_0", "mmd_4", "mmd_5", "mse", "huber", "boundary"}
    expected |= {f"unitarity_{part}" for part in ("mean", "std")}
    expected |= {f"{part}_unitarity_mean" for part in ("multiplier", "infeasibility")}
    b_jets = torch.nonzero(gen[:, 2] == 5.0)[:40, 0]
    for rows in (slice(200), b_jets):
        found = objective(network, (fast[rows], full[rows], gen[rows]), None)
        assert found.keys() == expected
        assert all(torch.isfinite(value) for value in found.values())


def test_the_target_of_a_constraint_can_be_that_of_the_full_simulation(small, pair_rows):
    recipe = small("jets", stages=[{"constraints": [{"loss": "unitarity_mean", "target": "full"}]}])
    rows = pair_rows(recipe, 600)
    _, objective, (_, full, _) = prepared(recipe, rows)
    defined = full[full[:, 1] >= 0.0]
    expected, _ = unitarity(deepjet_sum(*defined[:, 1:4].T))
    target = objective.multipliers[0].constraints[0].target
    assert target == pytest.approx(float(expected), rel=1e-3)


def test_equal_simulations_have_no_loss(small, pair_rows):
    recipe = small("pt")
    rows = pair_rows(recipe, 500)
    network, objective, (_, full, gen) = prepared(recipe, rows)
    found = objective(network, (full, full, gen), None)
    assert float(found["mse"]) == 0.0
    assert float(found["huber"]) == 0.0
    assert float(found["mmd"]) == pytest.approx(0.0, abs=1e-6)


def test_training_minimises_the_lagrangian_and_evaluation_the_discrepancy(small, pair_rows):
    constraint = {"loss": "mmd", "target": 0.5, "damping": 2.0, "scale": 3.0}
    recipe = small("pt", stages=[{"primary": "mse", "constraints": [constraint]}])
    network, objective, batch = prepared(recipe, pair_rows(recipe, 300))
    found = objective(network.train(), batch, torch.Generator().manual_seed(1))
    expected = float(found["mse"]) + 3.0 * (0.5 - float(found["mmd"])) ** 2
    assert float(found["loss"].detach()) == pytest.approx(expected, rel=1e-5)
    found = objective(network.eval(), batch, torch.Generator().manual_seed(1))
    assert float(found["loss"].detach()) == float(found["mmd"])


def test_multipliers_ascend_with_the_constraint(small, pair_rows):
    recipe = small("pt", stages=[{"constraints": [{"loss": "mse", "target": 100.0}]}], multiplier_rate=0.1)
    network, objective, batch = prepared(recipe, pair_rows(recipe, 300))
    found = objective(network.train(), batch, None)
    found["loss"].backward()
    objective.after_backward()
    state = objective(network, batch, None)
    assert float(state["multiplier_mse"]) == pytest.approx(0.1 * (100.0 - float(found["mse"])), rel=1e-5)


def test_stages_follow_each_other(small, pair_rows):
    recipe = small("pt", stages=[{"primary": "mse", "epochs": 2}, {"primary": "huber", "epochs": 1}, {}])
    _, objective, _ = prepared(recipe, pair_rows(recipe, 100))
    seen = []
    for epoch in range(5):
        objective.begin_epoch(epoch)
        seen.append(recipe.stages[objective.stage].primary)
    assert seen == ["mse", "mse", "huber", "mmd", "mmd"]


def test_subsets_are_of_variables_alone_in_twos_with_numbers_and_all(small, pair_rows):
    recipe = small("jets", kernel={"features": 100, "subsets": True})
    _, objective, _ = prepared(recipe, pair_rows(recipe, 300))
    assert isinstance(objective.kernel, FourierFeatures)
    looked_at = {tuple(torch.nonzero(f)[:, 0].tolist()) for f in objective.kernel.frequencies.T}
    # Five variables, a flag, gen pT, gen eta, three flags of flavour.
    assert {(k,) for k in range(5)} | {(0, 1), (3, 4), (0, 6), (4, 7), tuple(range(11))} <= looked_at
    assert len(looked_at) == 5 + 10 + 10 + 1
