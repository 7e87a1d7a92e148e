"""Batches as a pure function of (seed, iteration)."""

import collections
import functools
import itertools
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from wgan_jax.data.sources import Source


class Pipeline:
    """The batches of a run, each computable by itself.

    The stream of examples is one seeded permutation of the source after another,
    one per epoch, without end; global batches are consecutive pieces of it and may
    straddle epochs. Nothing is remembered between calls but a cache, so a resumed
    run needs the iteration alone, on any number of hosts.

    Attributes:
      source: the examples.
      batch_size: B, examples of one critic update over all hosts.
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
        """Binds a source to a batch size, a seed and a schedule.

        Args:
          source: the examples.
          batch_size: B, at most the size of the source, a multiple of
            ``process_count``.
          seed: of the permutations, 0 or above.
          critic_updates: N of an iteration, 1 or above.
          critic_updates_before: the sum of N over all earlier iterations.
          labels: whether batches carry "label" too.
          process_index: this host, in [0, process_count).
          process_count: number of hosts.

        Raises:
          ValueError: a value is outside its range, or labels are wanted of a
            source that has none, or not for every example.
        """
        if not 1 <= batch_size <= len(source):
            raise ValueError(
                f"a batch of {batch_size} cannot be filled from {source.name!r} "
                f"split {source.split!r}, which has {len(source)} examples: "
                f"batch_size must be 1 to {len(source)}."
            )
        if process_count < 1 or batch_size % process_count:
            raise ValueError(
                f"a batch of {batch_size} does not divide evenly over {process_count} "
                "hosts: batch_size must be a multiple of the number of hosts."
            )
        if not 0 <= process_index < process_count:
            raise ValueError(
                f"process_index {process_index} is outside 0 to {process_count - 1}."
            )
        if seed < 0:
            raise ValueError(f"the seed of the data is {seed}; it must be 0 or above.")
        if labels and source.labels is None:
            raise ValueError(
                f"source {source.name!r} has no labels: choose a dataset with "
                "labels, or set labels to False."
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
        # Two, because a batch that straddles epochs needs both of its epochs.
        self._permutation = functools.lru_cache(maxsize=2)(self._permute)

    def batch(self, iteration: int) -> dict[str, np.ndarray]:
        """The fresh examples of every critic update of one iteration.

        Args:
          iteration: 0 or above, counted in generator updates.

        Returns:
          "image" ``[N, B_local, ...]`` in the source's dtype, and "label" int32
          ``[N, B_local]`` where asked for. The hosts' rows are consecutive blocks
          of the global batch, which does not depend on the number of hosts.

        Raises:
          ValueError: the iteration is negative or has no critic update.
        """
        rows = self.indices(iteration)
        batch = {"image": self.source.images[rows]}
        if self._labels is not None:
            batch["label"] = self._labels[rows]
        return batch

    def indices(self, iteration: int) -> np.ndarray:
        """Which examples of the source ``batch`` holds, int64 ``[N, B_local]``."""
        updates = self._critic_updates(iteration) if iteration >= 0 else 0
        if updates < 1:
            raise ValueError(
                f"iteration {iteration} has {updates} critic updates; iterations are "
                "0 or above and have 1 or more."
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
        """The order of one epoch, int64 ``[n]``."""
        sequence = np.random.SeedSequence(self._seed, spawn_key=(epoch,))
        # numpy promises the numbers of RandomState for good, those of Generator
        # not, and a resumed run may have another numpy.
        random = np.random.RandomState(np.random.MT19937(sequence))
        return random.permutation(len(self.source))


def _check_labels(source: Source) -> None:
    """Refuses labels outside the classes: -1 is tfds' mark of an example without."""
    classes = source.num_classes
    if source.labels is None or classes is None:
        return
    outside = int(np.sum((source.labels < 0) | (source.labels >= classes)))
    if outside:
        raise ValueError(
            f"source {source.name!r} split {source.split!r} has {outside} examples "
            f"labelled outside 0 to {classes - 1}: choose a split whose examples all "
            "have labels, or set labels to False."
        )


class PipelineStack:
    """Pipelines side by side, their batches stacked: one a replica of a run."""

    def __init__(self, pipelines: Sequence[Pipeline]):
        """Binds the pipelines; their batches must be alike in shape."""
        self._pipelines = tuple(pipelines)

    def batch(self, iteration: int) -> dict[str, np.ndarray]:
        """``[K, N, B_local, ...]``, what pipeline k gives at place k."""
        return _stacked(pipeline.batch(iteration) for pipeline in self._pipelines)


class PipelineCalls:
    """Batches of consecutive iterations of a pipeline, stacked: those of one call."""

    def __init__(self, pipeline: Pipeline, count: int):
        """Binds a pipeline, whose iterations must be alike in critic updates.

        Args:
          pipeline: whose batches.
          count: K, iterations of a call.
        """
        self._pipeline, self._count = pipeline, count

    def batch(self, iteration: int) -> dict[str, np.ndarray]:
        """``[K, N, B_local, ...]``, those of ``iteration`` and the next K - 1."""
        return _stacked(self._pipeline.batch(iteration + k) for k in range(self._count))


AnyPipeline = Pipeline | PipelineStack | PipelineCalls


def prefetch(
    pipeline: AnyPipeline, start: int, stop: int, *, step: int = 1, depth: int = 2
) -> Generator[dict[str, np.ndarray]]:
    """Batches of iterations start to stop - 1, prepared ahead by one thread.

    An exception in the thread is raised where its batch is due. Closing the
    iterator, or leaving it to the garbage collector, ends the thread.

    Args:
      pipeline: whose batches.
      start: first iteration.
      stop: iteration to end before.
      step: iterations from one batch to the next, those of a call.
      depth: batches held ready at most, 1 or above.

    Returns:
      An iterator over what ``pipeline.batch`` returns.

    Raises:
      ValueError: the depth is below 1.
    """
    if depth < 1:
        raise ValueError(f"prefetch needs a depth of 1 or above, not {depth}.")
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
