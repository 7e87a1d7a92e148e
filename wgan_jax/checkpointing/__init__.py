"""Checkpoints on Orbax, with a manifest of every array."""
