"""From particles to particle-flow candidates: tracks, calorimeters, vertices, PUPPI and rho."""
