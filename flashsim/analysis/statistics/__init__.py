"""Statistics of two samples, of the same gen events or of others: numbers of events say what is shared.

Every function takes flat columns of objects with the number of the event of each. Where two samples hold the
same gen event its number is the same in both, and errors, which come from resampling events, leave out what
fluctuates in both alike.
"""

from __future__ import annotations
