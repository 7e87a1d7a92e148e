"""Command-line program: one module per mode, and shared modules."""
