"""LHE files of partons, showered by Pythia 8, as gen-level NanoAOD.

The format: Alwall et al., Comput. Phys. Commun. 176 (2007) 300, hep-ph/0609017; its weights: Andersen et al.,
arXiv:1405.1067.
"""

from __future__ import annotations

from flashsim.gen.lhe.shower import shower_lhe

__all__ = ["shower_lhe"]
