"""Evaluation of samples against a dataset: features, measures and records."""

from wgan_jax.evaluation.evaluator import Advance, Evaluator, make_evaluator
from wgan_jax.evaluation.extractors import EXTRACTORS
from wgan_jax.evaluation.measures import MEASURES, Measure
from wgan_jax.evaluation.sample import Comparison, Model, Sample

__all__ = [
    "EXTRACTORS",
    "MEASURES",
    "Advance",
    "Comparison",
    "Evaluator",
    "Measure",
    "Model",
    "Sample",
    "make_evaluator",
]
