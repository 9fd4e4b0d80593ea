"""The only door to nflows: the base classes that the flow is built on.

Only `nflows.transforms` is used. Importing `nflows.distributions` or `nflows.flows` would load
matplotlib.pyplot, which a generation job must not pay for.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # nflows 0.14 (2020) is no longer maintained: what newer Python or torch versions find old-fashioned
    # in its sources is not for our users to read, and must not stop a run with warnings as errors.
    for _category in (DeprecationWarning, FutureWarning, SyntaxWarning):
        warnings.simplefilter("ignore", _category)
    from nflows.transforms.autoregressive import AutoregressiveTransform
    from nflows.transforms.base import CompositeTransform
    from nflows.transforms.made import MaskedLinear
    from nflows.transforms.permutations import Permutation

__all__ = ["AutoregressiveTransform", "CompositeTransform", "MaskedLinear", "Permutation"]
