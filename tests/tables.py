"""The library's tables, and what tests derive from the signature of a row."""

import inspect
from functools import partial

from wgan_jax.augmentation import AUGMENTATIONS
from wgan_jax.data import DATASETS
from wgan_jax.evaluation import EXTRACTORS, MEASURES
from wgan_jax.losses import CONSTRAINTS, OBJECTIVES, PENALTIES, REGULARIZERS
from wgan_jax.networks import CRITICS, GENERATORS, PARAMETRIZATIONS
from wgan_jax.optimizers import OPTIMIZERS
from wgan_jax.schedules import LEARNING_RATE_SCHEDULES

TABLES = {
    "OBJECTIVES": OBJECTIVES,
    "PENALTIES": PENALTIES,
    "CONSTRAINTS": CONSTRAINTS,
    "REGULARIZERS": REGULARIZERS,
    "AUGMENTATIONS": AUGMENTATIONS,
    "GENERATORS": GENERATORS,
    "CRITICS": CRITICS,
    "PARAMETRIZATIONS": PARAMETRIZATIONS,
    "OPTIMIZERS": OPTIMIZERS,
    "LEARNING_RATE_SCHEDULES": LEARNING_RATE_SCHEDULES,
    "DATASETS": DATASETS,
    "MEASURES": MEASURES,
    "EXTRACTORS": EXTRACTORS,
}
LARGEST, SMALL = 8, 4  # an int field above the first becomes the second


def positional(function):
    """Names of the arguments that are no options."""
    return [
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.kind is not p.KEYWORD_ONLY
    ]


def options(function):
    """Names and defaults of the options, ``inspect.Parameter.empty`` without one."""
    return {
        p.name: p.default
        for p in inspect.signature(function).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    }


def with_required(function, value=0.5):
    """The function with each option that has no default at a value."""
    needed = [k for k, v in options(function).items() if v is inspect.Parameter.empty]
    return partial(function, **dict.fromkeys(needed, value)) if needed else function


def fields(module):
    """Names and defaults of a linen module's own fields."""
    found = inspect.signature(module).parameters.values()
    return {p.name: p.default for p in found if p.name not in ("parent", "name")}


def small_fields(module, size=SMALL):
    """Fields that make a network small; classes stay at none."""
    return {
        name: size
        for name, default in fields(module).items()
        if type(default) is int and default > LARGEST
    }
