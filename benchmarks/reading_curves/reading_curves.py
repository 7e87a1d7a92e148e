"""Tables and figures of ``docs/reading-the-curves.md``, from runs on digits.

    python benchmarks/reading_curves/reading_curves.py  # runs, tables, figures
    python benchmarks/reading_curves/reading_curves.py --workdir runs/reading  # kept

It starts eight runs of ``launch.py``, two at a time, on scikit-learn's digits.
It reads their records, prints the tables of the document and draws its figures
into ``docs/`` (this needs ``pip install matplotlib``). Runs that already exist
in the workdir are not repeated.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from reading_curves_figure import (
    BOUNDS,
    WEIGHTS,
    column,
    evaluated,
    figures,
    lines,
    smooth,
)

from wgan_jax.data import load_source
from wgan_jax.metrics.optimal_transport import exact_wasserstein

ROOT = Path(__file__).parents[2]
TABLED = (100, 500, 1000, 2000)  # iterations
EXAMINED_AT = (200, 600, 1000, 1400, 2000)
FLOOR = {16: 40, 64: 40, 256: 10, 750: 4}  # number of draws by size of each half
PENALISED = ("--config=configs/digits_wgan_gp.py", "--config.samples.every=2000")
CLIPPED = ("--config=configs/digits_wgan.py", "--config.samples.every=2000")
UNEXAMINED = ("--config.evaluation.every=0",)
EXAMINED = (
    "--config.evaluation.every=200",
    "--config.evaluation.measures=('held_out','frechet')",
)
SHORT = (
    "--config.training.iterations=300",
    "--config.log.every=1",
    "--config.evaluation.every=300",
    "--config.evaluation.measures=('frechet',)",
)
SLOW, FAST = "critic.learning_rate=1e-6", "generator.learning_rate=0.01"
# Arguments of launch.py, by name of the run.
RUNS = {
    "weights": (
        *PENALISED,
        *UNEXAMINED,
        "--config.sweep.field=penalty.weight",
        f"--config.sweep.values={WEIGHTS}",
    ),
    "usual": (*PENALISED, *EXAMINED, "--config.log.every=1"),
    "few": (*PENALISED, *EXAMINED, "--config.dataset.split=train[:100]"),
    "clipping": (
        *CLIPPED,
        *UNEXAMINED,
        "--config.training.iterations=2000",
        "--config.sweep.field=constraint.bound",
        f"--config.sweep.values={BOUNDS}",
    ),
    "chased": (
        *PENALISED,
        *SHORT,
        "--config.training.n_critic=1",
        f"--config.optimizer.{FAST}",
    ),
    "slow_critic": (*PENALISED, *SHORT, f"--config.optimizer.{SLOW}"),
    "no_penalty": (*PENALISED, *SHORT, "--config.penalty.weight=1e-6"),
    "breaks": (*PENALISED, *SHORT, "--config.optimizer.critic.learning_rate=1e15"),
}
WRONG = ("chased", "slow_critic", "no_penalty")
START = time.perf_counter()


def log(text):
    """Prints a line with the seconds since the start."""
    print(f"[{time.perf_counter() - START:5.0f} s] {text}", flush=True)


def launch(folder, *arguments):
    """Calls ``launch.py``; returns the last line of its stderr if it failed."""
    command = [sys.executable, "launch.py", *arguments, f"--workdir={folder}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    log(f"{folder.name}: {' '.join(arguments)}: exit status {done.returncode}")
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def around(records, name, step):
    """Returns the mean of a metric over eleven records around an iteration."""
    steps = column(records, "step")
    middle = min(max(int(np.searchsorted(steps, step)), 5), len(steps) - 6)
    return float(column(records[middle - 5 : middle + 6], name).mean())


def weight_table(records):
    """Yields raw and corrected estimates by penalty weight, at some iterations."""
    names = ("estimate", "by_penalty", "by_flow", "by_gradient_norm")
    yield (
        "| iteration | weight | raw | by_penalty | by_flow | by_gradient_norm "
        "| gradient norm |"
    )
    yield "|---" * 7 + "|"
    for step in TABLED:
        for weight in WEIGHTS:
            suffix = f"/penalty.weight={weight:g}"
            metrics = [f"critic/wasserstein_{name}{suffix}" for name in names]
            metrics.append(f"critic/gradient_norm_mean{suffix}")
            cells = [f"{around(records, name, step):.3f}" for name in metrics]
            yield f"| {step} | {weight:g} | " + " | ".join(cells) + " |"


def bound_table(records):
    """Yields the clipped critics' estimates, raw and relative to the gradient norm."""
    names = (
        "critic/wasserstein_estimate",
        "critic/gradient_norm_at_fakes",
        "critic/wasserstein_by_gradient_norm_at_fakes",
    )
    yield (
        "| iteration | bound | raw | gradient norm at fakes "
        "| by_gradient_norm_at_fakes |"
    )
    yield "|---" * 5 + "|"
    for step in TABLED[1:]:
        for bound in BOUNDS:
            suffix = f"/constraint.bound={bound:g}"
            cells = [f"{around(records, name + suffix, step):.3g}" for name in names]
            yield f"| {step} | {bound:g} | " + " | ".join(cells) + " |"


def scaled(images):
    """Converts uint8 images to the critic's range."""
    return images.astype(np.float64) / 127.5 - 1


def floor_table(drawn):
    """Yields exact distances between real halves, and of generated to real images."""
    scans = scaled(load_source("digits", split="train").images)
    drawn, random = scaled(drawn), np.random.default_rng(0)
    yield "| examples per sample | real to real | generated to real |"
    yield "|---|---|---|"
    for size, draws in FLOOR.items():
        real, fake = [], []
        for _ in range(draws):
            order = random.permutation(len(scans))
            first, second = scans[order[:size]], scans[order[size : 2 * size]]
            real.append(exact_wasserstein(first, second))
            some = drawn[random.permutation(len(drawn))[:size]]
            fake.append(exact_wasserstein(first, some))
        cells = [f"{np.mean(x):.3f} ± {np.std(x, ddof=1):.3f}" for x in (real, fake)]
        yield f"| {size} | " + " | ".join(cells) + " |"


def noise_table(records):
    """Yields the variation of the estimate between batches, late in a run."""
    values = column(records, "critic/wasserstein_estimate")[-500:]
    yield "| average over | standard deviation | mean |"
    yield "|---|---|---|"
    for width in (1, 5, 25):
        means = values[: len(values) // width * width].reshape(-1, width).mean(1)
        # From differences of neighbors, so that the trend of the curve is excluded.
        deviation = np.std(np.diff(means)) / np.sqrt(2)
        yield f"| {width * 64} examples | {deviation:.3f} | {means.mean():.3f} |"


def held_out_table(runs):
    """Yields the critic's estimates on training examples and on held-out ones."""
    yield (
        "| run | iteration | estimate on training examples | on held-out examples | "
        "gap | Frechet distance |"
    )
    yield "|---" * 6 + "|"
    metrics = ("critic_estimate_on_training_split", "critic_estimate_on_held_out_split")
    metrics += ("critic_held_out_gap", "frechet_distance")
    for run, title in (("usual", "1,500 examples"), ("few", "100 examples")):
        steps, _ = evaluated(runs / run, metrics[0])
        values = np.array([evaluated(runs / run, name)[1] for name in metrics]).T
        for step, found in zip(steps, values, strict=True):
            if step in EXAMINED_AT:
                cells = " | ".join(f"{value:.2f}" for value in found)
                yield f"| {title} | {step:g} | {cells} |"


def wrong_table(runs):
    """Yields the failing runs next to the usual one."""
    names = ("wasserstein_estimate", "loss", "penalty", "gradient_norm_mean")
    yield "| run | iteration | " + " | ".join(names) + " | Frechet distance |"
    yield "|---" * 7 + "|"
    for run in ("usual", *WRONG):
        records = lines(runs / run)
        examined = dict(zip(*evaluated(runs / run, "frechet_distance"), strict=True))
        for step in (5, 50, 140, 300):
            record = next(r for r in records if r["step"] == step)
            cells = [f"{record[f'critic/{name}']:.3g}" for name in names]
            # The usual run is evaluated at 200 and 400 instead.
            cells.append(f"{examined[step]:.2f}" if step in examined else "")
            yield f"| {run} | {step} | " + " | ".join(cells) + " |"


def facts(runs):
    """Yields the figures of single runs that the text of the document mentions."""
    steps, medians = smooth(lines(runs / "usual"), "critic/wasserstein_estimate")
    for step in (120, 500, 1000, steps[-1]):
        median = medians[steps == step][0]
        yield (
            f"usual: the median of 25 estimates around iteration {step:g} is "
            f"{median:.2f}"
        )
    for run in ("usual", *WRONG):
        records = lines(runs / run)
        norms = column(records, "critic/gradient_norm_mean")
        values = column(records, "critic/wasserstein_estimate")
        loss, penalty = (records[0][f"critic/{name}"] for name in ("loss", "penalty"))
        peak = int(values.argmax())
        when = int(column(records, "step")[peak])
        yield (
            f"{run}: first loss {loss:.2f}, penalty {penalty:.2f}, estimate "
            f"{values[0]:.2f}, gradient norm {norms[0]:.2f}; peak {values[peak]:.2f} "
            f"at iteration {when}, gradient norm {norms[peak]:.2f}; minimum "
            f"{values.min():.2f}; below 0 in {np.sum(values < 0)} of {len(values)}; "
            f"mean of the last 100: {values[-100:].mean():.2f}; largest gradient norm "
            f"{norms.max():.1f}"
        )


def make(runs):
    """Performs all runs, and draws a thousand images of the usual one."""
    runs.mkdir(parents=True, exist_ok=True)
    missing = [name for name in RUNS if not (runs / name).exists()]
    with ThreadPoolExecutor(2) as pool:
        failed = pool.map(lambda name: launch(runs / name, *RUNS[name]), missing)
        for name, message in zip(missing, failed, strict=True):
            if message:
                log(f"{name}: {message}")
    if not list((runs / "usual" / "samples").glob("sample_*.npz")):
        more = ("--mode=sample", "--config.samples.count=1000")
        launch(runs / "usual", *RUNS["usual"], *more)


def tables(runs):
    """Yields all tables."""
    drawn = np.load(next((runs / "usual" / "samples").glob("sample_*.npz")))["images"]
    yield from weight_table(lines(runs / "weights"))
    yield ""
    yield from bound_table(lines(runs / "clipping"))
    yield ""
    yield from held_out_table(runs)
    yield ""
    yield from noise_table(lines(runs / "usual"))
    yield ""
    yield from floor_table(drawn)
    yield ""
    yield from wrong_table(runs)
    yield ""
    yield from facts(runs)


def main():
    """Runs, prints and draws the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", type=Path, help="folder of the runs [temporary]")
    given = parser.parse_args().workdir
    with tempfile.TemporaryDirectory() as folder:
        runs = (given or Path(folder)).resolve()
        make(runs)
        print("\n".join(tables(runs)))
        figures(runs, ROOT / "docs")
    log(f"Done; {os.times().children_user:.0f} s of CPU time in the runs")


if __name__ == "__main__":
    main()
