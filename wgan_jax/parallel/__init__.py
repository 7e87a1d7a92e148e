"""Device mesh, shardings and the multi-process runtime."""
