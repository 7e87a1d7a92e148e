"""Ahead-of-time compilation for absent devices, and what the compiled program costs."""
