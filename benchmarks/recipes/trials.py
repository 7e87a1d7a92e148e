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
            "ns r1 lazy": f"{PLAIN} penalty.name=r1 penalty.weight=0.1 penalty.every=8",
            "ns ema 0.99": "training.ema_decay=0.99",
            "ns critic 96": "critic.width=96",
            "ns generator 48": "generator.width=48",
        },
    ),
}
