"""Particles of the hard event and of pileup, and what the material of the tracker makes of them."""
