from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from flashsim.declarations.refinement import RefinerRecipe, load_refiner
from flashsim.refinement.network import Refiner

RECIPES = ("jets", "muons", "pt")


def tensors(rows):
    return tuple(torch.from_numpy(part) for part in (rows.fast, rows.full, rows.gen))


def fitted(recipe, rows, seed=0):
    torch.manual_seed(seed)
    network = Refiner(recipe)
    _, full, gen = tensors(rows)
    network.fit(full, gen)
    return network.eval()


def relative(recipe, column, values, gen):
    """Values of a column over what they are relative to, where that has no part along the beam."""
    measure = recipe.variables[column].relative_to
    if measure is None:
        return values[:, column]
    parts = [values[:, recipe.branches.index(name)] for name in measure.of]
    return values[:, column] / torch.stack(parts).square().sum(0).sqrt().clamp(min=measure.least)


def moving(network, size=0.5):
    """Let the last layer do something."""
    torch.nn.init.normal_(network.leave.weight, std=size)
    torch.nn.init.normal_(network.leave.bias, std=size)
    return network


@pytest.mark.parametrize("name", RECIPES)
def test_is_the_exact_identity_before_training(name, pair_rows):
    recipe = load_refiner(name)
    rows = pair_rows(recipe, 500)
    fast, _, gen = tensors(rows)
    network = fitted(recipe, rows)
    assert torch.equal(network(fast, gen), fast)
    assert torch.equal(network(fast, gen, torch.rand(fast.shape)), fast)


@pytest.mark.parametrize("name", RECIPES)
def test_whatever_the_network_does_values_are_allowed(name, pair_rows):
    recipe = load_refiner(name)
    rows = pair_rows(recipe, 500)
    fast, _, gen = tensors(rows)
    refined = moving(fitted(recipe, rows), 100.0)(fast, gen, torch.rand(fast.shape))
    assert torch.isfinite(refined).all()
    for column, variable in zip(refined.T, recipe.variables, strict=True):
        if variable.transform == "excess":
            assert (column >= variable.threshold).all()
        if variable.transform == "logit":
            assert ((column >= 0.0) & (column <= 1.0) | (column == variable.undefined)).all()
        if variable.transform == "log":
            assert (column >= 0.0).all()


def test_undefined_values_stay_and_say_nothing_else(pair_rows):
    recipe = load_refiner("jets")
    rows = pair_rows(recipe, 500)
    fast, _, gen = tensors(rows)
    network = moving(fitted(recipe, rows))
    refined = network(fast, gen)
    undefined = fast[:, 1] == -1.0
    assert undefined.any()
    assert (refined[undefined, 1:] == -1.0).all()
    assert (refined[~undefined, 1:] >= 0.0).all()
    assert (refined[undefined, 0] != fast[undefined, 0]).any()  # pT is refined all the same
    latent = network.encode(fast, gen, torch.rand(fast.shape))
    assert (latent.values[latent.undefined] == 0.0).all()


def test_an_atom_can_be_left_and_entered(pair_rows):
    recipe = load_refiner("muons")
    rows = pair_rows(recipe, 2000)
    fast, _, gen = tensors(rows)
    network = fitted(recipe, rows)
    isolation = recipe.branches.index("pfRelIso03_all")
    at_atom = fast[:, isolation] == 0.0
    for push, changed in ((2.0, at_atom), (-2.0, ~at_atom)):
        torch.nn.init.constant_(network.leave.bias, push)
        refined = network(fast, gen, torch.rand(fast.shape))[:, isolation]
        entered = refined == 0.0
        assert (entered[changed] != at_atom[changed]).any()


@pytest.mark.parametrize("name", RECIPES)
def test_latent_values_come_back(name, pair_rows):
    recipe = load_refiner(name)
    rows = pair_rows(recipe, 500)
    fast, _, gen = tensors(rows)
    network = fitted(recipe, rows).double()
    fast, gen = fast.double(), gen.double()
    latent = network.encode(fast, gen, torch.rand(fast.shape, dtype=torch.float64))
    back = network.decode(latent.values, gen)
    back = torch.where(network.keeps_sign, back.copysign(fast), back)
    inside = torch.ones_like(back, dtype=torch.bool)
    for k, variable in enumerate(recipe.variables):
        if variable.transform == "logit":
            inside[:, k] = (fast[:, k] - 0.5).abs() < 0.4997
        if variable.atom is not None:
            measured = [relative(recipe, k, values, gen) for values in (fast, torch.from_numpy(rows.full))]
            inside[:, k] = measured[0] > measured[1][measured[1] > 0.0].quantile(0.006)
            assert (back[fast[:, k] == variable.atom, k] == variable.atom).all()
    keep = inside & ~latent.undefined
    torch.testing.assert_close(back[keep], fast[keep], rtol=1e-5, atol=1e-8)


def test_latent_values_of_the_full_simulation_have_unit_variance(pair_rows):
    recipe = load_refiner("jets")
    rows = pair_rows(recipe, 4000)
    _, full, gen = tensors(rows)
    latent = fitted(recipe, rows).encode(full, gen, torch.rand(full.shape))
    defined = latent.values[~latent.undefined.any(1)]
    torch.testing.assert_close(defined.mean(0), torch.zeros(5), atol=0.05, rtol=0.0)
    torch.testing.assert_close(defined.std(0), torch.ones(5), atol=0.05, rtol=0.0)


def test_conditions_never_leave_the_range_of_training(pair_rows):
    recipe = load_refiner("jets")
    rows = pair_rows(recipe, 500)
    _, _, gen = tensors(rows)
    network = fitted(recipe, rows)
    far = gen.clone()
    far[:, 0] *= 1000.0
    seen = network.condition(gen)
    assert (network.condition(far).amax(0) <= seen.amax(0)).all()
    assert sorted(torch.unique(seen[:, 2:]).tolist()) == [0.0, 1.0]


def test_values_that_hardly_any_object_has_are_moved_as_those_beside_them(pair_rows):
    recipe = load_refiner("muons")
    rows = pair_rows(recipe, 5000)
    _, full, gen = tensors(rows)
    network = moving(fitted(recipe, rows), 3.0)
    latent, condition = network.encode(full, gen, torch.rand(full.shape)), network.condition(gen)
    outside = (latent.values < network.value_low) | (latent.values > network.value_high)
    assert 0.0 < outside.float().mean() < 0.005
    far = latent._replace(values=torch.where(outside, 10.0 * latent.values, latent.values))
    moved = network.shift(latent, condition)
    assert torch.equal(network.shift(far, condition), moved)
    uniform = torch.rand(full.shape)
    becomes = network.encode(network(full, gen, uniform), gen, uniform).values
    started = network.encode(full, gen, uniform).values
    inside = ((started >= network.value_low) & (started <= network.value_high)).all(1)
    pt = recipe.branches.index("pt")
    assert (becomes[inside, pt] >= network.value_low[pt] - 1e-3).all()
    assert (becomes[inside, pt] <= network.value_high[pt] + 1e-3).all()


def test_every_output_depends_on_every_condition_and_value(pair_rows):
    recipe = load_refiner("jets")
    rows = pair_rows(recipe, 50)
    fast, _, gen = tensors(rows)
    network = moving(fitted(recipe, rows))
    latent, condition = network.encode(fast, gen, torch.rand(fast.shape)), network.condition(gen)
    defined = ~latent.undefined.any(1)
    values = latent.values[defined].requires_grad_()
    condition = condition[defined].requires_grad_()
    shift = network.shift(latent._replace(values=values, undefined=latent.undefined[defined]), condition)
    for column in range(shift.shape[1]):
        gradients = torch.autograd.grad(shift[:, column].sum(), (values, condition), retain_graph=True)
        assert all((gradient.abs().sum(0) > 0.0).all() for gradient in gradients)


def test_what_is_relative_follows(pair_rows):
    """Where dxy moves, ip3d keeps its ratio to what dxy and dz make of it, and sip3d its ratio to ip3d."""
    recipe = load_refiner("muons")
    rows = pair_rows(recipe, 500)
    fast, _, gen = tensors(rows)
    network = fitted(recipe, rows)
    with torch.no_grad():
        network.leave.bias[recipe.branches.index("dxy")] = 0.7
    before, after = (
        dict(zip(recipe.branches, v.double().T, strict=True)) for v in (fast, network(fast, gen))
    )
    stretch = gen[:, recipe.gen_fields.index("eta")].double().cosh()
    measures = [torch.hypot(values["dxy"], values["dz"] / stretch) for values in (before, after)]
    assert not torch.isclose(after["dxy"], before["dxy"], rtol=1e-2).any()
    for name in ("dz", "pt", "pfRelIso03_all", "pfRelIso04_all"):
        assert torch.equal(after[name], before[name])
    torch.testing.assert_close(after["ip3d"] / measures[1], before["ip3d"] / measures[0], rtol=1e-4, atol=0)
    torch.testing.assert_close(
        after["sip3d"] / after["ip3d"], before["sip3d"] / before["ip3d"], rtol=1e-4, atol=0
    )


def test_signs_stay_whatever_the_network_does(pair_rows):
    recipe = load_refiner("muons")
    rows = pair_rows(recipe, 500)
    fast, _, gen = tensors(rows)
    signed = [k for k, variable in enumerate(recipe.variables) if variable.keeps_sign]
    assert [recipe.branches[k] for k in signed] == ["dxy", "dz"]
    network = moving(fitted(recipe, rows), 3.0)
    one, other = fast, fast.clone()
    other[:, signed] *= -1.0
    refined, mirrored = network(one, gen), network(other, gen)
    assert (refined[:, signed] != one[:, signed]).any(0).all()
    assert torch.equal(refined[:, signed].sign(), one[:, signed].sign())
    assert torch.equal(mirrored[:, signed], -refined[:, signed])


def test_a_share_that_may_be_zero_follows_and_stays_zero(pair_rows):
    """Where the outer cone's isolation moves, the inner one's keeps its share, and zero is zero."""
    recipe = load_refiner("muons")
    rows = pair_rows(recipe, 2000)
    fast, _, gen = tensors(rows)
    network = fitted(recipe, rows)
    outer, inner = (recipe.branches.index(f"pfRelIso0{cone}_all") for cone in (4, 3))
    with torch.no_grad():
        network.leave.bias[outer] = 0.3
    refined = network(fast, gen)
    empty = fast[:, inner] == 0.0
    assert empty.any()
    assert (refined[empty, inner] == 0.0).all()
    # The smallest few shares above zero count as one value.
    share, smallest = relative(recipe, inner, fast, gen), network.transforms[inner].edge.exp()
    moved = (fast[:, outer] > 0.02) & (refined[:, outer] > 0.02) & (share > smallest)
    # But for the outermost, which stay.
    assert torch.isclose(refined[moved, inner], fast[moved, inner], rtol=1e-3).float().mean() < 0.01
    before, after = (relative(recipe, inner, values.double(), gen)[moved] for values in (fast, refined))
    torch.testing.assert_close(after, before, rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"relative_to": {"of": ["pt"], "along": ["sip3d"]}}, "dxy is relative to sip3d"),
        ({"relative_to": {"of": ["dxy"]}}, "dxy is relative to dxy"),
        ({"relative_to": {}}, "of some variables, found none"),
        ({"relative_to": {"of": ["pt"]}, "transform": "asinh"}, "has the transform log"),
        ({"relative_to": {"of": ["pt"]}, "atom": 0.1}, "has the transform log, and no atom but 0"),
        ({"keeps_sign": True}, "has a sign to keep with the transform asinh, not with 'log'"),
    ],
)
def test_variables_are_relative_to_what_is_before_them(changes, said):
    content = load_refiner("muons").model_dump()
    (dxy,) = (v for v in content["variables"] if v["branch"] == "dxy")
    dxy |= {"transform": "log", "keeps_sign": False} | changes
    with pytest.raises(ValidationError, match=said):
        RefinerRecipe.model_validate(content)
