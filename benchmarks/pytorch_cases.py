"""What ``pytorch.py`` measures: pairs of networks, and the steps of each."""

from typing import Any, NamedTuple

STEPS = {
    "plain": "critic, no penalty",
    "penalty": "critic, penalty",
    "generator": "generator",
    "iteration": "5 critic + 1 generator",
}
# Of PyTorch; the best one counts.
FORMS = ("contiguous", "channels_last", "compiled")
# On a GPU a whole step is recorded once and replayed as a CUDA graph, as a user would
# do where starting kernels is what costs: ``graph`` of the eager form with
# channels last, ``compiled_graph`` of the compiled one.
GPU_FORMS = ("channels_last", "graph", "compiled_graph")
UPDATES = 5  # of the critic in an iteration
OPTIMIZER = {"learning_rate": 1e-4, "b1": 0.5, "b2": 0.9}  # Adam, both players


class Case(NamedTuple):
    """One pair of networks on one kind of example.

    Attributes:
        pair: name of our generator and critic.
        width: of both.
        batch: examples of every update.
        shape: of one example, channels last.
        latent_size: numbers of a latent.
        weight: of the gradient penalty.
        precision: ``float32``, as each library multiplies it by default (TF32 on a
            GPU that has it), or ``bfloat16``: networks computed in it, parameters
            and losses in float32; in PyTorch by autocast.
    """

    pair: str
    width: int
    batch: int
    shape: tuple[int, ...]
    latent_size: int
    weight: float
    precision: str = "float32"


def images_of(step: str, batch: int) -> int:
    """Real examples that a step sees; of the generator's, those that it draws."""
    return UPDATES * batch if step == "iteration" else batch


def cases(batch: int, *, gpu: bool) -> dict[str, Case]:
    """All pairs by the name that the command knows them by.

    Args:
        batch: examples of every update.
        gpu: whether the residual pair has the paper's width, which takes minutes
            a figure on a small CPU.

    Returns:
        ``dcgan`` is the pair of the first Wasserstein GAN with the critic's batch
        norm left out, as a penalty of each example's gradient asks for.
    """
    images: dict[str, Any] = {
        "batch": batch,
        "shape": (32, 32, 3),
        "latent_size": 128,
        "weight": 10.0,
    }
    points: dict[str, Any] = {
        "batch": batch,
        "shape": (2,),
        "latent_size": 2,
        "weight": 0.1,
    }
    return {
        "dcgan": Case("dcgan", 64, **images),
        "resnet": Case("resnet", 128 if gpu else 64, **images),
        "mlp64": Case("mlp", 64, **points),
        "mlp512": Case("mlp", 512, **points),
    }


# Of generator and critic, as the cases are on a CPU.
PARAMETERS = {
    "dcgan": (1_183_616, 662_528),
    "resnet": (368_771, 264_769),
    "mlp64": (8_642, 8_577),
    "mlp512": (527_874, 527_361),
}
