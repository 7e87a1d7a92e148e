"""Trials of the search, in rounds. Each is a base config and some overrides."""

from typing import NamedTuple


class Round(NamedTuple):
    """Trials of equal cost.

    Attributes:
        base: file of the base config, in this folder.
        cpu_seconds: processor time of the training in each trial.
        count: number of samples that are compared.
        trials: overrides of each trial by name, separated by spaces.
    """

    base: str
    cpu_seconds: float
    count: int
    trials: dict[str, str]


DECAY = "training.learning_rate_schedule=linear_decay"
PLAIN = "critic.batch_norm=False"
SPECTRAL = f"{PLAIN} critic.parametrization=spectral"
TTUR = "optimizer.critic.learning_rate=4e-4"
FASTER = f"optimizer.generator.learning_rate=4e-4 {TTUR}"
G8 = "optimizer.generator.learning_rate=8e-4"
LABELS = "dataset.labels=True critic.head=projection"
GP = (
    f"objective=wasserstein {PLAIN} penalty.name=gradient_penalty penalty.weight=10.0 "
    "penalty.every=2"
)

TRIALS = {
    "objectives": Round(
        "cifar10_base.py",
        300,
        2000,
        {
            "ns": "seed=0",
            "ns decay": DECAY,
            "ns labels": LABELS,
            "hinge sn ttur": f"objective=hinge {SPECTRAL} {TTUR}",
            "ns lr 4e-4": FASTER,
            "ns batch 32": "training.batch_size=32",
            "gp lazy ttur": f"{GP} {TTUR}",
            "ns generator 4e-4": "optimizer.generator.learning_rate=4e-4",
            "ns generator 8e-4": f"{G8}",
            "ns generator 8e-4 ema 0.995": f"{G8} training.ema_decay=0.995",
            "ns generator 8e-4 labels": f"{G8} {LABELS}",
            "ns generator 8e-4 batch 32": f"{G8} training.batch_size=32",
            "ns generator 8e-4 generator 48": f"{G8} generator.width=48",
            "ns generator 8e-4 critic 96": f"{G8} critic.width=96",
        },
    ),
}
