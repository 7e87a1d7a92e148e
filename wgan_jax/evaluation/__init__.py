"""Evaluation of samples against a dataset: features, measures and records."""

from wgan_jax.evaluation.evaluator import Advance, Evaluator, make_evaluator
from wgan_jax.evaluation.extractors import EXTRACTORS
from wgan_jax.evaluation.measures import MEASURES, ordered_metrics
from wgan_jax.evaluation.sample import (
    Circumstances,
    Comparison,
    Measure,
    Measured,
    Model,
    Sample,
)

__all__ = [
    "EXTRACTORS",
    "MEASURES",
    "Advance",
    "Circumstances",
    "Comparison",
    "Evaluator",
    "Measure",
    "Measured",
    "Model",
    "Sample",
    "make_evaluator",
    "ordered_metrics",
]
