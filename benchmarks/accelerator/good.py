"""The stage ``good``: the program trains a recipe for as long as there is time.

    python benchmarks/accelerator/good.py --out DIR --seconds 210 --data TFDS_DATA_DIR

A few iterations in a folder of their own say how fast the device is, and so how many
iterations fit, since the learning rate falls to 0 at the last one. Then ``launch.py``
trains with previews and checkpoints; if it is slower than it was, SIGTERM ends it with
a checkpoint. Written are ``good.json``, ``samples_<i>.npz`` (uint8 ``images``, drawn
from the averaged generator), ``generator.npz`` (its weights by path), ``picture.png``
(the first 64 of the samples) and ``run.zip`` (metrics, previews and logs of the run).
"""

import argparse
import json
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any, TypeAlias

sys.path.insert(0, str(Path(__file__).parents[2]))

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from small_cases import named

from wgan_jax import sample
from wgan_jax.io.images import image_grid, save_png, to_uint8
from wgan_jax.program.restoring import restore_checkpoint
from wgan_jax.program.setup import prepare
from wgan_jax.program.workdir import Workdir

Popen: TypeAlias = subprocess.Popen
ROOT = Path(__file__).parents[2]
CONFIG = "configs/cifar10_gpu.py"
ENDING = 30.0  # seconds for the samples, the weights and the files
SPARE = 0.93  # of the remaining time that training is planned for
FILE_LIMIT = 15 * 2**20  # bytes of one file that comes back
PART = 3_400  # images of 32x32x3 that stay below it


def launch(config: str, workdir: Path, fields: list[str], log: Path) -> Popen:
    """Starts a training, its output in a file."""
    command = [
        sys.executable,
        "launch.py",
        f"--config={config}",
        f"--workdir={workdir}",
    ]
    with log.open("w") as stream:
        return subprocess.Popen(
            [*command, *fields], cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT
        )


def finish(process: Popen, seconds: float) -> int:
    """Waits, asks to stop after so many seconds, and ends what does not listen."""
    try:
        return process.wait(max(seconds, 1))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def config_of(workdir: Workdir) -> ml_collections.ConfigDict:
    """The config that a run has written."""
    return ml_collections.ConfigDict(json.loads(workdir.config.read_text())["config"])


def iterations_per_second(workdir: Workdir) -> float:
    """By the last line that a run has logged."""
    training = config_of(workdir).training
    last = json.loads(workdir.metrics.read_text().splitlines()[-1])
    images = training.n_critic * training.batch_size
    return float(last["throughput/images_per_second"] / images)


def trained(
    config: str,
    fields: list[str],
    out: Path,
    *,
    until: float,
    probe: int,
    unit: int,
    most: int | None,
) -> dict[str, Any]:
    """Trains as far as the time allows.

    Args:
        config: file of the recipe.
        fields: overrides, as on the command line.
        out: folder for logs; the run is in ``run`` beneath it.
        until: time of ``time.time`` at which training must have ended.
        probe: iterations of the first, short run.
        unit: the number of iterations is a multiple of it.
        most: iterations, however much time there is.

    Returns:
        How it went.

    Raises:
        RuntimeError: if the first run fails, with the end of its log.
    """
    began = time.time()
    short = [
        f"--config.training.iterations={probe}",
        f"--config.log.every={max(1, probe // 3)}",
    ]
    log = out / "probe.log"
    process = launch(config, out / "probe", [*fields, *short], log)
    code = finish(process, 0.5 * (until - began))
    if code != 0:
        lines = log.read_text().splitlines()[-5:]
        raise RuntimeError(f"the first iterations ended with {code}: {lines}")
    rate = iterations_per_second(Workdir(out / "probe"))
    took = time.time() - began
    left = SPARE * (until - time.time()) - (took - probe / rate)
    iterations = max(unit, int(rate * left) // unit * unit)
    iterations = min(iterations, most or iterations)
    began = time.time()
    length = f"--config.training.iterations={iterations}"
    process = launch(config, out / "run", [*fields, length], out / "train.log")
    code = finish(process, until - time.time())
    return {
        "probe": {"iterations": probe, "seconds": took, "per_second": rate},
        "planned_iterations": iterations,
        "exit_code": code,
        "seconds": time.time() - began,
        "iterations_per_second": iterations_per_second(Workdir(out / "run")),
    }


def drawn(out: Path, *, count: int) -> dict[str, Any]:
    """Draws from the last checkpoint and writes what comes back.

    Args:
        out: folder of the files, with the run in ``run``.
        count: images to draw.

    Returns:
        The checkpoint's iteration, the images drawn, and the files.
    """
    workdir = Workdir(out / "run")
    experiment = prepare(config_of(workdir), log=print)
    state, step = restore_checkpoint(workdir, experiment, "latest", log=print)
    examples = sample(
        experiment.gan, state, jax.random.key(0), count, batch_size=min(count, 500)
    )
    images = to_uint8(np.asarray(examples))
    parts = range(0, count, PART)
    for number, start in enumerate(parts):
        np.savez(out / f"samples_{number}.npz", images=images[start : start + PART])
    save_png(out / "picture.png", image_grid(images[:64]))
    weights = named({"params": state.ema_params, "model_state": state.ema_model_state})
    size = sum(value.nbytes for value in weights.values())
    if halved := size > FILE_LIMIT:
        weights = {name: value.astype(np.float16) for name, value in weights.items()}
    np.savez_compressed(out / "generator.npz", **weights)
    return {
        "iteration": step,
        "samples": count,
        "sample_files": len(parts),
        "generator_parameters": sum(x.size for x in jax.tree.leaves(state.ema_params)),
        "weights": "float16" if halved else "float32",
        "finite": bool(jnp.isfinite(examples).all()),
    }


def packed(out: Path) -> None:
    """``run.zip``: what a reader wants of the run, the newest previews first."""
    workdir = Workdir(out / "run")
    names = [workdir.metrics, workdir.config, out / "train.log", out / "probe.log"]
    names += sorted(workdir.samples.glob("*.png"), reverse=True)
    with zipfile.ZipFile(out / "run.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in names:
            if path.is_file() and archive.start_dir < FILE_LIMIT - path.stat().st_size:
                archive.write(path, path.relative_to(out))


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The stage."""
    until = time.time() + options.seconds
    out = Path(options.out).absolute()
    fields = list(options.field)
    if options.data:
        fields.append(f"--config.dataset.data_dir={Path(options.data).absolute()}")
    content: dict[str, Any] = {"config": options.config, "fields": options.field}
    file = out / "good.json"
    try:
        content |= trained(
            options.config,
            fields,
            out,
            until=until - options.ending,
            probe=options.probe,
            unit=options.unit,
            most=options.most,
        )
        file.write_text(json.dumps(content, indent=1) + "\n")
        content |= drawn(out, count=options.samples)
    finally:
        file.write_text(json.dumps(content, indent=1) + "\n")
        packed(out)
    return content


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, help="folder of the files")
    parser.add_argument("--seconds", type=float, default=210, help="for all of it")
    parser.add_argument("--data", help="folder of tfds' prepared data")
    parser.add_argument("--config", default=CONFIG)
    parser.add_argument("--field", action="append", default=[], help="--config.a.b=c")
    parser.add_argument("--probe", type=int, default=300, help="iterations")
    parser.add_argument("--unit", type=int, default=1_000, help="of iterations")
    parser.add_argument("--most", type=int, help="iterations, however much time")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--ending", type=float, default=ENDING, help="seconds")
    return parser.parse_args()


if __name__ == "__main__":
    print(json.dumps(run(arguments()), indent=1))
