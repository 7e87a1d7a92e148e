"""Atomic writes, images, loggers and caches."""
