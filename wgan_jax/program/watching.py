"""Warnings of a run that diverges or collapses, from numbers that are there anyway.

Each is one sentence, printed once a run, with what usually helps and the entry of
docs/troubleshooting.md. Nothing here changes the training.
"""

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from wgan_jax.config.experiment import ExperimentConfig
from wgan_jax.data import Source
from wgan_jax.losses.objectives import WASSERSTEIN_GAP

# The shipped configs stay below a half of each bound; docs/reference/run-folder.md
# has the measurements.
#
# With a weight of 0.1, the norm of a converged critic is up to 5 times the target.
NORM_FACTOR = 10.0
# Of a critic whose gradient nothing bounds, from its smallest logged norm. It grows by
# less than 4 in good runs. A norm below 10 is no cause for concern at any growth.
GROWTH_FACTOR, GROWTH_NORM = 5.0, 10.0
# No distance between images exceeds the diagonal of [-1, 1]^d. The closed form that
# removes the bias of the penalty is a little above the distance.
DISTANCE_FACTOR = 1.5
# Scores of other critics have no scale; 10 diagonals need a gradient norm of 10.
GAP_FACTOR = 10.0
# Of scores between the two ends of the data. Good runs have more than 1.
CONSTANT_SPREAD, CONSTANT_ROWS = 1e-3, 3
# Of pairwise distances of samples, to those of real examples. Untrained generators
# start at 0.5, and partial collapse stays above 0.3.
COLLAPSED_RATIO = 0.05
_EXAMPLES = 64  # whose pairwise distances are computed


class Warned(NamedTuple):
    """One kind of warning.

    Attributes:
        says: what was measured, with fields for the numbers.
        helps: what usually helps, as a clause.
        entry: title of the entry of docs/troubleshooting.md.
    """

    says: str
    helps: str
    entry: str


WARNINGS = {
    "gradient_norm": Warned(
        "the gradient norm of the critic is {value:.3g}, and its target is {bound:.3g}",
        "a smaller learning rate or a larger penalty weight",
        "The gradient norm stays well above 1 with a gradient penalty",
    ),
    "gradient_growth": Warned(
        "the gradient norm of the critic has grown from {bound:.3g} to {value:.3g}",
        "a gradient penalty or a smaller learning rate",
        "The estimate grows without bound, or oscillates by tens",
    ),
    "distance": Warned(
        "the Wasserstein estimate is {value:.3g}, and no two images are more than "
        "{bound:.3g} apart",
        "a smaller learning rate or a larger penalty weight",
        "The estimate grows without bound, or oscillates by tens",
    ),
    "gap": Warned(
        "the scores of real and generated examples differ by {value:.3g}",
        "a gradient penalty or a smaller learning rate",
        "The estimate grows without bound, or oscillates by tens",
    ),
    "constant_critic": Warned(
        "the critic gives all examples the same score, so the generator does not learn",
        "a larger bound of the weights, or another initialization of the critic",
        "The critic gives all examples the same score",
    ),
    "collapsed": Warned(
        "the pairwise distances of the samples are {value:.2g} of those of real "
        "examples",
        "a smaller learning rate, more critic updates or a gradient penalty",
        "All samples look alike",
    ),
}


class Watch:
    """Warns of a run, each kind once.

    Attributes:
        found: kinds of warnings so far.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        source: Source,
        *,
        gap_name: str,
        bounded: bool,
        warn: Callable[[str], object],
        found: Iterable[str] = (),
    ) -> None:
        """Stores the arguments.

        Args:
            config: config of the run.
            source: its examples, of which a few are read at the first preview.
            gap_name: metric of the difference of scores.
            bounded: whether something bounds the gradient of the critic.
            warn: function that prints one line.
            found: kinds of warnings before the run was resumed.
        """
        self.found = list(found)
        self._source, self._gap_name, self._warn = source, gap_name, warn
        options = {} if config.penalty is None else config.penalty.options
        self._target = options.get("target")
        self._bounded = bounded
        self._smallest = math.inf
        self._flat = 0

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Examines the metrics of an iteration.

        Args:
            step: number of completed iterations.
            values: metrics by name.
        """
        at_fakes = values["critic/gradient_norm_at_fakes"]
        norm = values.get("critic/gradient_norm_mean", at_fakes)
        gap = values[self._gap_name]
        if self._target:
            if norm > NORM_FACTOR * self._target:
                self._say("gradient_norm", step, norm, self._target)
        elif not self._bounded:
            self._smallest = min(self._smallest, norm)
            if norm > max(GROWTH_FACTOR * self._smallest, GROWTH_NORM):
                self._say("gradient_growth", step, norm, self._smallest)
        estimate = values.get("critic/wasserstein_by_penalty")
        if self._gap_name == WASSERSTEIN_GAP and estimate is not None:
            if abs(estimate) > DISTANCE_FACTOR * self._diameter:
                self._say("distance", step, estimate, self._diameter)
        elif abs(gap) > GAP_FACTOR * self._diameter:
            self._say("gap", step, gap, 0.0)
        spread = norm * self._diameter + abs(gap)
        self._flat = self._flat + 1 if spread < CONSTANT_SPREAD else 0
        if self._flat == CONSTANT_ROWS:
            self._say("constant_critic", step, 0.0, 0.0)

    def samples(self, step: int, images: np.ndarray) -> None:
        """Examines samples of the current weights.

        Args:
            step: number of completed iterations.
            images: ``[n, ...]``, in the range of the training.
        """
        if len(images) < 2 or not self._spread > 0:
            return
        ratio = mean_distance(_some(images)) / self._spread
        if ratio < COLLAPSED_RATIO:
            self._say("collapsed", step, ratio, 0.0)

    def _say(self, kind: str, step: int, value: float, bound: float) -> None:
        if kind in self.found:
            return
        self.found.append(kind)
        about = WARNINGS[kind]
        self._warn(
            f"Iteration {step}: {about.says.format(value=value, bound=bound)}; "
            f"{about.helps} usually helps (troubleshooting: {about.entry})."
        )

    @functools.cached_property
    def _examples(self) -> np.ndarray:
        """A few real examples in the range of the training."""
        found = _some(self._source.images)
        return found / 127.5 - 1 if found.dtype == np.uint8 else found

    @functools.cached_property
    def _spread(self) -> float:
        """Mean distance of two real examples."""
        return mean_distance(self._examples)

    @functools.cached_property
    def _diameter(self) -> float:
        """Largest distance between two examples; for points, of a few of them."""
        shape = self._source.example_shape
        if len(shape) == 3:
            return 2 * math.sqrt(math.prod(shape))
        return float(_distances(self._examples).max())


def mean_distance(examples: np.ndarray) -> float:
    """Returns the mean distance of two different examples.

    Args:
        examples: ``[n, ...]`` with n at least 2.
    """
    n = len(examples)
    return float(_distances(examples).sum() / (n * (n - 1)))


def _distances(examples: np.ndarray) -> np.ndarray:
    rows = examples.reshape(len(examples), -1).astype(np.float64)
    rows = rows - rows.mean(axis=0)  # the squares below would cancel
    squares = np.sum(rows**2, axis=1)
    products = squares[:, None] + squares - 2 * rows @ rows.T
    return np.sqrt(np.maximum(products, 0.0))


def _some(examples: Any) -> np.ndarray:
    """Returns evenly spaced examples, which may be read from files."""
    count = min(len(examples), _EXAMPLES)
    indices = np.linspace(0, len(examples) - 1, count).astype(int)
    return np.stack([np.asarray(examples[i]) for i in indices])
