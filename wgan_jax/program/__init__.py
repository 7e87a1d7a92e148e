"""The command-line program: one module for each mode, and what they share."""
