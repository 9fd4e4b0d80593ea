"""Scores that networks give to reconstructed objects."""
