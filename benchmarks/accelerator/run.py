"""Runs all measurements on one GPU, in ten minutes and one command.

    python benchmarks/accelerator/run.py --out DIR --data TFDS_DATA_DIR
    python benchmarks/accelerator/run.py --out DIR --rehearsal

It runs three stages, each a separate script with a time limit: ``correct.py``,
``fast.py`` and ``good.py``. A stage that fails or exceeds its limit is
reported, and the next one starts. After each stage, ``results.json`` and the
files of the stage are in DIR, at most eight files in total. ``page.py`` creates
a page from them later, on any machine. The rehearsal runs every stage at a tiny
size, on any device and without prepared data.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "torch")
# There are at most three files of samples.
FILES = (
    "picture.png",
    "generator.npz",
    "run.zip",
    *(f"samples_{i}.npz" for i in "012"),
)
REHEARSAL = (
    "--config=configs/digits_wgan_gp.py",
    "--probe=6",
    "--unit=10",
    "--most=20",
    "--samples=70",
    "--ending=20",
    "--field=--config.generator.width=8",
    "--field=--config.critic.width=8",
    "--field=--config.training.batch_size=8",
    "--field=--config.evaluation.every=0",
    "--field=--config.samples.every=1000000",
    "--field=--config.checkpoint.every=1000000",
)


class Stage(NamedTuple):
    """One script.

    Attributes:
        name: name of the script and of its JSON file.
        seconds: time limit.
        options: options besides ``--out`` and ``--seconds``.
    """

    name: str
    seconds: float
    options: tuple[str, ...]


def stages(options: argparse.Namespace) -> list[Stage]:
    """Returns the selected stages with their limits."""
    limits = dict(zip(("correct", "fast", "good"), options.limits, strict=True))
    torch = (f"--torch-python={options.torch_python}",)
    data = (f"--data={options.data}",) if options.data else ()
    rehearsal = ("--rehearsal",) if options.rehearsal else ()
    more = {
        "correct": rehearsal,
        "fast": (*torch, *rehearsal),
        "good": REHEARSAL if options.rehearsal else data,
    }
    return [Stage(name, limits[name], more[name]) for name in options.stages]


def take(stage: Stage, work: Path) -> dict[str, Any]:
    """Runs a stage; returns its exit status, results, and the end of its output.

    Args:
        stage: the stage.
        work: folder for its files.
    """
    script = Path(__file__).with_name(f"{stage.name}.py")
    command = [sys.executable, str(script), f"--out={work}"]
    command += [f"--seconds={stage.seconds:g}", *stage.options]
    began, log = time.time(), work / f"{stage.name}.log"
    environment = os.environ | {
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    with log.open("w") as stream:
        # A separate process group, so that no child process outlives the stage.
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            ended: int | str = process.wait(1.1 * stage.seconds + 10)
        except subprocess.TimeoutExpired:
            ended = "time limit exceeded"
        finally:
            _end_group(process)
    found: dict[str, Any] = {"ended": ended, "seconds": round(time.time() - began, 1)}
    found["log"] = log.read_text(errors="replace")[-4000:]
    written = work / f"{stage.name}.json"
    if written.is_file():
        found["found"] = json.loads(written.read_text())
    return found


def _end_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def about() -> dict[str, Any]:
    """Returns the machine, the versions and the time."""
    query = "--query-gpu=name,driver_version,memory.total"
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "gpu": _output(["nvidia-smi", query, "--format=csv,noheader"]),
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
        "versions": versions,
        "commit": _commit(),
    }


def _commit() -> str | None:
    packed = ROOT / ".accelerator" / "commit.txt"  # written by pack.py
    if packed.is_file():
        return packed.read_text().strip()
    return _output(["git", "-C", str(ROOT), "describe", "--always", "--dirty"])


def _output(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def main() -> int:
    """Runs the stages; returns 1 if one of them failed."""
    options = arguments()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"about": about(), "stages": {}}
    content["rehearsal"] = options.rehearsal
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        # The stages and their processes share compiled programs.
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(work / "cache"))
        for stage in stages(options):
            found = content["stages"][stage.name] = take(stage, work)
            print(
                f"== {stage.name}: {found['ended']}, {found['seconds']} s", flush=True
            )
            print(found["log"][-1500:], flush=True)
            for path in (work / name for name in FILES):
                if path.is_file():
                    shutil.copy(path, out)
            (out / "results.json").write_text(json.dumps(content, indent=1) + "\n")
    for path in sorted(out.iterdir()):
        print(f"{path.name}: {path.stat().st_size / 1e3:,.0f} kB")
    return int(any(found["ended"] != 0 for found in content["stages"].values()))


def arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, help="output folder")
    parser.add_argument("--data", help="folder of prepared tfds data with CIFAR-10")
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--rehearsal", action="store_true")
    parser.add_argument(
        "--stages",
        type=lambda text: text.split(","),
        default=["correct", "fast", "good"],
    )
    parser.add_argument(
        "--limits",
        type=lambda text: [float(part) for part in text.split(",")],
        default=[100.0, 230.0, 210.0],
        help="time limits of the three stages [100,230,210]",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
