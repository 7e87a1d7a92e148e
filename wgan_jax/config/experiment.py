"""Frozen, typed description of one experiment: the result of validating a config.

Each class is a group of fields, ``config.GROUP``. Each field has a type, a range
and a description. A group that names a row of a table, such as
``config.penalty``, also has the options of that row, which ``rows.py`` adds. To
add a field, declare it here and read it where the objects are built.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import jax.numpy as jnp
import pydantic
from annotated_types import Ge, Le

from wgan_jax import networks
from wgan_jax.augmentation import parse_policy
from wgan_jax.data import DATASETS
from wgan_jax.data.sources import find_loader
from wgan_jax.errors import unknown
from wgan_jax.evaluation import EXTRACTORS, MEASURES
from wgan_jax.latents import PRIORS
from wgan_jax.losses import CONSTRAINTS, OBJECTIVES, PENALTIES, REGULARIZERS
from wgan_jax.optimizers import OPTIMIZERS, find_optimizer
from wgan_jax.parallel.sharding import PLACEMENTS
from wgan_jax.ranges import (
    Count,
    Decay,
    Fraction,
    NotNegative,
    OneOf,
    Positive,
    Seed,
)
from wgan_jax.schedules import LEARNING_RATE_SCHEDULES

DTYPES = {"float32": None, "bfloat16": jnp.bfloat16}
PRECISIONS = ("auto", *DTYPES)
Interval = Annotated[int, Ge(0)]


@dataclass(frozen=True, eq=False)
class Table:
    """Marks a field that names a row of a table.

    Attributes:
        rows: entries by name.
        find: function that looks up a name, for tables that accept more names
            than those in ``rows``. It raises ValueError for an unknown name.
    """

    rows: Mapping[str, Any]
    find: Callable[[str], Any] | None = None

    def lookup(self, name: str) -> Any:
        """Returns the entry with a name.

        Args:
            name: name of a row.

        Raises:
            ValueError: if the name is unknown. The message lists the known
                names and suggests a similar one.
        """
        if self.find is not None:
            return self.find(name)
        if name not in self.rows:
            raise ValueError(unknown(name, self.rows))
        return self.rows[name]


GENERATORS, CRITICS = (
    Table(rows, find=partial(networks.find_network, rows))
    for rows in (networks.GENERATORS, networks.CRITICS)
)


def field(
    description: str, default: Any = ..., *, free: bool = False, keyed: bool = False
) -> Any:
    """Returns the declaration of a field of a group.

    Args:
        description: one line for users.
        default: value of an absent field. Without it, the field is required.
        free: whether a run can be resumed with a different value.
        keyed: whether the field holds groups by label.
    """
    extra: Any = {"free": free, "keyed": keyed}
    return pydantic.Field(default, description=description, json_schema_extra=extra)


class Group(pydantic.BaseModel):
    """Group of fields; immutable, compared by value."""

    model_config = pydantic.ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
    )


class Row(Group):
    """Row of a table and the values of its options."""

    name: str = field("name of the row in the table")

    @property
    def options(self) -> dict[str, Any]:
        """Options of the row by name, including defaults."""
        kinds = (k for k in type(self).__mro__ if k.__module__ == __name__)
        own: type[Row] = next(kinds)
        names = type(self).model_fields
        return {k: getattr(self, k) for k in names if k not in own.model_fields}


class Dataset(Row):
    """Training examples, and how batches of them are prepared."""

    split: str = field("split or part of a split, such as train[:5000]", "train")
    labels: bool = field("class-conditional generation", False)
    flip: bool = field("flip real images horizontally with probability 1/2", False)
    dequantize: bool = field("add uniform noise of one gray level", False)


class Generator(Row):
    """Generator network."""

    latent_size: Count = field("dimension of the latents")
    prior: Annotated[str, OneOf(PRIORS)] = field(
        "distribution of the latents", "normal"
    )


class Term(Row):
    """Penalty or regularizer with its weight."""

    weight: Positive = field("factor of the term in the loss")
    final_weight: Positive | None = field(
        "weight at the end of a cosine schedule; None: constant weight", None
    )
    every: Count = field("updates between two evaluations of the term", 1)


class Constraint(Row):
    """Projection of the critic parameters."""

    before_update: bool = field("project before the update, as in the 2017 code", False)


class Conditional(Group):
    """Settings of class-conditional generation."""

    fake_labels: Literal["real", "uniform"] = field(
        "labels of generated examples in a critic update", "real"
    )
    critic_weight: NotNegative = field("weight of the critic's class loss", 0.0)
    generator_weight: NotNegative = field("weight of the generator's class loss", 0.0)


class Augmentation(Group):
    """Augmentation of all inputs of the critic."""

    policy: str = field("comma-separated names of augmentations")
    probability: Fraction | None = field(
        "probability of each augmentation, initial if it changes; None: always", None
    )
    final_probability: Fraction | None = field(
        "probability at the end of a cosine schedule; None: no schedule", None
    )
    target: Annotated[float, Ge(-1), Le(1)] | None = field(
        "mean sign of real scores to which the probability adapts; None: no adaptation",
        None,
    )
    adaptation_images: Count = field(
        "real examples after which an adapted probability can go from 0 to 1", 500_000
    )

    @pydantic.field_validator("policy")
    @classmethod
    def _known(cls, policy: str) -> str:
        parse_policy(policy)
        return policy


class Optimizer(Row):
    """Optimizer of one network."""

    clip_norm: Positive | None = field(
        "largest global norm of the gradients; None: no clipping", None
    )


class Optimizers(Group):
    """Optimizers of the generator and the critic."""

    generator: Annotated[Optimizer, Table(OPTIMIZERS, find=find_optimizer)]
    critic: Annotated[Optimizer, Table(OPTIMIZERS, find=find_optimizer)]


class Training(Group):
    """Training loop. One iteration is one generator update."""

    iterations: Count = field("number of iterations of the run", free=True)
    iterations_per_call: Count = field(
        "iterations per call of the compiled step", 1, free=True
    )
    batch_size: Count = field("real examples per critic update, over all devices")
    generator_batch_size: Count | None = field(
        "examples per generator update; None: batch_size", None
    )
    microbatches: Count = field("gradient accumulation steps per update", 1)
    n_critic: Count = field("critic updates per iteration")
    boosted_n_critic: Count | None = field("critic updates per boosted iteration", None)
    boosted_first: Count | None = field("number of boosted first iterations", None)
    boosted_every: Count | None = field("interval of later boosted iterations", None)
    ema_decay: Decay | None = field("decay of the generator's EMA; None: no EMA", None)
    ema_half_life: Positive | None = field(
        "half-life of the EMA in generated images, instead of ema_decay", None
    )
    ema_rampup: Positive | None = field(
        "largest half-life as a fraction of the images so far; None: no limit", None
    )
    ema_initial_half_life: NotNegative | None = field(
        "half-life at the start of a cosine schedule; None: constant", None
    )
    compute_dtype: Annotated[str, OneOf(PRECISIONS)] = field(
        "dtype of layer computations; parameters are float32. auto: bfloat16 where the "
        "device multiplies it natively",
        "float32",
    )
    placement: Annotated[str, OneOf(PLACEMENTS)] = field(
        "placement of the state on the devices", "replicated", free=True
    )
    replicas: Count = field("number of replicas, with seeds seed, seed + 1, ...", 1)
    learning_rate_schedule: Annotated[str, OneOf(LEARNING_RATE_SCHEDULES)] = field(
        "schedule of the factor on both learning rates"
    )
    learning_rate_final: NotNegative | None = field(
        "final factor of a cosine schedule", None
    )
    schedule_iterations: Count | None = field(
        "length of the schedules; None: the whole run", None
    )

    @property
    def has_ema(self) -> bool:
        """Whether the run keeps an EMA of the generator."""
        return self.ema_decay is not None or self.ema_half_life is not None


class Sweep(Group):
    """Values of one field, each trained with every seed."""

    field: str = field("name of the field, such as penalty.weight")
    values: tuple[float, ...] = pydantic.Field(description="distinct numbers")


class Checkpoint(Group):
    """Interval and number of checkpoints."""

    every: Count = field("interval in iterations", free=True)
    keep: Count = field("number of newest checkpoints to keep", free=True)
    on_failure: Literal["stop", "continue"] = field(
        "after a write that fails because of the disk: stop the run, or continue, warn "
        "and try again at the next one",
        "stop",
        free=True,
    )


class Samples(Group):
    """Samples drawn during training and by ``--mode=sample``."""

    every: Count = field("interval in iterations", free=True)
    count: Count = field("number of samples", free=True)
    seed: Seed = field("seed of the latents", free=True)
    standing_batches: Interval = field(
        "generated batches whose statistics replace the running averages of batch "
        "normalization in sample mode and in evaluations; 0: none",
        0,
        free=True,
    )
    label: Interval | None = field(
        "class of all samples; None: all classes in turn", None, free=True
    )


class Log(Group):
    """Interval at which metrics are written; those of the last iteration always are."""

    every: Count = field("interval in iterations", free=True)
    report_minutes: NotNegative = field(
        "minutes between two updates of report.html; 0: only at the end",
        5.0,
        free=True,
    )
    callbacks: tuple[str, ...] = field(
        "own loggers: mlflow, prometheus, wandb or module:Class", (), free=True
    )


class Evaluation(Group):
    """Evaluation of samples against the dataset."""

    every: Interval = field("interval in iterations; 0: only by --mode=evaluate")
    count: Annotated[int, Ge(10)] = field(
        "number of generated examples, and of real examples"
    )
    features: Annotated[Row, Table(EXTRACTORS)] = field("feature extractor")
    measures: tuple[Annotated[str, OneOf(MEASURES)], ...] | None = field(
        "names of the measures; None: all that apply", None
    )
    split: str | None = field("split of the real examples; None: dataset.split", None)
    held_out: str | None = field("split that the critic is not trained on", None)
    best_by: str | None = field("metric that selects the best checkpoint", None)
    batch_size: Count = field("examples per batch of the feature extractor")
    seed: Seed = field("seed of the latents and of the choice of examples")


class ExperimentConfig(Group):
    """One experiment: all settings of a run, validated."""

    seed: Seed = field("seed of the weights, the data order and the latents")
    objective: Annotated[Row, Table(OBJECTIVES)]
    dataset: Annotated[Dataset, Table(DATASETS, find=find_loader)]
    generator: Annotated[Generator, GENERATORS]
    critic: Annotated[Row, CRITICS]
    penalty: Annotated[Term, Table(PENALTIES)] | None = None
    penalties: tuple[tuple[str, Annotated[Term, Table(PENALTIES)]], ...] = field(
        "additional penalties by label", (), keyed=True
    )
    constraint: Annotated[Constraint, Table(CONSTRAINTS)] | None = None
    regularizer: Annotated[Term, Table(REGULARIZERS)] | None = None
    conditional: Conditional | None = None
    augmentation: Augmentation | None = None
    optimizer: Optimizers
    training: Training
    sweep: Sweep | None = None
    checkpoint: Checkpoint
    samples: Samples
    log: Log
    evaluation: Evaluation | None = field("evaluation of samples", None, free=True)


def as_json(value: Any) -> Any:
    """Returns an experiment, or a part of one, as JSON values.

    Args:
        value: an experiment, a group or the value of a field. Absent optional
            groups are omitted.
    """
    if isinstance(value, Group):
        fields = ((name, getattr(value, name)) for name in type(value).model_fields)
        return {
            name: as_json(dict(item) if name == "penalties" else item)
            for name, item in fields
            if not (isinstance(value, ExperimentConfig) and item in (None, ()))
        }
    if isinstance(value, dict):
        return {name: as_json(item) for name, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, tuple) else value


def value_of(config: ExperimentConfig, name: str) -> Any:
    """Returns the value of a field.

    Args:
        config: an experiment.
        name: name of the field, such as ``penalty.weight``.

    Raises:
        KeyError: if there is no such field.
    """
    found: Any = config
    for part in name.split("."):
        found = dict(found) if isinstance(found, tuple) else found
        if isinstance(found, Group) and part in type(found).model_fields:
            found = getattr(found, part)
        elif isinstance(found, dict) and part in found:
            found = found[part]
        else:
            raise KeyError(name)
    return found


def with_value(config: Any, name: str, value: Any) -> Any:
    """Returns a copy of an experiment with one field replaced, without validation.

    Args:
        config: an experiment.
        name: name of the field, as for ``value_of``.
        value: new value; can be a tracer.
    """
    first, _, rest = name.partition(".")
    if isinstance(config, tuple):  # groups by label
        return tuple(
            (k, with_value(item, rest, value) if k == first else item)
            for k, item in config
        )
    if rest:
        value = with_value(getattr(config, first), rest, value)
    return config.model_copy(update={first: value})
