"""Batches as a pure function of (seed, iteration)."""

import collections
import functools
import itertools
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from wgan_jax.data.source import Source


class Pipeline:
    """Batches of a run, each computed independently.

    The stream of examples is an endless sequence of seeded permutations of the
    source, one per epoch. Global batches are consecutive slices of the stream
    and may span two epochs. Nothing but a cache is kept between calls. A
    resumed run therefore needs only the iteration, on any number of hosts.

    Attributes:
        source: the examples.
        batch_size: B, examples per critic update over all hosts.
        local_batch_size: the part of B that this host reads.
    """

    def __init__(
        self,
        source: Source,
        *,
        batch_size: int,
        seed: int,
        critic_updates: Callable[[int], int],
        critic_updates_before: Callable[[int], int],
        labels: bool = False,
        process_index: int = 0,
        process_count: int = 1,
    ):
        """Initializes the pipeline.

        Args:
            source: the examples.
            batch_size: B, at most the size of the source and a multiple of
                ``process_count``.
            seed: seed of the permutations, 0 or above.
            critic_updates: returns N of an iteration, 1 or above.
            critic_updates_before: returns the sum of N over all earlier
                iterations.
            labels: whether batches include "label".
            process_index: index of this host, in [0, process_count).
            process_count: number of hosts.

        Raises:
            ValueError: if a value is out of range, or labels are requested and
                the source does not have one for every example.
        """
        if not 1 <= batch_size <= len(source):
            raise ValueError(
                f"batch_size is {batch_size}; it must be in 1 to {len(source)}, the "
                f"number of examples in {source.name!r} split {source.split!r}."
            )
        if process_count < 1 or batch_size % process_count:
            raise ValueError(
                f"batch_size is {batch_size}; it must be a multiple of "
                f"{process_count}, the number of processes."
            )
        if not 0 <= process_index < process_count:
            raise ValueError(
                f"process_index is {process_index}; it must be in 0 to "
                f"{process_count - 1}."
            )
        if seed < 0:
            raise ValueError(f"seed is {seed}; it must be at least 0.")
        if labels and source.labels is None:
            raise ValueError(
                f"{source.name!r} has no labels. Use a dataset with labels, or set "
                "labels to False."
            )
        if labels:
            _check_labels(source)
        self.source = source
        self.batch_size = batch_size
        self.local_batch_size = batch_size // process_count
        self._seed = seed
        self._critic_updates = critic_updates
        self._critic_updates_before = critic_updates_before
        self._labels = source.labels if labels else None
        self._first_row = process_index * self.local_batch_size
        # Two entries, because a batch may span two epochs.
        self._permutation = functools.lru_cache(maxsize=2)(self._permute)

    def batch(self, iteration: int) -> dict[str, np.ndarray]:
        """Returns the examples of all critic updates of one iteration.

        Args:
            iteration: 0 or above, counted in generator updates.

        Returns:
            "image" ``[N, B_local, ...]`` in the dtype of the source and, if
            requested, "label" int32 ``[N, B_local]``. The rows of the hosts are
            consecutive blocks of the global batch, which does not depend on the
            number of hosts.

        Raises:
            ValueError: if the iteration is negative or has no critic update.
        """
        rows = self.indices(iteration)
        batch = {"image": self.source.images[rows]}
        if self._labels is not None:
            batch["label"] = self._labels[rows]
        return batch

    def indices(self, iteration: int) -> np.ndarray:
        """Returns the source indices of the batch, int64 ``[N, B_local]``."""
        updates = self._critic_updates(iteration) if iteration >= 0 else 0
        if updates < 1:
            raise ValueError(
                f"iteration {iteration} has {updates} critic updates; the iteration "
                "must be at least 0 and have at least 1 update."
            )
        first = self._critic_updates_before(iteration)
        batches = np.arange(first, first + updates, dtype=np.int64)
        rows = self._first_row + np.arange(self.local_batch_size, dtype=np.int64)
        positions = batches[:, None] * self.batch_size + rows
        epochs, offsets = np.divmod(positions, len(self.source))
        indices = np.empty_like(positions)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            indices[here] = self._permutation(int(epoch))[offsets[here]]
        return indices

    def _permute(self, epoch: int) -> np.ndarray:
        """Returns the order of one epoch, int64 ``[n]``."""
        sequence = np.random.SeedSequence(self._seed, spawn_key=(epoch,))
        # numpy guarantees a stable stream for RandomState but not for Generator, and a
        # resumed run may use another numpy version.
        random = np.random.RandomState(np.random.MT19937(sequence))
        return random.permutation(len(self.source))


def _check_labels(source: Source) -> None:
    """Raises an error for labels out of range; tfds uses -1 for unlabeled examples."""
    classes = source.num_classes
    if source.labels is None or classes is None:
        return
    outside = int(np.sum((source.labels < 0) | (source.labels >= classes)))
    if outside:
        raise ValueError(
            f"{source.name!r} split {source.split!r} has {outside} examples with "
            f"labels outside 0 to {classes - 1}. Use a split in which all examples "
            "have labels, or set labels to False."
        )


class PipelineStack:
    """Several pipelines with stacked batches, one per replica of a run.

    Args:
        pipelines: K pipelines, whose batches have equal shapes.
    """

    def __init__(self, pipelines: Sequence[Pipeline]):
        self._pipelines = tuple(pipelines)

    def batch(self, iteration: int) -> dict[str, np.ndarray]:
        """Returns ``[K, N, B_local, ...]``; entry k is the batch of pipeline k."""
        return _stacked(pipeline.batch(iteration) for pipeline in self._pipelines)


class PipelineCalls:
    """Stacked batches of consecutive iterations, for one compiled call."""

    def __init__(self, pipeline: Pipeline, count: int):
        """Stores a pipeline with the same number of critic updates in each iteration.

        Args:
            pipeline: the pipeline.
            count: number K of iterations per call.
        """
        self._pipeline, self._count = pipeline, count

    def batch(self, iteration: int) -> dict[str, np.ndarray]:
        """Returns ``[K, N, B_local, ...]`` for iterations ``iteration`` to + K - 1."""
        return _stacked(self._pipeline.batch(iteration + k) for k in range(self._count))


AnyPipeline = Pipeline | PipelineStack | PipelineCalls


def prefetch(
    pipeline: AnyPipeline, start: int, stop: int, *, step: int = 1, depth: int = 2
) -> Generator[dict[str, np.ndarray]]:
    """Iterates over batches, prepared ahead in one background thread.

    An exception in the thread is raised when its batch is due. The thread ends
    when the iterator is closed or garbage-collected.

    Args:
        pipeline: the pipeline.
        start: first iteration.
        stop: iteration to stop before.
        step: iterations per batch, that is, per call.
        depth: maximum number of prepared batches, 1 or above.

    Returns:
        An iterator over the results of ``pipeline.batch``.

    Raises:
        ValueError: if the depth is below 1.
    """
    if depth < 1:
        raise ValueError(f"prefetch: depth is {depth}; it must be at least 1.")
    return _run_ahead(pipeline, range(start, stop, step), depth)


def _stacked(batches: Iterable[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    found = list(batches)
    return {name: np.stack([batch[name] for batch in found]) for name in found[0]}


def _run_ahead(
    pipeline: AnyPipeline, iterations: range, depth: int
) -> Generator[dict[str, np.ndarray]]:
    ahead = iter(iterations)
    pending: collections.deque[Future[dict[str, np.ndarray]]] = collections.deque()
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")
    try:
        for iteration in itertools.islice(ahead, depth):
            pending.append(executor.submit(pipeline.batch, iteration))
        while pending:
            batch = pending.popleft().result()
            for iteration in itertools.islice(ahead, 1):
                pending.append(executor.submit(pipeline.batch, iteration))
            yield batch
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
