"""Builds the evaluator from a config's ``evaluation`` group."""

from pathlib import Path

from wgan_jax.config.build import build_source
from wgan_jax.config.experiment import ExperimentConfig
from wgan_jax.config.resolve import Config, resolve
from wgan_jax.config.rows import as_config_error
from wgan_jax.data import Source
from wgan_jax.data.overlap import check_held_out
from wgan_jax.errors import ConfigError, choices
from wgan_jax.evaluation import (
    EXTRACTORS,
    MEASURES,
    Evaluator,
    make_evaluator,
    ordered_metrics,
)


def build_evaluator(
    config: Config, source: Source, *, cache: Path | None = None
) -> Evaluator:
    """Returns the evaluator of a config.

    Args:
        config: config of one experiment.
        source: dataset used for training.
        cache: folder of cached reference features.

    Raises:
        ConfigError: if the config has mistakes, the features are unavailable,
            or ``evaluation`` is missing.
        DataError: if the split to evaluate on is unavailable.
    """
    config = resolve(config)
    fields = config.evaluation
    if fields is None:
        raise ConfigError(
            "config.evaluation is missing; it sets the number of examples, the "
            "features and the measures. See configs/cifar10_wgan_gp.py for an example."
        )
    try:
        extractor = EXTRACTORS[fields.features.name](
            source.example_shape, **fields.features.options
        )
    except ValueError as error:
        raise ConfigError(f"config.evaluation.features: {error}") from error
    held_out = None
    if fields.held_out is not None:
        held_out = _with_split(config, source, fields.held_out, "held_out")
        try:
            check_held_out(source, held_out)
        except ValueError as error:
            raise ConfigError(f"config.evaluation.held_out: {error}") from error
    evaluator = as_config_error(
        make_evaluator,
        _with_split(config, source, fields.split, "split"),
        extractor,
        tuple(MEASURES) if fields.measures is None else fields.measures,
        count=fields.count,
        seed=fields.seed,
        batch_size=fields.batch_size,
        train=source,
        held_out=held_out,
        cache=cache,
    )
    _check_measures(evaluator, fields.best_by)
    return evaluator


def _check_measures(evaluator: Evaluator, best_by: str | None) -> None:
    lacking = evaluator.lacking(has_model=True)
    if len(lacking) == len(evaluator.measures):
        needs = "; ".join(f"{name} needs {what}" for name, what in lacking.items())
        raise ConfigError(
            f"config.evaluation.measures are {list(lacking)}, none of which is "
            f"available here: {needs}."
        )
    able = ordered_metrics(
        measure for key, measure in evaluator.measures.items() if key not in lacking
    )
    if best_by is not None and best_by not in able:
        raise ConfigError(
            f"config.evaluation.best_by is {best_by!r}, which is not measured here; "
            f"{choices(able)}."
        )


def _with_split(
    config: ExperimentConfig, source: Source, split: str | None, where: str
) -> Source:
    if split is None or split == source.split:
        return source
    return build_source(config, split=split, split_field=f"evaluation.{where}")
