"""Creates folders like those of runs."""

import json

import numpy as np
from PIL import Image

CONFIG = {
    "seed": 0,
    "objective": "wasserstein",
    "dataset": {"name": "digits", "split": "train"},
    "generator": {"width": 64},
    "penalty": {"name": "gradient_penalty", "weight": 10.0},
    "training": {"iterations": 1000, "ema_decay": 0.99},
}
RECORD = {
    "data": {"name": "digits", "split": "train", "count": 1500, "sha256": "0e5e"},
    "command": "python launch.py --config=configs/digits_wgan_gp.py",
    "packages": {"jax": "0.10.2"},
    "git_commit": "f1fd09c92923fb63544c41165de253eba6c8a6f8",
    "devices": {"kind": "cpu", "platform": "cpu", "count": 1, "processes": 1},
}
NAMES = [
    "critic/wasserstein_estimate",
    *(
        f"critic/wasserstein_by_{reading}"
        for reading in ("penalty", "flow", "gradient_norm")
    ),
    "critic/loss",
    "critic/penalty",
    *(f"critic/gradient_norm_{where}" for where in ("mean", "max", "at_fakes")),
    *(f"critic/{kind}_score" for kind in ("real", "fake")),
    *(f"critic/{what}_norm" for what in ("grad", "update", "param")),
    "generator/loss",
    *(f"generator/{what}_norm" for what in ("grad", "update", "param")),
    "throughput/images_per_second",
]
FEW = NAMES[::4]
PROTOCOL = {
    "metric": "frechet_distance",
    "features": "pixels",
    "weights": "none",
    "input_size": None,
    "resize": "none",
    "quantisation": "round",
    "real_count": 1500,
    "fake_count": 1500,
    "split": "digits/train",
    "seed": 0,
    "options": {"blocks": 3},
}


def metric_lines(count, *, every=10, names, seed=0):
    """Returns metrics with decreasing, noisy curves."""
    rng = np.random.default_rng(seed)
    levels = (
        1
        + 4 / (1 + np.arange(count)[:, None] / 30)
        + 0.2 * rng.normal(size=(count, len(names)))
    )
    for i, row in enumerate(levels.round(5).tolist(), 1):
        yield {"step": i * every} | dict(zip(names, row, strict=True))


def evaluation_line(step, value, *, weights="ema", run="", deviation=0.3, **protocol):
    result = {
        "value": value,
        "deviation": deviation,
        "protocol": PROTOCOL | protocol,
    }
    return {"step": step, "weights": weights, "run": run, "results": [result]}


def make_run(
    folder,
    lines=None,
    *,
    config=None,
    evaluations=None,
    pictures=(),
    notes=None,
    heartbeat=None,
    **record,
):
    """Creates the folder of a run; ``record`` replaces parts of ``config.json``."""
    (folder / "samples").mkdir(parents=True)
    whole = RECORD | {"config": CONFIG | (config or {})} | record
    (folder / "config.json").write_text(json.dumps(whole))
    write_lines(
        folder / "metrics.jsonl",
        metric_lines(30, names=FEW) if lines is None else lines,
    )
    if evaluations is not None:
        write_lines(folder / "evaluations.jsonl", evaluations)
    if notes is not None:
        (folder / "notes.md").write_text(notes)
    if heartbeat is not None:
        (folder / "heartbeat.json").write_text(json.dumps(heartbeat))
    rng = np.random.default_rng(0)
    for number, name in enumerate(pictures):
        levels = np.full((40, 40), 5 * number, np.uint8)
        levels[8:20, 8:20] = rng.integers(0, 255, (12, 12))
        Image.fromarray(levels).save(folder / "samples" / name)
    return folder


def write_lines(path, lines):
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
