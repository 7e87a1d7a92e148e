"""Trials of the search, in rounds. Each is a base config and some overrides."""

from typing import NamedTuple


class Round(NamedTuple):
    """Trials of equal cost.

    Attributes:
        base: file of the base config, in this folder.
        cpu_seconds: processor time of the training in each trial.
        trials: overrides of each trial by name, separated by spaces.
        count: number of samples that are compared.
        options: further options of ``trial.py``.
        dataset: name of the dataset in the file of costs. The number of iterations
            then follows from the cost of the method, which is the name of the trial
            up to a comma or the word weight. Otherwise, each trial measures its speed
            first.
    """

    base: str
    cpu_seconds: float
    trials: dict[str, str]
    count: int = 2000
    options: tuple[str, ...] = ()
    dataset: str | None = None


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

EMA = "training.ema_decay=None training.ema_half_life=20000 training.ema_rampup=0.05"


def rates(generator: str, critic: str) -> str:
    """Returns the overrides of both learning rates."""
    return (
        f"optimizer.generator.learning_rate={generator} "
        f"optimizer.critic.learning_rate={critic}"
    )


def moments(b1: str, b2: str) -> str:
    """Returns the overrides of the decay rates of Adam for both networks."""
    return " ".join(
        f"optimizer.{player}.b1={b1} optimizer.{player}.b2={b2}"
        for player in ("generator", "critic")
    )


UNNORMALIZED = "critic.name=dcgan_gp critic.kernel_size=4"
BIASED = f"{EMA} {UNNORMALIZED}"
WGAN = (
    f"{BIASED} objective=wasserstein penalty.name=gradient_penalty "
    "penalty.weight=10.0 penalty.every=2"
)
SLOW, FAST = moments("0.0", "0.999"), moments("0.0", "0.9")
SMALL = "training.batch_size=32"

UNLABELLED = "dataset.labels=False critic.head="
R1 = (
    f"{UNNORMALIZED} penalty.name=r1 penalty.every=4 {moments('0.0', '0.99')} "
    f"{rates('4e-4', '4e-4')}"
)

HINGE = "objective=hinge penalty=None critic.parametrization=spectral"
CNN = (
    "generator.name=sngan_cnn generator.width=32 critic.name=sngan_cnn critic.width=32"
)
RESNET = (
    "generator.name=resnet generator.width=64 critic.name=resnet critic.width=64 "
    "critic.pool=sum critic.output_bias=False"
)

METHODS_BASE = "methods_base.py"
MOMENTS = moments("0.5", "0.999")
RMSPROP = " ".join(
    f"optimizer.{player}.name=rmsprop optimizer.{player}.b1=None "
    f"optimizer.{player}.b2=None optimizer.{player}.learning_rate=5e-5"
    for player in ("generator", "critic")
)
RECIPE = f"{rates('1e-3', '1e-3')} {FAST} {DECAY}"
NO_PENALTY = "penalty=None"
ONE_UPDATE = f"{rates('2e-4', '2e-4')} {MOMENTS} training.n_critic=1"
BATCH_NORM = f"{NO_PENALTY} critic.batch_norm=True"
METHODS = {
    "clipping": f"{NO_PENALTY} {RMSPROP} constraint.name=clip_weights "
    "constraint.bound=0.01 critic.batch_norm=True",
    "GP": "penalty.one_sided=False",
    "LP": "penalty.one_sided=True",
    "divergence": "penalty.name=divergence penalty.weight=2.0",
    "consistency": "critic.dropout=0.5 penalties.ct.name=consistency "
    "penalties.ct.weight=2.0 penalties.ct.feature_weight=0.1",
    "SN hinge": f"{NO_PENALTY} objective=hinge critic.parametrization=spectral "
    f"{ONE_UPDATE}",
    "DRAGAN": "objective=non_saturating penalty.name=dragan penalty.weight=10.0 "
    f"{ONE_UPDATE}",
    "R1": f"objective=non_saturating penalty.name=r1 penalty.weight=0.1 {ONE_UPDATE}",
    "original GAN": f"objective=non_saturating {BATCH_NORM} {ONE_UPDATE}",
    "least squares": f"objective=least_squares {BATCH_NORM} {ONE_UPDATE}",
    "relativistic R1 R2": "objective=relativistic penalty.name=r1 penalty.weight=0.05 "
    f"penalties.r2.name=r2 penalties.r2.weight=0.05 {ONE_UPDATE}",
    "GP by class": "dataset.labels=True critic.head=projection",
    "GP recipe": f"penalty.every=2 training.n_critic=1 training.batch_size=32 {RECIPE}",
    "GAN recipe": f"objective=non_saturating {BATCH_NORM} {rates('4e-4', '2e-4')} "
    f"{MOMENTS} training.n_critic=1 {DECAY}",
    "article": f"objective=non_saturating {NO_PENALTY} {ONE_UPDATE} "
    "generator.name=article critic.name=article",
}

UPDATES = {f"GP n_critic {count}": f"training.n_critic={count}" for count in (1, 2, 10)}
WEIGHTS = {
    f"{name} weight {weight}": f"{METHODS[name]} penalty.weight={weight}.0"
    for name in ("GP", "LP")
    for weight in (1, 100)
}
SCORES = ("--scores", "--marks", "0.2", "0.4", "0.6", "0.8", "1.0")

TRIALS = {
    "objectives": Round(
        "cifar10_base.py",
        300,
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
    "wasserstein": Round(
        "cifar10_base.py",
        300,
        {
            "wgan 2e-4 4e-4": f"{WGAN} {rates('2e-4', '4e-4')}",
            "wgan 1e-3": f"{WGAN} {rates('1e-3', '1e-3')}",
            "wgan 2e-3": f"{WGAN} {rates('2e-3', '2e-3')}",
            "wgan 1e-3 weight 1": f"{WGAN} {rates('1e-3', '1e-3')} penalty.weight=1.0",
            "wgan 1e-3 batch 32": f"{WGAN} {rates('1e-3', '1e-3')} {SMALL}",
            "wgan 1e-3 b1 0": f"{WGAN} {rates('1e-3', '1e-3')} {SLOW}",
            "wgan 2e-3 1e-3 b1 0": f"{WGAN} {rates('2e-3', '1e-3')} {SLOW}",
            "wgan 1e-3 b1 0 batch 32": f"{WGAN} {rates('1e-3', '1e-3')} {SLOW} {SMALL}",
            "wgan 1e-3 b1 0 b2 0.9": f"{WGAN} {rates('1e-3', '1e-3')} {FAST}",
            "wgan 2e-3 1e-3 b1 0 b2 0.9": f"{WGAN} {rates('2e-3', '1e-3')} {FAST}",
            "wgan 2e-3 b1 0 b2 0.9": f"{WGAN} {rates('2e-3', '2e-3')} {FAST}",
            "wgan one-sided": f"{WGAN} {rates('1e-3', '1e-3')} {FAST} "
            "penalty.one_sided=True",
            "wgan batch 32": f"{WGAN} {rates('1e-3', '1e-3')} {FAST} {SMALL}",
            "wgan batch 32 2e-3 1e-3": f"{WGAN} {rates('2e-3', '1e-3')} {FAST} {SMALL}",
            "wgan batch 16": f"{WGAN} {rates('1e-3', '1e-3')} {FAST} "
            "training.batch_size=16",
            "wgan batch 32 labels": f"{WGAN} {rates('1e-3', '1e-3')} {FAST} {SMALL} "
            f"{LABELS}",
            "wgan batch 32 every 4": f"{WGAN} {rates('1e-3', '1e-3')} {FAST} {SMALL} "
            "penalty.every=4",
            "wgan batch 32 weight 2": f"{WGAN} {rates('1e-3', '1e-3')} {FAST} {SMALL} "
            "penalty.weight=2.0",
            "ns batch 32 4e-4 2e-4": f"{EMA} {rates('4e-4', '2e-4')} {SMALL}",
            "ns batch 32 4e-4 2e-4 b1 0 b2 0.9": f"{EMA} {rates('4e-4', '2e-4')} "
            f"{SMALL} {FAST}",
            "hinge sn batch 32": f"{BIASED} objective=hinge "
            f"critic.parametrization=spectral {rates('1e-3', '1e-3')} {FAST} {SMALL}",
        },
    ),
    "longer": Round(
        "../../configs/cifar10_fast.py",
        1200,
        {
            "as it is": "seed=0",
            "augmentation": "augmentation.policy=translation,cutout",
            "dropout": "critic.dropout=0.3",
            "label smoothing": "objective.label_smoothing=0.1",
            "batch 32": SMALL,
            "generator 96": "generator.width=96",
            "r1 0.1": f"{R1} penalty.weight=0.1",
            "r1 0.01": f"{R1} penalty.weight=0.01",
            "r1 0.01 augmentation": f"{R1} penalty.weight=0.01 "
            "augmentation.policy=translation,cutout",
            "hinge sn": f"{UNNORMALIZED} objective=hinge "
            f"critic.parametrization=spectral {moments('0.0', '0.99')}",
        },
        5000,
    ),
    "longer wasserstein": Round(
        "../../configs/cifar10_wgan_fast.py",
        1200,
        {
            "labels": LABELS,
            "no labels": "seed=0",
            "no labels 5e-4": rates("5e-4", "5e-4"),
            "no labels 2e-4": rates("2e-4", "2e-4"),
            "no labels 1e-3 2e-3": rates("1e-3", "2e-3"),
            "no labels 2e-3": rates("2e-3", "2e-3"),
            "no labels constant": "training.learning_rate_schedule=constant",
            "no labels every update": "penalty.every=1",
            "no labels batch 64": "training.batch_size=64",
            "no labels width 96": "generator.width=96 critic.width=96",
        },
        5000,
    ),
    "larger networks": Round(
        "../../configs/cifar10_wgan_fast.py",
        3000,
        {
            "dcgan, wasserstein": "seed=0",
            "cnn, sn hinge": f"{CNN} {HINGE} {rates('4e-4', '8e-4')}",
            "resnet, sn hinge": f"{RESNET} {HINGE} {rates('4e-4', '8e-4')}",
            "cnn, wasserstein": CNN,
            "resnet, wasserstein": RESNET,
        },
        5000,
        ("--marks", "0.25", "0.5", "0.75", "1.0"),
    ),
    "fashion_mnist": Round(
        "../../configs/fashion_mnist_fast.py",
        400,
        {
            "flips": "dataset.flip=True",
            "no flips": "dataset.flip=False",
            "no flips, no labels": f"dataset.flip=False {UNLABELLED}",
        },
        5000,
    ),
    "fashion_mnist wasserstein": Round(
        "../../configs/fashion_mnist_wgan_fast.py",
        400,
        {
            "wasserstein": "seed=0",
            "wasserstein, labels": LABELS,
            "wasserstein, flips": "dataset.flip=True",
            "wasserstein 5e-4": rates("5e-4", "5e-4"),
        },
        5000,
    ),
    "fashion_mnist methods": Round(
        METHODS_BASE,
        600,
        {
            f"{name}, seed {seed}": f"dataset.name=fashion_mnist seed={seed} {fields}"
            for seed in range(3)
            for name, fields in (METHODS | UPDATES | WEIGHTS).items()
        },
        2500,
        SCORES,
        "fashion_mnist",
    ),
    "cifar10 methods": Round(
        METHODS_BASE,
        1800,
        {f"{name}, CIFAR-10": fields for name, fields in METHODS.items()},
        2500,
        SCORES,
        "cifar10",
    ),
}
