"""The VBF H to mumu analysis: speed of its processor, and agreement of simulations with the reference."""
