"""Options of a benchmark in addition to ``--config`` and overrides of its fields."""

import argparse
import sys

import ml_collections

from wgan_jax.config.loading import ConfigFile, find_config, load_config
from wgan_jax.config.overrides import apply_overrides, split_overrides


def parse_arguments(
    parser: argparse.ArgumentParser,
) -> tuple[argparse.Namespace, ml_collections.ConfigDict, ConfigFile]:
    """Returns the options, the config with overrides applied, and its file."""
    parser.add_argument("--config", required=True, help="name or file of a config")
    overrides, others = split_overrides(sys.argv[1:])
    options = parser.parse_args(others)
    file = find_config(options.config)
    config = load_config(file)
    apply_overrides(config, overrides)
    return options, config, file
