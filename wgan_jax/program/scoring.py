"""Evaluation of samples from the generator of a run."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.config.experiment import Evaluation
from wgan_jax.evaluation import Advance, Comparison, Evaluator, Model
from wgan_jax.gan import Gan, GanState
from wgan_jax.io.images import are_images, image_grid, save_png, to_uint8
from wgan_jax.io.loggers import Stages
from wgan_jax.metrics import Result, nearest_neighbours
from wgan_jax.program.gallery import draw_interpolation
from wgan_jax.program.restoring import with_standing_statistics
from wgan_jax.program.setup import Experiment
from wgan_jax.sampling import (
    generator_weights,
    sample_batches,
    sample_labels,
)
from wgan_jax.types import Array, Params, PyTree

_NEIGHBOUR_ROWS, _NEIGHBOURS = 8, 7
_BRANCH = 1  # folded into the key, so that latents differ from those of the grids


class Examined(NamedTuple):
    """Evaluation of one set of weights of one run.

    Attributes:
        run: name of the replica; empty for a single run.
        weights: ``ema`` or ``live``.
        results: results with their protocols; empty on processes other than the
            primary one.
        comparison: examples and features of the first set of weights. None for
            the others, to save memory, and on processes other than the primary
            one.
        seconds: duration of the evaluation.
        standing_batches: batches of the standing statistics; 0 for none.
    """

    run: str
    weights: str
    results: list[Result]
    comparison: Comparison | None
    seconds: float
    standing_batches: int = 0


def examine(
    experiment: Experiment,
    evaluator: Evaluator,
    state: GanState,
    *,
    stages: Stages,
    agree: Callable[[], None] = lambda: None,
) -> Iterator[Examined]:
    """Evaluates the EMA and the live weights of each run in a state.

    Batch normalization uses the standing statistics of
    ``config.samples.standing_batches``, or its running averages if there are none.

    All processes must call this function together. The primary process computes
    the results.

    Args:
        experiment: experiment of the state.
        evaluator: evaluator of its config.
        state: state of a run or of replicas.
        stages: progress display. It is updated on all processes while they draw,
            and on the primary one while that computes.
        agree: called by all processes after the primary one has computed.

    Yields:
        The evaluated weights, run by run, EMA weights first.
    """
    alone, failure, some = jax.process_count() == 1, None, False
    for run, gan, arrays in experiment.runs(state):
        arrays = with_standing_statistics(experiment.config, gan, arrays)
        for weights in ("live",) if gan.ema_decay is None else ("ema", "live"):
            began = time.perf_counter()
            use_ema = weights == "ema"
            fakes, labels = _draw(
                experiment, gan, arrays, use_ema=use_ema, stages=stages
            )
            model = _model(gan, arrays, use_ema=use_ema)  # a collective operation, too
            if jax.process_index() != 0:
                agree()
                yield Examined(run, weights, [], None, 0.0)
                continue
            try:
                if failure is None:
                    results, comparison = evaluator.evaluate(
                        fakes,
                        labels=labels,
                        model=model,
                        advance=_named(stages, f"{run} {weights}".strip()),
                    )
            except Exception as error:
                if alone:
                    raise
                failure = error  # raised later: drawing is a collective operation
            agree()
            if failure is not None:
                continue
            seconds = time.perf_counter() - began
            yield Examined(
                run,
                weights,
                results,
                None if some else comparison,
                seconds,
                experiment.config.samples.standing_batches,
            )
            some = True
    if failure is not None:
        raise failure


def draw_pictures(
    experiment: Experiment,
    state: GanState,
    comparison: Comparison | None,
    folder: Path,
) -> None:
    """Draws latent interpolations, and samples next to their nearest neighbors.

    All processes must call this function together. The primary process writes
    the files. Only images are drawn.

    Args:
        experiment: experiment of the state.
        state: state of a run or of replicas; the first replica is drawn.
        comparison: comparison of the first set of weights in ``examine``; None
            on processes other than the primary one.
        folder: folder of the samples. The names of the files end with the
            iteration.
    """
    _, gan, arrays = next(experiment.runs(state))
    if not are_images(experiment.source.example_shape):
        return
    draw_interpolation(experiment, gan, arrays, _key(experiment), folder)
    if comparison is None:
        return
    step = int(arrays.step)
    fakes, real = comparison.fake, comparison.real
    rows = min(_NEIGHBOUR_ROWS, len(fakes.values))
    count = min(_NEIGHBOURS, len(real.values))
    found = nearest_neighbours(fakes.values[:rows], real.values, k=count).indices
    beside = [
        np.concatenate([fakes.examples[i : i + 1], real.examples[found[i]]])
        for i in range(rows)
    ]
    grid = image_grid(np.concatenate(beside), columns=1 + count, padding=4)
    save_png(folder / f"neighbours_{step:08d}.png", grid)


def _named(stages: Stages, name: str) -> Advance:
    return lambda what, done, total: stages.update(f"{name}: {what}", done, total)


def _fields(experiment: Experiment) -> Evaluation:
    fields = experiment.config.evaluation
    assert fields is not None  # an evaluator was built from them
    return fields


def _key(experiment: Experiment) -> Array:
    return jax.random.fold_in(jax.random.key(_fields(experiment).seed), _BRANCH)


def _draw(
    experiment: Experiment,
    gan: Gan,
    arrays: GanState,
    *,
    use_ema: bool,
    stages: Stages,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns generated examples in the format of a dataset, and their labels."""
    count = _fields(experiment).count
    parts: list[np.ndarray] = []
    done = 0
    for part in sample_batches(gan, arrays, _key(experiment), count, use_ema=use_ema):
        examples = np.asarray(part)
        parts.append(to_uint8(examples) if examples.ndim == 4 else examples)
        done += len(examples)
        stages.update("generated examples", done, count)
    labels = sample_labels(gan, count, None)
    return np.concatenate(parts), None if labels is None else np.asarray(labels)


def _model(gan: Gan, arrays: GanState, *, use_ema: bool) -> Model:
    # Moved to the host, because only the primary process evaluates, on its own
    # devices.
    params, model_state = jax.device_get(generator_weights(arrays, use_ema=use_ema))
    critic = arrays.critic
    critic_params, critic_state = jax.device_get((critic.params, critic.model_state))

    def generate(latent: Array) -> Array:
        labels = None
        if gan.conditional is not None:
            labels = jnp.arange(len(latent)) % gan.conditional.classes
        return gan.generate(params, model_state, latent, train=False, labels=labels)[0]

    def score(examples: np.ndarray, labels: np.ndarray | None) -> Array:
        return _score(gan, critic_params, critic_state, examples, labels)

    return Model(
        generate_fn=generate,
        score_fn=score,
        latent_size=gan.latent_size,
        prior=gan.prior,
    )


@partial(jax.jit, static_argnums=0)
def _score(
    gan: Gan,
    params: Params,
    model_state: PyTree,
    examples: Array,
    labels: Array | None,
) -> Array:
    if examples.dtype == jnp.uint8:
        examples = examples.astype(jnp.float32) / 127.5 - 1.0
    output: Any = gan.score(params, model_state, examples, train=False, labels=labels)
    return output[0].scores
