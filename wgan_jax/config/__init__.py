"""From a ConfigDict to validated objects."""
