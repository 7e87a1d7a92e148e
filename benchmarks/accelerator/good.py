"""Stage ``good``: trains a config for the available time.

    python benchmarks/accelerator/good.py --out DIR --seconds 210 --data TFDS_DATA_DIR

A short run in a separate folder measures the speed of the device and thereby
how many iterations fit, because the learning rate decays to 0 at the last one.
``launch.py`` then trains with previews and checkpoints. If training is slower
than measured, SIGTERM ends it with a checkpoint. The outputs are ``good.json``,
``samples_<i>.npz`` (uint8 ``images`` from the generator's EMA),
``generator.npz`` (its weights by path), ``picture.png`` (the first 64 samples)
and ``run.zip`` (metrics, previews and logs of the run).
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
import numpy as np
from small_cases import named

from wgan_jax import sample
from wgan_jax.config.experiment import ExperimentConfig
from wgan_jax.config.resolve import resolve
from wgan_jax.io.images import image_grid, save_png, to_uint8
from wgan_jax.program.restoring import restore_checkpoint
from wgan_jax.program.setup import prepare
from wgan_jax.program.workdir import Workdir

Popen: TypeAlias = subprocess.Popen
ROOT = Path(__file__).parents[2]
CONFIG = "configs/cifar10_gpu.py"
ENDING = 30.0  # seconds reserved for the samples, the weights and the files
SPARE = 0.93  # fraction of the remaining time that is planned for training
FILE_LIMIT = 15 * 2**20  # maximum bytes of one output file
PART = 3_400  # number of 32x32x3 images that fit in one file


def launch(config: str, workdir: Path, fields: list[str], log: Path) -> Popen:
    """Starts a training run with its output in a file."""
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
    """Waits, sends SIGTERM after a time limit, and finally kills the process."""
    try:
        return process.wait(max(seconds, 1))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def config_of(workdir: Workdir) -> ExperimentConfig:
    """Returns the config that a run has written."""
    return resolve(json.loads(workdir.config.read_text())["config"])


def iterations_per_second(workdir: Workdir) -> float:
    """Returns the speed from the last logged line of a run."""
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
    """Trains for as many iterations as the time allows.

    Args:
        config: file of the config.
        fields: overrides, as on the command line.
        out: folder for logs; the run is in its subfolder ``run``.
        until: time (as ``time.time``) at which training must have ended.
        probe: iterations of the first, short run.
        unit: the number of iterations is rounded to a multiple of this.
        most: maximum number of iterations.

    Returns:
        A record of the training.

    Raises:
        RuntimeError: if the first run fails; the message has the end of its
            log.
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
        raise RuntimeError(f"the first iterations exited with status {code}: {lines}")
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
    """Draws samples from the last checkpoint and writes the output files.

    Args:
        out: folder of the files; the run is in its subfolder ``run``.
        count: number of images to draw.

    Returns:
        The iteration of the checkpoint, the number of images, and the files.
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
    """Writes ``run.zip`` with logs, metrics and previews, the newest previews first."""
    workdir = Workdir(out / "run")
    names = [workdir.metrics, workdir.config, out / "train.log", out / "probe.log"]
    names += sorted(workdir.samples.glob("*.png"), reverse=True)
    with zipfile.ZipFile(out / "run.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in names:
            if path.is_file() and archive.start_dir < FILE_LIMIT - path.stat().st_size:
                archive.write(path, path.relative_to(out))


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Runs the stage."""
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
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, help="output folder")
    parser.add_argument("--seconds", type=float, default=210, help="time limit")
    parser.add_argument("--data", help="folder of prepared tfds data")
    parser.add_argument("--config", default=CONFIG)
    parser.add_argument(
        "--field", action="append", default=[], help="override, --config.a.b=c"
    )
    parser.add_argument("--probe", type=int, default=300, help="iterations to time")
    parser.add_argument(
        "--unit", type=int, default=1_000, help="multiple of iterations"
    )
    parser.add_argument("--most", type=int, help="maximum number of iterations")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument(
        "--ending", type=float, default=ENDING, help="seconds reserved for sampling"
    )
    return parser.parse_args()


if __name__ == "__main__":
    print(json.dumps(run(arguments()), indent=1))
