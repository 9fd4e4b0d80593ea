"""Maximum mean discrepancy: how far apart two ensembles are, without pairing their members.

Gretton et al., "A kernel two-sample test", JMLR 13 (2012) 723. The kernel is a mixture of Gaussians,
``k(x, y) = mean_w exp(-|x - y|^2 / (w h))``, with columns scaled by their own median distance and h the
median squared distance of scaled rows, so that no width depends on units or on the number of columns. Sums
over pairs are matrix products, made block by block together with their gradient: memory is linear in the
rows.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["WIDTHS", "FourierFeatures", "MixtureKernel", "Statistic", "grouped_mmd", "mmd"]

Statistic = Literal["U", "V"]
"""V: all pairs, biased by about 2 (1 - mean kernel) / n. U: without a row and itself, unbiased."""

WIDTHS = (4.0, 2.0, 1.0, 0.5, 0.25)
"""Widths of the mixture, in units of the median squared distance."""

_BLOCK = 256
_MOST_DOUBLINGS = 4


class MixtureKernel(nn.Module):
    """Mixture of Gaussian kernels whose bandwidths are fixed once.

    Parameters
    ----------
    scales
        Typical distance in each column, shape (D,), positive.
    bandwidth
        Typical squared distance of rows divided by the scales.
    widths
        Of the mixture, in units of the bandwidth.
    """

    scales: Tensor
    bandwidth: Tensor

    def __init__(self, scales: Tensor, bandwidth: float, widths: Sequence[float] = WIDTHS) -> None:
        super().__init__()
        self.widths = tuple(sorted(widths, reverse=True))
        self.register_buffer("scales", scales.detach().clone())
        self.register_buffer("bandwidth", torch.tensor(bandwidth, dtype=scales.dtype))

    @classmethod
    def fit(
        cls, rows: Tensor, *, widths: Sequence[float] = WIDTHS, count: int = 4096, seed: int = 1
    ) -> MixtureKernel:
        """Find the bandwidths from pairs of some rows.

        Parameters
        ----------
        rows
            Shape (N, D), N at least 2.
        widths
            Of the mixture.
        count
            Largest number of rows that are looked at.
        seed
            Chooses them.

        Notes
        -----
        The scale of a column is the root of the median squared distance among pairs that differ in it, 1
        where none does (a flag that is never set). Most pairs agree in a rare flag, so a plain median is 0.
        """
        generator = torch.Generator().manual_seed(seed)
        chosen = rows[torch.randperm(len(rows), generator=generator)[:count].to(rows.device)].detach()
        half = len(chosen) // 2
        squares = (chosen[:half] - chosen[half : 2 * half]).square()
        scales = torch.ones(rows.shape[1], dtype=rows.dtype, device=rows.device)
        for column, values in enumerate(squares.T):
            differing = values[values > 0.0]
            if len(differing):
                scales[column] = differing.median().sqrt()
        distances = (squares / scales.square()).sum(1)
        positive = distances[distances > 0.0]
        return cls(scales, float(positive.median()) if len(positive) else 1.0, widths)

    def scaled(self, rows: Tensor) -> Tensor:
        """Rows in units of the scales and the root of the bandwidth, shape (N, D)."""
        return rows / (self.scales * self.bandwidth.sqrt())

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Kernel of row with row, shape (N,), for x and y of shape (N, D)."""
        squares = (self.scaled(x) - self.scaled(y)).square().sum(-1)
        return torch.stack([torch.exp(-squares / width) for width in self.widths]).mean(0)

    def total(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Sum of the kernel over all pairs of a row of x, (N, D), with one of y, (M, D); by default x."""
        a = self.scaled(x)
        b = a if y is None else self.scaled(y)
        apply: Any = _PairSum.apply
        return cast("Tensor", apply(a, b, self.widths, y is None))


class _PairSum(torch.autograd.Function):
    """Sum of the mixture over all pairs, with the gradient made in the same pass over blocks of rows."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, widths: tuple[float, ...], same: bool) -> Tensor:
        for_a, for_b = ctx.needs_input_grad[0], ctx.needs_input_grad[1] and not same
        # Distances do not change with the origin; near it their differences of squares are most exact.
        origin = b.mean(0)
        left, right = a - origin, b - origin
        norms = right.square().sum(1)
        gradient_a, gradient_b = torch.zeros_like(a), torch.zeros_like(b)
        total = torch.zeros((), dtype=torch.float64, device=a.device)
        for start in range(0, len(a), _BLOCK):
            rows = left[start : start + _BLOCK]
            squares = torch.addmm(norms[None, :], rows, right.T, alpha=-2.0)
            squares.add_(rows.square().sum(1)[:, None]).clamp_(min=0.0)
            kernel, slope = _mixture(squares, widths, for_a or for_b)
            total += kernel.sum(1).double().sum()
            if for_a:
                gradient_a[start : start + _BLOCK] = 2.0 * (rows * slope.sum(1)[:, None] - slope @ right)
            if for_b:
                gradient_b += 2.0 * (right * slope.sum(0)[:, None] - slope.T @ rows)
        ctx.save_for_backward(gradient_a * 2.0 if same else gradient_a, gradient_b)
        ctx.wanted = for_a, for_b
        return total.to(a.dtype)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        gradients = ctx.saved_tensors
        a, b = (outer[0] * g if wanted else None for g, wanted in zip(gradients, ctx.wanted, strict=True))
        return a, b, None, None


def _mixture(squares: Tensor, widths: tuple[float, ...], slope: bool) -> tuple[Tensor, Tensor]:
    """Mixture of squared distances, which are overwritten, and its derivative; widths from wide to narrow.

    Exponentials are what costs most, so a kernel whose width is a wider one's over a power of two is made by
    squaring that one.
    """
    part = torch.exp(squares / -widths[0])
    kernel = part.clone()
    derivative = part * (-1.0 / widths[0]) if slope else squares
    for wide, narrow in itertools.pairwise(widths):
        doublings = math.log2(wide / narrow)
        if doublings == int(doublings) and doublings <= _MOST_DOUBLINGS:
            for _ in range(int(doublings)):
                part.square_()
        else:
            torch.exp(squares / -narrow, out=part)
        kernel += part
        if slope:
            derivative.add_(part, alpha=-1.0 / narrow)
    return kernel.div_(len(widths)), derivative.div_(len(widths)) if slope else derivative


class FourierFeatures(nn.Module):
    """Random Fourier features of a mixture kernel: a discrepancy in time linear in the rows.

    Rahimi and Recht, "Random features for large-scale kernel machines", NIPS 20 (2007). Features may look at
    some columns only. The kernel is then the mean of those of all subsets of columns, and sees what is wrong
    with a single variable as well as one without the other columns would.

    Parameters
    ----------
    kernel
        What the features approximate, to about one over the root of their number.
    count
        How many; divided evenly among subsets and widths, rounded up.
    subsets
        Columns that a feature looks at; by default all. In a proper subset of k columns the widths are in
        units of k: the median squared distance in one column is 1 in units of its scale.
    seed
        Fixes the features.
    """

    frequencies: Tensor
    phases: Tensor

    def __init__(
        self,
        kernel: MixtureKernel,
        count: int = 1024,
        *,
        subsets: Sequence[Sequence[int]] = (),
        seed: int = 1,
    ) -> None:
        super().__init__()
        self.kernel = kernel
        generator = torch.Generator().manual_seed(seed)
        columns = len(kernel.scales)
        parts = []
        for chosen in subsets or [range(columns)]:
            unit = len(chosen) / float(kernel.bandwidth) if len(chosen) < columns else 1.0
            each = -(-count // (len(kernel.widths) * max(1, len(subsets))))
            for width in kernel.widths:
                part = torch.zeros(columns, each)
                part[list(chosen)] = torch.randn(len(chosen), each, generator=generator)
                parts.append(part * math.sqrt(2.0 / (width * unit)))
        frequencies = torch.cat(parts, 1)
        phases = 2.0 * math.pi * torch.rand(frequencies.shape[1], generator=generator)
        self.register_buffer("frequencies", frequencies.to(kernel.scales))
        self.register_buffer("phases", phases.to(kernel.scales))

    def forward(self, rows: Tensor) -> Tensor:
        """Features of rows, shape (N, count), for rows of shape (N, D)."""
        angle = torch.addmm(self.phases, self.kernel.scaled(rows), self.frequencies)
        return angle.cos() * math.sqrt(2.0 / len(self.phases))


def mmd(
    x: Tensor,
    y: Tensor,
    kernel: MixtureKernel | FourierFeatures,
    *,
    statistic: Statistic = "U",
    paired: bool = True,
) -> Tensor:
    """Squared maximum mean discrepancy of two ensembles, a scalar.

    Parameters
    ----------
    x, y
        The ensembles, shape (N, D) and (M, D).
    kernel
        The kernel, or features that approximate it.
    statistic
        ``V`` has all pairs; ``U`` leaves out those of a row with itself.
    paired
        Whether row i of both belongs to one gen object. They share their conditioning columns, are closer
        than independent rows, and would shift the U-statistic below zero under the null: it leaves them out.

    Raises
    ------
    ValueError
        If an ensemble has fewer than 2 rows, or paired ones are not of equal length.
    """
    n, m = len(x), len(y)
    if min(n, m) < 2 or (paired and n != m):
        msg = (
            f"expected ensembles of at least 2 rows{' and equal length' if paired else ''}, found {n} and {m}"
        )
        raise ValueError(msg)
    drop = statistic == "U"
    if isinstance(kernel, FourierFeatures):
        a, b = kernel(x), kernel(y)
        sum_a, sum_b = a.sum(0), b.sum(0)
        inside_x, inside_y, across = sum_a @ sum_a, sum_b @ sum_b, sum_a @ sum_b
        if drop:
            inside_x, inside_y = inside_x - a.square().sum(), inside_y - b.square().sum()
            across = across - (a * b).sum() if paired else across
    else:
        inside_x, inside_y, across = kernel.total(x), kernel.total(y), kernel.total(x, y)
        if drop:
            inside_x, inside_y = inside_x - n, inside_y - m
            across = across - kernel(x, y).sum() if paired else across
    pairs_x, pairs_y = n * (n - drop), m * (m - drop)
    pairs_across = n * (m - 1) if drop and paired else n * m
    squared: Tensor = inside_x / pairs_x + inside_y / pairs_y - 2.0 * across / pairs_across
    return squared


def grouped_mmd(
    x: Tensor,
    y: Tensor,
    groups: Tensor,
    kernel: MixtureKernel | FourierFeatures,
    *,
    statistic: Statistic = "U",
) -> tuple[Tensor, dict[int, Tensor]]:
    """Discrepancy of paired ensembles inside each group, and their sum weighted with the groups' shares.

    Parameters
    ----------
    x, y
        The ensembles, shape (N, D) each; row i of both belongs to one gen object.
    groups
        Number of each row's group, such as its hadron flavour, shape (N,).
    kernel, statistic
        As for `mmd`.

    Returns
    -------
    The sum, and the discrepancies by group; groups of fewer than two rows are left out.
    """
    parts: dict[int, Tensor] = {}
    total = torch.zeros((), dtype=x.dtype, device=x.device)
    for group in torch.unique(groups).tolist():
        chosen = torch.nonzero(groups == group)[:, 0]
        if len(chosen) < 2:
            continue
        parts[int(group)] = mmd(x[chosen], y[chosen], kernel, statistic=statistic)
        total = total + parts[int(group)] * (len(chosen) / len(x))
    return total, parts
