"""Processes that hold one side of ``pytorch.py`` each and step when they are told.

Apart, neither side's idle threads, allocator or memory meets the other's, and each
may have its own interpreter. A worker reads ``{"call": name, "arguments": {...}}``
from its standard input, one a line, and answers ``{"result": ...}`` or
``{"error": sentence}`` on its standard output; with ``BENCHMARK_TRACEBACKS=1`` in the
environment it prints where the error came from, with ``BENCHMARK_KEEP=1`` it keeps
freed memory as ``launch.py`` does. While it waits it uses no processor.
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
    """What a worker could not do, in a sentence."""


class Worker:
    """The near end of a worker: ``worker("time", step="plain", count=3)``."""

    def __init__(self, python: str, file: str, **settings: Any):
        """Starts the process.

        Args:
            python: its interpreter.
            file: beside this one or with its path, ending in a call of ``serve``.
            **settings: of the side that it holds; ``double`` for float64.
        """
        # JAX would take three quarters of a GPU, where PyTorch is to live too.
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
        """The far end's result; ``Failure`` with its sentence if it has none."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # told by the missing answer
            print(
                json.dumps({"call": call, "arguments": arguments}),
                file=self._process.stdin,
                flush=True,
            )
        answer = self._process.stdout.readline()
        if not answer:
            code = self._process.wait()
            raise Failure(f"the process ended with status {code} during {call}")
        found = json.loads(answer)
        if "error" in found:
            raise Failure(found["error"])
        return found["result"]

    def processor_seconds(self) -> float:
        """Of all cores so far, its children not counted; 0 where that is unknown."""
        try:
            text = Path(f"/proc/{self._process.pid}/stat").read_text()
        except OSError:
            return 0.0
        fields = text.rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """Ends the process at once; a call that waits for it fails."""
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
    """The far end: what both sides do alike.

    A side says how to make a step, how to wait for it and what its memory is.
    """

    def __init__(self) -> None:
        if os.environ.get("BENCHMARK_KEEP"):
            keep_freed_memory()
        self._steps: dict[str, Callable[[], None]] = {}
        self._baseline = resident()

    @abc.abstractmethod
    def make(self, step: str) -> Callable[[], None]:
        """A function without arguments that takes the step once."""

    @abc.abstractmethod
    def wait(self) -> None:
        """Until everything begun has ended."""

    @abc.abstractmethod
    def device_peak(self) -> int | None:
        """Most bytes that were in use on an accelerator; None if there is none."""

    def ready(self, step: str) -> bool:
        """Whether the step needs no more compiling."""
        return step in self._steps

    def open(self, step: str) -> float:
        """Compiles a step and takes it twice; the seconds of all that."""
        began = time.perf_counter()
        self._steps[step] = self.make(step)
        for _ in range(2):
            self._steps[step]()
        self.wait()
        return time.perf_counter() - began

    def time(self, step: str, count: int) -> tuple[float, float]:
        """Wall and CPU seconds of one of ``count`` steps in a row."""
        take = self._steps[step]
        self.wait()
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(count):
            take()
        self.wait()
        wall = time.perf_counter() - wall
        return wall / count, (time.process_time() - cpu) / count

    def memory(self, step: str) -> dict[str, int | None]:
        """Most bytes that one step held, of a process that did nothing else.

        Returns:
            ``steps``: on an accelerator what the step allocated there, on a CPU the
            process's memory above that before there were networks, from when the
            step was compiled. ``process``: the same from its start, so with what
            compiling took.
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
    """Our ``memory.keep_freed_memory``, also where there is no JAX to import."""
    path = Path(__file__).parents[2] / "wgan_jax" / "memory.py"
    return bool(runpy.run_path(str(path))["keep_freed_memory"]())


def serve(make: Callable[..., Any]) -> None:
    """Answers until the input ends.

    Args:
        make: of the side, called with the settings that ``Worker`` was given.
    """
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    answer_all(make(**json.loads(sys.argv[1])), answers)


def answer_all(side: Any, answers: TextIO) -> None:
    """Calls a side's methods as the lines of the standard input ask for them."""
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
    """Seconds of the fastest of four calls, each of which waits for its end."""
    found = []
    for _ in range(4):
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return min(found)


def resident() -> int:
    """Bytes of this process in memory now; the most so far where that is unknown."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return peak_resident()
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_resident() -> int:
    """Most bytes of this process in memory, since ``forget_peak`` where it works."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return 1024 * int(line.split()[1])
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def forget_peak() -> bool:
    """Lets the peak begin anew, freed memory given back first; whether it could."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True
