"""The frozen, typed description of one experiment, which a config is validated into.

Each class is a group of fields, ``config.GROUP``, and each field has a type, a range
and a description. A group that names a row of a table, such as ``config.penalty``, also
has the row's own options, which ``rows.py`` adds. To add a field, add it here and read
it where the objects are built.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import jax.numpy as jnp
import pydantic
from annotated_types import Ge

from wgan_jax import networks
from wgan_jax.augmentation import parse_policy
from wgan_jax.data import DATASETS
from wgan_jax.data.sources import find_loader
from wgan_jax.errors import unknown
from wgan_jax.evaluation import EXTRACTORS, MEASURES
from wgan_jax.losses import CONSTRAINTS, OBJECTIVES, PENALTIES, REGULARIZERS
from wgan_jax.optimizers import OPTIMIZERS
from wgan_jax.parallel.sharding import PLACEMENTS
from wgan_jax.ranges import Count, Decay, NotNegative, OneOf, Positive, Seed
from wgan_jax.schedules import LEARNING_RATE_SCHEDULES

DTYPES = {"float32": None, "bfloat16": jnp.bfloat16}
Interval = Annotated[int, Ge(0)]


@dataclass(frozen=True, eq=False)
class Table:
    """Marks a field that names a row of a table.

    Attributes:
        rows: what the names stand for.
        find: looks a name up, where more names than those of the rows are known;
            it raises ValueError for one that is not.
    """

    rows: Mapping[str, Any]
    find: Callable[[str], Any] | None = None

    def lookup(self, name: str) -> Any:
        """Returns what a name stands for.

        Args:
            name: as the user wrote it.

        Raises:
            ValueError: for an unknown name, with similar ones and all.
        """
        if self.find is not None:
            return self.find(name)
        if name not in self.rows:
            raise ValueError(unknown(name, self.rows))
        return self.rows[name]


def field(
    description: str, default: Any = ..., *, free: bool = False, keyed: bool = False
) -> Any:
    """Describes a field of a group.

    Args:
        description: one line for a user.
        default: the value if it is not given; required without one.
        free: a run may be resumed with another value.
        keyed: the field holds groups by label.
    """
    extra: Any = {"free": free, "keyed": keyed}
    return pydantic.Field(default, description=description, json_schema_extra=extra)


class Group(pydantic.BaseModel):
    """A group of fields, immutable and compared by value."""

    model_config = pydantic.ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
    )


class Row(Group):
    """A row of a table and the values of its options."""

    name: str = field("the row of the table")

    @property
    def options(self) -> dict[str, Any]:
        """The row's own options by name, defaults included."""
        kinds = (k for k in type(self).__mro__ if k.__module__ == __name__)
        own: type[Row] = next(kinds)
        names = type(self).model_fields
        return {k: getattr(self, k) for k in names if k not in own.model_fields}


class Dataset(Row):
    """The training examples, and how a batch of them is prepared."""

    split: str = field("a split or a part of one, such as train[:5000]", "train")
    labels: bool = field("generate by class", False)
    flip: bool = field("mirror real images with probability 1/2", False)
    dequantize: bool = field("add noise of one gray level", False)


class Generator(Row):
    """The generator."""

    latent_size: Count = field("numbers of a latent, which is standard normal")


class Term(Row):
    """A penalty or a regularizer with its weight."""

    weight: Positive = field("the factor of the term in the loss")
    final_weight: Positive | None = field(
        "the weight at the end of half a cosine; None: it stays", None
    )
    every: Count = field("updates from one evaluation of the term to the next", 1)


class Constraint(Row):
    """A projection of the critic's parameters."""

    before_update: bool = field("project before the update, as the 2017 code", False)


class Conditional(Group):
    """Settings of class-conditional generation."""

    fake_labels: Literal["real", "uniform"] = field(
        "labels of generated examples in a critic update", "real"
    )
    critic_weight: NotNegative = field("class loss of the critic's auxiliary head", 0.0)
    generator_weight: NotNegative = field("class loss of generated examples", 0.0)


class Augmentation(Group):
    """Augmentation of all that the critic sees."""

    policy: str = field("names of augmentations, separated by commas")

    @pydantic.field_validator("policy")
    @classmethod
    def _known(cls, policy: str) -> str:
        parse_policy(policy)
        return policy


class Optimizers(Group):
    """The two optimizers."""

    generator: Annotated[Row, Table(OPTIMIZERS)]
    critic: Annotated[Row, Table(OPTIMIZERS)]


class Training(Group):
    """The training loop. Iterations are generator updates."""

    iterations: Count = field("iterations of the run", free=True)
    iterations_per_call: Count = field("iterations of one compiled call", 1, free=True)
    batch_size: Count = field("real examples of a critic update, over all devices")
    generator_batch_size: Count | None = field(
        "examples of a generator update; None: batch_size", None
    )
    microbatches: Count = field("parts of a batch, whose gradients are averaged", 1)
    n_critic: Count = field("critic updates in an iteration")
    boosted_n_critic: Count | None = field(
        "critic updates in a boosted iteration", None
    )
    boosted_first: Count | None = field("the first iterations are boosted", None)
    boosted_every: Count | None = field("each of these iterations is boosted", None)
    ema_decay: Decay | None = field(
        "of the average of the generator; None: no average", None
    )
    compute_dtype: Annotated[str, OneOf(DTYPES)] = field(
        "dtype of products; parameters stay float32", "float32"
    )
    placement: Annotated[str, OneOf(PLACEMENTS)] = field(
        "what each device holds of the state", "replicated", free=True
    )
    replicas: Count = field("seeds side by side: seed, seed + 1, ...", 1)
    learning_rate_schedule: Annotated[str, OneOf(LEARNING_RATE_SCHEDULES)] = field(
        "factor on both learning rates"
    )
    learning_rate_final: NotNegative | None = field(
        "the factor that a cosine ends with", None
    )
    schedule_iterations: Count | None = field(
        "length of the schedules; None: the whole run", None
    )


class Sweep(Group):
    """Values of one field, side by side, each with every seed."""

    field: str = field("its name, such as penalty.weight")
    values: tuple[float, ...] = pydantic.Field(description="numbers, all different")


class Checkpoint(Group):
    """When checkpoints are written."""

    every: Count = field("iterations", free=True)
    keep: Count = field("newest checkpoints that are kept", free=True)


class Samples(Group):
    """The pictures drawn while training, and by ``--mode=sample``."""

    every: Count = field("iterations", free=True)
    count: Count = field("examples drawn", free=True)
    seed: Seed = field("of the latents", free=True)
    label: Interval | None = field("class of all; None: each in turn", None, free=True)


class Log(Group):
    """When metrics are written."""

    every: Count = field("iterations", free=True)


class Evaluation(Group):
    """How samples are measured."""

    every: Interval = field("iterations; 0: by --mode=evaluate only")
    count: Annotated[int, Ge(10)] = field("generated examples, and as many real ones")
    features: Annotated[Row, Table(EXTRACTORS)] = field("of the examples")
    measures: tuple[Annotated[str, OneOf(MEASURES)], ...] | None = field(
        "names; None: all that apply", None
    )
    split: str | None = field("of the real examples; None: dataset.split", None)
    held_out: str | None = field("a split that the critic does not see", None)
    best_by: str | None = field("the number whose best checkpoint is kept", None)
    batch_size: Count = field("examples at a time")
    seed: Seed = field("of the choice of examples, and of the latents")


class ExperimentConfig(Group):
    """One experiment: everything that a run depends on, validated."""

    seed: Seed = field("of weights, data order and latents")
    objective: Annotated[Row, Table(OBJECTIVES)]
    dataset: Annotated[Dataset, Table(DATASETS, find=find_loader)]
    generator: Annotated[Generator, Table(networks.GENERATORS)]
    critic: Annotated[Row, Table(networks.CRITICS)]
    penalty: Annotated[Term, Table(PENALTIES)] | None = None
    penalties: tuple[tuple[str, Annotated[Term, Table(PENALTIES)]], ...] = field(
        "more penalties, by label", (), keyed=True
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
    evaluation: Evaluation | None = field("see its fields", None, free=True)


def as_json(value: Any) -> Any:
    """Returns an experiment, or a part of one, as JSON values.

    Args:
        value: an experiment, a group or the value of a field. Optional groups that are
            absent are left out.
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
        name: of the field, such as ``penalty.weight``.

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
    """Returns an experiment with another value of one field, which is not checked.

    Args:
        config: an experiment.
        name: of a field, as for ``value_of``.
        value: it may be traced.
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
