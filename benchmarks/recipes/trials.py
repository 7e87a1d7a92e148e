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
            "ns decay labels": f"{DECAY} {LABELS}",
            "hinge sn ttur": f"{DECAY} objective=hinge {SPECTRAL} {TTUR}",
            "ns decay batch 32": f"{DECAY} training.batch_size=32",
            "ns decay lr 4e-4": f"{DECAY} {FASTER}",
            "gp lazy ttur": f"{DECAY} {GP} {TTUR}",
            "ns r1 lazy": f"{DECAY} {PLAIN} penalty.name=r1 penalty.weight=0.1 "
            "penalty.every=8",
            "ns decay ema 0.99": f"{DECAY} training.ema_decay=0.99",
            "ns decay critic 96": f"{DECAY} critic.width=96",
            "ns decay generator 48": f"{DECAY} generator.width=48",
        },
    ),
}
