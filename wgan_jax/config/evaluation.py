"""Builds the evaluator from a config's ``evaluation`` group."""

from pathlib import Path

import ml_collections

from wgan_jax.config.build import build_source
from wgan_jax.config.registry import as_config_error, bind
from wgan_jax.config.schema import options
from wgan_jax.data import Source
from wgan_jax.errors import ConfigError
from wgan_jax.evaluation import EXTRACTORS, MEASURES, Evaluator, make_evaluator


def build_evaluator(
    config: ml_collections.ConfigDict, source: Source, *, cache: Path | None = None
) -> Evaluator:
    """The evaluator of a config, with every mistake in it found.

    Args:
        config: one experiment.
        source: its dataset, as training sees it.
        cache: folder of reference features.

    Returns:
        The evaluator.

    Raises:
        ConfigError: for an unknown name, an option that nothing reads, features
            that are unavailable, or no ``evaluation`` at all.
        DataError: if the split to evaluate on is unavailable.
    """
    fields = options(config, "evaluation")
    if not fields:
        raise ConfigError(
            "config.evaluation is missing: it says how many examples, which features "
            "and which measures; configs/cifar10_wgan_gp.py has one to copy."
        )
    _check_every(fields["every"])
    features = {k: v for k, v in dict(fields["features"]).items() if v is not None}
    extractor = as_config_error(
        bind(EXTRACTORS, features, "evaluation.features"), source.example_shape
    )
    measures, held_out = fields.get("measures"), fields.get("held_out")
    if held_out is not None and held_out == source.split:
        raise ConfigError(
            f"config.evaluation.held_out is {held_out!r}, which the critic trains on; "
            "name another split, or None."
        )
    evaluator = as_config_error(
        make_evaluator,
        _with_split(config, source, fields.get("split"), "split"),
        extractor,
        tuple(MEASURES) if measures is None else tuple(measures),
        count=fields["count"],
        seed=fields["seed"],
        batch_size=fields["batch_size"],
        train=source,
        held_out=None
        if held_out is None
        else _with_split(config, source, held_out, "held_out"),
        cache=cache,
    )
    _check_measures(evaluator, fields.get("best_by"))
    return evaluator


def _check_measures(evaluator: Evaluator, best_by: str | None) -> None:
    lacking = evaluator.lacking(has_model=True)
    if len(lacking) == len(evaluator.measures):
        needs = "; ".join(f"{name} needs {what}" for name, what in lacking.items())
        raise ConfigError(
            f"config.evaluation.measures are {list(lacking)}, none of which can be "
            f"had here: {needs}."
        )
    able = [
        name
        for key, measure in evaluator.measures.items()
        for name, better in measure.reports.items()
        if better and key not in lacking
    ]
    if best_by is not None and best_by not in able:
        raise ConfigError(
            f"config.evaluation.best_by is {best_by!r}; it must be a number that will "
            f"be measured and of which less or more is better: {', '.join(able)}."
        )


def _with_split(
    config: ml_collections.ConfigDict, source: Source, split: str | None, where: str
) -> Source:
    if split is None or split == source.split:
        return source
    other = config.copy_and_resolve_references()
    with other.unlocked():
        other.dataset.split = split
    try:
        return build_source(other)
    except ConfigError as error:
        raise ConfigError(f"config.evaluation.{where}: {error}") from error


def _check_every(every: object) -> None:
    if not isinstance(every, int) or every < 0:
        raise ConfigError(
            f"config.evaluation.every is {every}; it must be a number of iterations, "
            "or 0 for none while training."
        )
