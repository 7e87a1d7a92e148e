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
G4, G8 = (f"optimizer.generator.learning_rate={rate}" for rate in ("4e-4", "8e-4"))
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
            "ns generator 4e-4": G4,
            "ns generator 8e-4": G8,
            "ns generator 4e-4 labels": f"{G4} {LABELS}",
            "ns generator 4e-4 ema 0.99": f"{G4} training.ema_decay=0.99",
            "ns generator 4e-4 critic 96": f"{G4} critic.width=96",
            "ns generator 4e-4 generator 48": f"{G4} generator.width=48",
            "ns generator 4e-4 batch 128": f"{G4} training.batch_size=128",
            "ns generator 4e-4 b1 0": f"{G4} optimizer.generator.b1=0.0 "
            "optimizer.critic.b1=0.0",
        },
    ),
}
