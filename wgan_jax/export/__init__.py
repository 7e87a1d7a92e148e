"""Trained generators in formats that run without this package."""
