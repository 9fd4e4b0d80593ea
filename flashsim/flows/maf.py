"""Conditional masked autoregressive flow with rational-quadratic splines."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from flashsim.flows import spline
from flashsim.flows._arrangement import check_architecture
from flashsim.flows._masked_spline import is_compiled_for, masked_spline, spline_blocks
from flashsim.flows._nflows import AutoregressiveTransform, CompositeTransform, Permutation
from flashsim.flows.made import MaskedConditioner
from flashsim.flows.module import FlowModule
from flashsim.flows.spline_limits import identity_logit

if TYPE_CHECKING:
    from flashsim.flows.protocol import Architecture

__all__ = ["ConditionalMAF", "SplineAutoregressive"]

_INITIAL_OUTPUT_SCALE = 1e-3
"""Output weights start this much smaller than usual: near the identity, yet with gradients below."""


class SplineAutoregressive(AutoregressiveTransform):  # type: ignore[misc]  # nflows has no types
    """One autoregressive layer: variable d through a spline with parameters from x_1 to x_(d-1).

    The inverse, inherited from nflows, runs the conditioner D times. It is the reference for
    `flashsim.flows.sampler.Sampler`, which runs it once.

    Parameters
    ----------
    conditioner
        Network that gives 3 bins - 1 spline parameters a variable: widths, heights, inner derivatives.
    bins
        Number of spline bins K.
    bound
        Half width of the interval that the spline covers.
    """

    def __init__(self, conditioner: MaskedConditioner, bins: int, bound: float) -> None:
        super().__init__(conditioner)
        self.bins = bins
        self.bound = bound
        self._blocks = spline_blocks(conditioner.degrees, conditioner.features)

    def forward(self, inputs: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map variables, shape (N, D), given context (N, C), to noise and log |det dz/dx|, shape (N,)."""
        conditioner: MaskedConditioner = self.autoregressive_net
        hidden = conditioner.activations(inputs, context)
        output = conditioner.output
        if is_compiled_for(inputs, hidden, output.weight):
            return masked_spline(
                inputs, hidden, output.masked_weight(), output.bias, self._blocks, self.bound
            )
        return self._elementwise_forward(inputs, output(hidden))

    def _elementwise_forward(self, inputs: Tensor, autoregressive_params: Tensor) -> tuple[Tensor, Tensor]:
        return self._elementwise(inputs, autoregressive_params, inverse=False)

    def _elementwise_inverse(self, inputs: Tensor, autoregressive_params: Tensor) -> tuple[Tensor, Tensor]:
        return self._elementwise(inputs, autoregressive_params, inverse=True)

    def _elementwise(self, inputs: Tensor, parameters: Tensor, *, inverse: bool) -> tuple[Tensor, Tensor]:
        logits = parameters.reshape(*inputs.shape, 3 * self.bins - 1)
        widths, heights, derivatives = logits.tensor_split((self.bins, 2 * self.bins), dim=-1)
        outputs, logabsdet = spline.rational_quadratic(
            inputs, widths, heights, derivatives, inverse=inverse, bound=self.bound
        )
        return outputs, logabsdet.sum(dim=-1)


class ConditionalMAF(FlowModule):
    """Density p(x | context) of D variables given C context values.

    A chain of autoregressive spline layers, with the variables permuted in between, maps x to noise z
    that follows N(0, 1) in every variable (Papamakarios et al., arXiv:1705.07057; Durkan et al.,
    arXiv:1906.04032). It starts near the identity. Outside [-bound, bound] a spline is the identity:
    variables should come standardised.

    Parameters
    ----------
    features
        Number of variables D, at least 1.
    context
        Number of context values C; 0 for an unconditional density.
    layers
        Number of autoregressive layers.
    width, depth
        Units of a hidden layer, and number of hidden layers, of each conditioner.
    bins
        Spline bins of each variable.
    bound
        Half width of the interval that the splines cover.
    dropout
        Dropout probability of hidden units while training.
    leading
        Number of variables that stay in front: the first one's distribution is a chain of splines of its own,
        that of the second one given the first likewise, and no other variable disturbs them.
    seed
        Fixes the permutations and the initial weights; the global random state is neither used nor changed.

    Raises
    ------
    ValueError
        If a size is out of range.

    Examples
    --------
    >>> import torch
    >>> from flashsim.flows.maf import ConditionalMAF
    >>> flow = ConditionalMAF(features=2, context=3, layers=2, width=16)
    >>> flow.log_prob(torch.zeros(5, 2), torch.zeros(5, 3)).shape
    torch.Size([5])
    """

    def __init__(
        self,
        features: int,
        context: int,
        *,
        layers: int = 5,
        width: int = 128,
        depth: int = 2,
        bins: int = 24,
        bound: float = 6.0,
        dropout: float = 0.0,
        leading: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._architecture: Architecture = {
            "features": features,
            "context": context,
            "layers": layers,
            "width": width,
            "depth": depth,
            "bins": bins,
            "bound": bound,
            "dropout": dropout,
            "leading": leading,
            "seed": seed,
        }
        check_architecture(self._architecture)
        self.features = features
        self.context_features = context
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.transform = CompositeTransform(_chain(self._architecture))

    def architecture(self) -> Architecture:
        """Arguments that rebuild this flow: ``ConditionalMAF(**flow.architecture())``.

        Returns
        -------
        Architecture
            Plain numbers, fit for JSON.
        """
        return self._architecture.copy()

    def loss(self, x: Tensor, context: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Negative log-likelihood in nats, the mean over x, shape (N, D), given context (N, C)."""
        del generator  # exact
        return -self.log_prob(x, context).mean()

    def to_noise(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map variables to noise.

        Parameters
        ----------
        x
            Variables, shape (N, D).
        context
            Context, shape (N, C); may be left out when C is 0.

        Returns
        -------
        z, logabsdet : Tensor
            Noise, shape (N, D), and log |det dz/dx|, shape (N,).

        Raises
        ------
        ValueError
            If a shape does not fit the flow.
        """
        z, logabsdet = self.transform(x, self.checked_context(x, context))
        return z, logabsdet

    def from_noise(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Map noise to variables, the inverse of `to_noise`.

        This is the plain inverse, D passes a layer, differentiable. To generate, use
        `flashsim.flows.sampler.Sampler`.

        Parameters
        ----------
        z
            Noise, N(0, 1) in every variable, shape (N, D).
        context
            Context, shape (N, C); may be left out when C is 0.

        Returns
        -------
        Tensor
            Variables, shape (N, D).

        Raises
        ------
        ValueError
            If a shape does not fit the flow.
        """
        x, _ = self.transform.inverse(z, self.checked_context(z, context))
        return x  # type: ignore[no-any-return]

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Logarithm of the density.

        Parameters
        ----------
        x
            Variables, shape (N, D).
        context
            Context, shape (N, C); may be left out when C is 0.

        Returns
        -------
        Tensor
            log p(x | context) in nats, shape (N,).

        Raises
        ------
        ValueError
            If a shape does not fit the flow.
        """
        z, logabsdet = self.to_noise(x, context)
        return logabsdet - 0.5 * z.square().sum(dim=-1) - 0.5 * self.features * math.log(2.0 * math.pi)

    @torch.no_grad()
    def sample(self, context: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw one x for every row of context.

        Parameters
        ----------
        context
            Context, shape (N, C); shape (N, 0) for an unconditional density.
        generator
            Source of the random numbers; torch's global one by default.

        Returns
        -------
        Tensor
            Variables, shape (N, D).

        Raises
        ------
        ValueError
            If the shape does not fit the flow.
        """
        z = torch.randn(
            (len(context), self.features), generator=generator, dtype=self.dtype, device=context.device
        )
        return self.from_noise(z, context)

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the weights."""
        return next(self.parameters()).dtype

    def checked_context(self, x: Tensor, context: Tensor | None) -> Tensor | None:
        """Check the shapes of variables (or noise) and context against each other and the flow.

        Parameters
        ----------
        x
            Variables or noise, shape (N, D).
        context
            Context, shape (N, C), or None when C is 0.

        Returns
        -------
        Tensor or None
            The context, None when C is 0.

        Raises
        ------
        ValueError
            If a shape does not fit.
        """
        if x.ndim != 2 or x.shape[1] != self.features:
            msg = f"The flow expects variables of shape (N, {self.features}), found {tuple(x.shape)}."
            raise ValueError(msg)
        found = None if context is None else tuple(context.shape)
        expected = (len(x), self.context_features)
        if found == expected or (found is None and not self.context_features):
            return context if self.context_features else None
        msg = f"The flow expects context of shape {expected}, found {found}."
        raise ValueError(msg)


def _chain(architecture: Architecture) -> list[nn.Module]:
    chain: list[nn.Module] = []
    for layer in range(architecture["layers"]):
        if layer:
            chain.append(Permutation(_permutation(layer, architecture["features"], architecture["leading"])))
        chain.append(_layer(architecture))
    return chain


def _permutation(layer: int, features: int, leading: int) -> Tensor:
    """Leave the leading variables where they are; reverse the others after every odd layer.

    So no pair of layers has a privileged first variable among these.
    """
    others = features - leading
    order = torch.arange(others - 1, -1, -1) if layer % 2 else torch.randperm(others)
    return torch.cat((torch.arange(leading), leading + order))


def _layer(architecture: Architecture) -> SplineAutoregressive:
    bins = architecture["bins"]
    conditioner = MaskedConditioner(
        architecture["features"],
        architecture["context"],
        width=architecture["width"],
        depth=architecture["depth"],
        parameters=3 * bins - 1,
        dropout=architecture["dropout"],
    )
    with torch.no_grad():
        conditioner.output.weight.mul_(_INITIAL_OUTPUT_SCALE)
        conditioner.output.bias.zero_()
        bias = conditioner.output.bias.view(architecture["features"], 3 * bins - 1)
        bias[:, 2 * bins :] = identity_logit()
    return SplineAutoregressive(conditioner, bins, architecture["bound"])
