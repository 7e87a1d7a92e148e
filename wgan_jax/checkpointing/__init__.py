"""Checkpoints with Orbax, and a manifest of every array."""
