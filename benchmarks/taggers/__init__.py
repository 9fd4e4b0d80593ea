"""Training of the networks that score reconstructed objects of the reference simulation."""
