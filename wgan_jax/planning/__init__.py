"""Ahead-of-time compilation for other devices, and costs of the compiled program."""
