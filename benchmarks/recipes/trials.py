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
HINGE = "objective=hinge critic.batch_norm=False critic.parametrization=spectral"
CNN = "generator.name=sngan_cnn critic.name=sngan_cnn"
PLAIN = "critic.batch_norm=False"
GP = "objective=wasserstein penalty.name=gradient_penalty penalty.weight=10.0"

TRIALS = {
    "objectives": Round(
        "cifar10_base.py",
        300,
        2000,
        {
            "ns": "seed=0",
            "ns decay": DECAY,
            "ns decay lr 4e-4": f"{DECAY} optimizer.generator.learning_rate=4e-4 "
            "optimizer.critic.learning_rate=4e-4",
            "ns decay batch 32": f"{DECAY} training.batch_size=32",
            "hinge sn": f"{DECAY} {HINGE}",
            "hinge sn ttur": f"{DECAY} {HINGE} optimizer.critic.learning_rate=4e-4",
            "hinge sn cnn": f"{DECAY} objective=hinge {CNN} "
            "critic.parametrization=spectral generator.width=32 critic.width=32",
            "ns r1 lazy": f"{DECAY} {PLAIN} penalty.name=r1 penalty.weight=0.1 "
            "penalty.every=8",
            "gp lazy ttur": f"{DECAY} {PLAIN} {GP} penalty.every=2 "
            "optimizer.critic.learning_rate=4e-4",
            "gp n_critic 2": f"{DECAY} {PLAIN} {GP} training.n_critic=2 "
            "penalty.every=2",
            "ns decay critic 96": f"{DECAY} critic.width=96",
            "ns decay critic 48": f"{DECAY} critic.width=48",
            "ns decay generator 48": f"{DECAY} generator.width=48",
            "ns decay generator 96": f"{DECAY} generator.width=96",
            "ns decay ema 0.99": f"{DECAY} training.ema_decay=0.99",
        },
    ),
}
