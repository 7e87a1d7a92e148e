"""Measures the kernel distance of a recipe against the minutes since its launch.

    python benchmarks/recipes/curve.py --config=configs/cifar10_fast.py \
        --checkpoints=1000 --out=docs/recipes/cifar10_fast.json

It launches ``launch.py`` like a user, with a checkpoint every so many iterations, and
reads the time of each from its folder. With ``--torch-python``, the same recipe runs
in PyTorch afterwards, for the same number of iterations. Samples of all checkpoints
are compared with the test split at the end, so that this does not slow training down.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
import numpy as np
from config_arguments import parse_arguments
from machine import describe_machine
from trial import Judge

from wgan_jax.config.build import build_source
from wgan_jax.config.experiment import ExperimentConfig, Term
from wgan_jax.config.loading import ConfigFile, load_experiment
from wgan_jax.config.overrides import split_overrides
from wgan_jax.config.resolve import resolve
from wgan_jax.io.files import write_text
from wgan_jax.io.images import to_uint8
from wgan_jax.program.restoring import restore_checkpoint
from wgan_jax.program.setup import prepare
from wgan_jax.program.workdir import Workdir
from wgan_jax.sampling import sample

ROOT = Path(__file__).parents[2]


def launch(
    source: ConfigFile, folder: Path, every: int
) -> tuple[float, dict[int, float]]:
    """Trains, and returns the seconds of the run and of each checkpoint."""
    overrides = [f"--config.{name}={text}" for name, text in _overrides()]
    command = [
        *(sys.executable, "launch.py", f"--config={source}", f"--workdir={folder}"),
        *overrides,
        f"--config.checkpoint.every={every}",
        "--config.checkpoint.keep=1000",
        "--config.evaluation.every=0",
    ]
    began = time.time()
    subprocess.run(command, cwd=ROOT, check=True)
    total = time.time() - began
    found = {
        int(entry.name): entry.stat().st_mtime - began
        for entry in (folder / "checkpoints").iterdir()
        if entry.name.isdecimal()
    }
    return total, dict(sorted(found.items()))


def _overrides() -> list[tuple[str, str]]:
    return split_overrides(sys.argv[1:])[0]


def ours(folder: Path, times: dict[int, float], judge: Judge, count: int) -> list[Any]:
    """Returns the scores of each checkpoint."""
    workdir = Workdir(folder)
    config, _ = load_experiment(workdir.config)
    experiment = prepare(config, log=lambda line: None, data=workdir.data())
    rows = []
    for step, seconds in times.items():
        state, _ = restore_checkpoint(workdir, experiment, str(step), log=print)
        images = sample(experiment.gan, state, jax.random.key(1), count, batch_size=100)
        scores = judge.scores(to_uint8(np.asarray(images)))
        rows.append(_row(step, seconds, scores))
    return rows


def check_pytorch(config: ExperimentConfig) -> None:
    """Raises ValueError if ``pytorch_recipe.py`` cannot train a config."""
    critic, penalty = config.critic, config.penalty
    biases = critic.name == "dcgan_gp"
    is_known = (
        config.generator.name == "dcgan"
        and (critic.name == "dcgan" or (biases and critic.options["kernel_size"] == 4))
        and critic.options["batch_norm"] != biases
        and critic.options["parametrization"] == "plain"
        and config.objective.name in ("non_saturating", "wasserstein")
        and not (biases and config.dataset.labels)
        and (penalty is None or _is_two_sided(penalty))
        and config.training.n_critic == 1
    )
    others = ("penalties", "constraint", "regularizer", "augmentation")
    if not is_known or any(getattr(config, name) for name in others):
        raise ValueError(
            "pytorch_recipe.py has no such networks or losses; the config must be one "
            "of the CIFAR-10 or Fashion-MNIST recipes."
        )


def _is_two_sided(penalty: Term) -> bool:
    options = penalty.options
    if penalty.name != "gradient_penalty" or options["one_sided"]:
        return False
    return options["target"] == 1 and penalty.final_weight is None


def theirs(
    config: ExperimentConfig,
    options: argparse.Namespace,
    folder: Path,
    judge: Judge,
) -> list[Any]:
    """Trains the recipe in PyTorch, and returns the scores of each checkpoint."""
    source = build_source(config)
    data = folder / "data.npz"
    np.savez(data, images=source.images, labels=source.labels)
    asked = {
        "iterations": config.training.iterations,
        "every": options.checkpoints,
        "batch_size": config.training.batch_size,
        "latent_size": config.generator.latent_size,
        "generator_width": config.generator.options["width"],
        "critic_width": config.critic.options["width"],
        "critic_biases": config.critic.name == "dcgan_gp",
        "objective": config.objective.name,
        "penalty": config.penalty
        and {"weight": config.penalty.weight, "every": config.penalty.every},
        "classes": source.num_classes if config.dataset.labels else 0,
        "flip": config.dataset.flip,
        "precision": options.torch_precision,
        "decay": config.training.learning_rate_schedule == "linear_decay",
        "half_life": config.training.ema_half_life,
        "rampup": config.training.ema_rampup,
        "count": options.count,
        "seconds": options.torch_seconds,
        **{
            player: {
                name: getattr(config.optimizer, player).options[name]
                for name in ("learning_rate", "b1", "b2")
            }
            for player in ("generator", "critic")
        },
    }
    (folder / "asked.json").write_text(json.dumps(asked))
    script = Path(__file__).with_name("pytorch_recipe.py")
    subprocess.run([options.torch_python, str(script), str(folder)], check=True)
    rows = []
    for path in sorted(folder.glob("samples_*.npz")):
        with np.load(path) as found:
            scores = judge.scores(found["images"])
            rows.append(_row(int(found["step"]), float(found["seconds"]), scores))
    return rows


def _row(step: int, seconds: float, scores: dict[str, float]) -> dict[str, float]:
    rounded = {name: round(float(value), 4) for name, value in scores.items()}
    row = {"step": step, "minutes": round(seconds / 60, 3), **rounded}
    print(json.dumps(row), flush=True)
    return row


def main() -> int:
    """Measures one recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--checkpoints", type=int, default=1000, help="interval")
    parser.add_argument("--count", type=int, default=5000, help="samples to compare")
    parser.add_argument("--workdir", type=Path, help="folder of the run; kept")
    parser.add_argument("--torch-python", help="Python with PyTorch")
    parser.add_argument("--torch-precision", default="bfloat16")
    parser.add_argument("--torch-seconds", type=float, default=1e9, help="limit")
    options, config, source = parse_arguments(parser)
    if options.torch_python:
        check_pytorch(resolve(config))
    folder = options.workdir or Path(tempfile.mkdtemp()) / "run"
    seconds, times = launch(source, folder, options.checkpoints)
    config, _ = load_experiment(Workdir(folder).config)
    judge = Judge(config, options.count)
    split, fields = "test", dict(_overrides())
    fields.pop("dataset.data_dir", None)
    about: dict[str, Any] = {
        "config": source.title,
        "overrides": fields,
        "machine": describe_machine(),
        "jax": jax.__version__,
        "protocol": f"EMA weights, {options.count} samples, the first {options.count} "
        f"of the {split} split, EfficientNet-Lite0 at 96 pixels",
        "minutes": round(seconds / 60, 2),
        "ours": ours(folder, times, judge, options.count),
    }
    write_text(options.out, json.dumps(about, indent=1) + "\n")
    if options.torch_python:
        theirs_in = folder / "pytorch"
        theirs_in.mkdir()
        about["pytorch"] = theirs(config, options, theirs_in, judge)
        write_text(options.out, json.dumps(about, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
