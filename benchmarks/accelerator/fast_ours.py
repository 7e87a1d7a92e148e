"""JAX worker of the stage ``fast``: steps, their bounds, and a profile."""

import contextlib
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "pytorch"))
sys.path.insert(0, str(Path(__file__).parents[2]))

import jax
import jax.numpy as jnp
from jax.profiler import ProfileData
from pytorch_cases import GPU_VARIANTS
from pytorch_ours import Ours
from pytorch_workers import least, serve
from several import Several, case_of

from wgan_jax.planning.accelerators import ACCELERATORS, Target
from wgan_jax.planning.costs import read_costs

PROFILED = 3  # iterations
ROW = 200  # number of tiny kernels in a row
LONGEST = 80  # number of kernels in the profile
COMPILED_AT_ONCE = 6
# Kernels that only reorder data: XLA's transposes and copies, cuDNN's layout changes.
# Names of cuDNN's convolutions also contain nhwc.
REORDERS = (
    "transpose",
    "copy",
    "nchwtonhwc",
    "nhwctonchw",
    "nhwcaddpadding",
    "converttensor",
)


class Compiled(Ours):
    """One case whose steps are compiled ahead of time."""

    def __init__(self, case: list[Any] | None, options: dict[str, Any]):
        super().__init__(case)
        self._options = options
        self.programs: dict[str, Any] = {}
        self.seconds: dict[str, float] = {}

    def compile(self, step: str) -> None:
        """Compiles a step; several threads may do so at once."""
        call, rest = self.jitted(step)
        began = time.perf_counter()
        lowered = call.lower(self._state, *rest)
        self.programs[step] = lowered.compile(self._options)
        self.seconds[step] = time.perf_counter() - began

    def ready(self, step: str) -> bool:
        """See ``Side``."""
        return step in self.programs

    def make(self, step: str) -> Callable[[], None]:
        """See ``Side``."""
        if step not in self.programs:
            self.compile(step)
        program, (_, rest) = self.programs[step], self.jitted(step)

        def take() -> None:
            self._state, _ = program(self._state, *rest)

        return take

    def costs(self, step: str, peaks: dict[str, float]) -> dict[str, Any]:
        """Returns the costs of a step, and its time bounds at the device's peaks.

        Args:
            step: name of a compiled step.
            peaks: result of ``FastOurs.peaks``.

        Returns:
            As ``Costs.record``; ``bound`` uses the measured peaks,
            ``published`` the peaks published by the vendor.
        """
        target, dtype = Target("h100", "1"), self._case.precision
        costs = read_costs(
            self.programs[step],
            target,
            state=jax.tree.map(
                lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
                self._state,
            ),
            updates=self._case.updates,
            traced=self.operations(step),
            dtype=dtype,
        )
        accelerator = ACCELERATORS["h100"]
        found = costs.record() | {"published": asdict(costs.bound)}
        found["bound"] = asdict(
            replace(
                costs.bound,
                operations=costs.operations / peaks[dtype],
                memory=costs.traffic / peaks["bandwidth"],
            )
        )
        found["published_peak"] = accelerator.peak
        found["compile_seconds"] = self.seconds[step]
        return found


class FastOurs(Several):
    """Several cases in JAX."""

    def __init__(self, variant: str = "") -> None:
        options = GPU_VARIANTS[variant] if variant else {}
        super().__init__(lambda values: Compiled(case_of(values), options))

    def prepare(
        self, plan: Sequence[tuple[str, Sequence[Any], Sequence[str]]], until: float
    ) -> None:
        """Compiles several steps in parallel; each compilation takes about one core."""

        def of_one(side: Compiled, step: str) -> None:
            if time.time() >= until:
                return  # reported by ``open``
            with contextlib.suppress(Exception):  # reported by ``open``
                side.compile(step)

        with ThreadPoolExecutor(COMPILED_AT_ONCE) as pool:
            for name, case, steps in plan:
                side = self._side(name, case)
                for step in steps:
                    pool.submit(of_one, side, step)

    def costs(self, name: str, step: str, peaks: dict[str, float]) -> dict[str, Any]:
        """See ``Compiled``."""
        found: dict[str, Any] = self._sides[name].costs(step, peaks)
        return found

    def peaks(self, size: int) -> dict[str, float]:
        """Measures peak operations and bytes per second, and the time of tiny kernels.

        Args:
            size: side of a square matrix product; a copy moves ``64 * size**2``
                bytes.

        Returns:
            ``float32`` with the library's default precision; ``bfloat16``;
            ``bandwidth``, bytes read and written; and ``launch``, seconds per
            kernel in a sequence of many tiny kernels that each depend on the
            previous one.
        """
        key = jax.random.key(0)
        found = {}
        for dtype in ("float32", "bfloat16"):
            x = jax.random.normal(key, (size, size), dtype)
            product = jax.jit(jnp.matmul)
            found[dtype] = 2 * size**3 / _least(product, x, x)
        x = jax.random.normal(key, (8 * size, size))
        found["bandwidth"] = 2 * x.nbytes / _least(jax.jit(lambda x: x + 1), x)
        x = jax.random.normal(key, (16, 16))
        found["launch"] = _least(jax.jit(_row_of_products), x) / ROW
        return found

    def profile(self, name: str, step: str) -> dict[str, Any]:
        """Profiles a few steps on the device.

        Returns:
            As ``read_profile``, per step.
        """
        side = self._sides[name]
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0
        with tempfile.TemporaryDirectory() as folder:
            with jax.profiler.trace(folder, profiler_options=options):
                side.time(step, PROFILED)
            (file,) = Path(folder).rglob("*.xplane.pb")
            return read_profile(ProfileData.from_file(str(file)), PROFILED)


def _row_of_products(x: jax.Array) -> jax.Array:
    """Computes ``ROW`` dependent products, which no compiler can fuse."""
    y = x
    for _ in range(ROW):
        y = jnp.tanh(y @ x)
    return y


def _least(function: Callable[..., jax.Array], *inputs: jax.Array) -> float:
    """Returns seconds per call: the fastest of four runs of ten calls in a row."""
    function(*inputs).block_until_ready()

    def ten() -> None:
        for _ in range(10):
            result = function(*inputs)
        result.block_until_ready()

    return least(ten) / 10


def read_profile(data: Any, steps: int) -> dict[str, Any]:
    """Summarizes the kernels of a trace.

    Args:
        data: the trace.
        steps: number of traced steps.

    Returns:
        Per step: number of launched ``kernels``; ``milliseconds`` from the
        start of the first kernel to the end of the last; the ``idle`` fraction
        of that time; the ``longest`` kernels as
        ``[name, count, milliseconds]``; and ``reordering``, count and
        milliseconds of the kernels that only move data.
    """
    planes = list(data.planes)
    devices = [plane for plane in planes if plane.name.startswith("/device:")]
    spans: list[tuple[float, float]] = []
    time_of: dict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    for plane in devices or planes:
        for row in plane.lines:
            if devices and not row.name.startswith("Stream"):
                continue  # the same kernels, grouped by operation or module
            for event in row.events:
                if not devices and "hlo_op" not in dict(event.stats):
                    continue
                spans.append((event.start_ns, event.start_ns + event.duration_ns))
                time_of[event.name] += event.duration_ns
                counts[event.name] += 1
    if not spans:
        return {"kernels": 0, "longest": [], "reason": "the trace has no kernels"}
    length = max(end for _, end in spans) - min(begin for begin, _ in spans)
    names = sorted(time_of, key=lambda name: -time_of[name])
    reorders = [n for n in names if any(part in n.lower() for part in REORDERS)]
    per_step = 1e6 * steps  # nanoseconds of all steps per millisecond of one
    return {
        "kernels": sum(counts.values()) / steps,
        "milliseconds": length / per_step,
        "idle": 1 - _covered(spans) / length,
        "longest": [
            [n[:120], counts[n] / steps, time_of[n] / per_step] for n in names[:LONGEST]
        ],
        "reordering": [
            sum(counts[n] for n in reorders) / steps,
            sum(time_of[n] for n in reorders) / per_step,
        ],
    }


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Returns the length of the union of spans."""
    total, last = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, last))
        last = max(last, end)
    return total


if __name__ == "__main__":
    serve(FastOurs)
