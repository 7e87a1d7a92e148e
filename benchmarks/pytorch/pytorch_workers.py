"""Worker processes that each hold one side of ``pytorch.py`` and step on request.

In separate processes, the sides do not share threads, allocators or memory, and
each can have its own interpreter. A worker reads
``{"call": name, "arguments": {...}}`` from standard input, one per line. It
answers ``{"result": ...}`` or ``{"error": message}`` on standard output. If the
environment has ``BENCHMARK_TRACEBACKS=1``, it prints the traceback of errors.
With ``BENCHMARK_KEEP=1``, it keeps freed memory as ``launch.py`` does. While
waiting, a worker uses no CPU time.
"""

import abc
import contextlib
import ctypes
import json
import os
import runpy
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

HERE = Path(__file__).parent


class Failure(RuntimeError):
    """A worker could not perform a call; the message says why."""


class Worker:
    """Client of a worker process: ``worker("time", step="plain", count=3)``."""

    def __init__(self, python: str, file: str, **settings: Any):
        """Starts the process.

        Args:
            python: interpreter of the process.
            file: script in this folder, or its path; it must end in a call of
                ``serve``.
            **settings: settings of the side; ``double`` for float64.
        """
        # By default, JAX would reserve three quarters of a GPU that PyTorch also uses.
        environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        if settings.get("double"):
            environment["JAX_ENABLE_X64"] = "1"
        self._process = subprocess.Popen(
            [python, str(HERE / file), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def __call__(self, call: str, **arguments: Any) -> Any:
        """Returns the result of a call, or raises ``Failure`` with its message."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # detected by the missing answer
            print(
                json.dumps({"call": call, "arguments": arguments}),
                file=self._process.stdin,
                flush=True,
            )
        answer = self._process.stdout.readline()
        if not answer:
            code = self._process.wait()
            raise Failure(f"the process exited with status {code} during {call}")
        found = json.loads(answer)
        if "error" in found:
            raise Failure(found["error"])
        return found["result"]

    def processor_seconds(self) -> float:
        """Returns the CPU seconds over all cores, without children; 0 if unknown."""
        try:
            text = Path(f"/proc/{self._process.pid}/stat").read_text()
        except OSError:
            return 0.0
        fields = text.rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """Kills the process; a pending call fails."""
        self._process.kill()

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Side(abc.ABC):
    """Server side of a worker: the common part of both sides.

    A subclass defines how to make a step, how to wait for it, and how to read
    its memory.
    """

    def __init__(self) -> None:
        if os.environ.get("BENCHMARK_KEEP"):
            keep_freed_memory()
        self._steps: dict[str, Callable[[], None]] = {}
        self._baseline = resident()

    @abc.abstractmethod
    def make(self, step: str) -> Callable[[], None]:
        """Returns a function without arguments that performs the step once."""

    @abc.abstractmethod
    def wait(self) -> None:
        """Waits until all started work is finished."""

    @abc.abstractmethod
    def device_peak(self) -> int | None:
        """Returns the peak bytes in use on an accelerator; None if there is none."""

    def ready(self, step: str) -> bool:
        """Returns whether the step is already compiled."""
        return step in self._steps

    def open(self, step: str) -> float:
        """Compiles a step and runs it twice; returns the total seconds."""
        began = time.perf_counter()
        self._steps[step] = self.make(step)
        for _ in range(2):
            self._steps[step]()
        self.wait()
        return time.perf_counter() - began

    def time(self, step: str, count: int) -> tuple[float, float]:
        """Returns wall-clock and CPU seconds per step, over ``count`` steps."""
        take = self._steps[step]
        self.wait()
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(count):
            take()
        self.wait()
        wall = time.perf_counter() - wall
        return wall / count, (time.process_time() - cpu) / count

    def memory(self, step: str) -> dict[str, int | None]:
        """Measures the peak memory of one step, in a process that did nothing else.

        Returns:
            ``steps``: on an accelerator, the bytes allocated there; on a CPU,
            the process's memory above that before the networks were created,
            after the step was compiled. ``process``: the same since the start
            of the process, and thus including compilation.
        """
        self.open(step)
        whole = peak_resident() - self._baseline
        restarted = forget_peak()
        self.time(step, 3)
        device = self.device_peak()
        above = peak_resident() - self._baseline
        steps = device if device is not None else above if restarted else None
        return {"steps": steps, "process": max(whole, above)}


def keep_freed_memory() -> bool:
    """Calls our ``memory.keep_freed_memory``, also without JAX installed."""
    path = Path(__file__).parents[2] / "wgan_jax" / "memory.py"
    return bool(runpy.run_path(str(path))["keep_freed_memory"]())


def serve(make: Callable[..., Any]) -> None:
    """Answers calls until the input ends.

    Args:
        make: creates the side from the settings that were given to ``Worker``.
    """
    # Output of libraries must not mix with the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    answer_all(make(**json.loads(sys.argv[1])), answers)


def answer_all(side: Any, answers: TextIO) -> None:
    """Calls methods of a side as requested on standard input."""
    for row in sys.stdin:
        asked = json.loads(row)
        try:
            answer = {"result": getattr(side, asked["call"])(**asked["arguments"])}
        except Exception as error:
            if os.environ.get("BENCHMARK_TRACEBACKS"):
                traceback.print_exc()
            first = (str(error).strip() or "no message").splitlines()[0]
            answer = {"error": f"{type(error).__name__}: {first}"}
        print(json.dumps(answer), file=answers, flush=True)


def least(call: Callable[[], Any]) -> float:
    """Returns the seconds of the fastest of four synchronous calls."""
    found = []
    for _ in range(4):
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return min(found)


def resident() -> int:
    """Returns the resident bytes of this process, or the peak if unknown."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return peak_resident()
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_resident() -> int:
    """Returns the peak resident bytes, since ``forget_peak`` where it works."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return 1024 * int(line.split()[1])
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def forget_peak() -> bool:
    """Returns freed memory and resets the peak; returns whether it was possible."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True
