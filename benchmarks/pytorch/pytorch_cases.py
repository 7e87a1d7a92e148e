"""Networks and steps that ``pytorch.py`` measures."""

from collections.abc import Iterable
from typing import Any, NamedTuple

STEPS = {
    "plain": "critic, no penalty",
    "penalty": "critic, penalty",
    "generator": "generator",
    "iteration": "5 critic + 1 generator",
}
# Forms of PyTorch; the fastest one is compared.
FORMS = ("contiguous", "channels_last", "compiled")
# On a GPU, a whole step is recorded once and replayed as a CUDA graph, as users do
# where kernel launches dominate: ``graph`` is the eager form with channels last,
# ``compiled_graph`` the compiled one.
GPU_FORMS = ("channels_last", "graph", "compiled_graph")
# Our side with other XLA compiler options than the library's. By default, XLA records
# neither convolutions nor loops in CUDA graphs.
_RECORDED = "FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,DYNAMIC_SLICE_FUSION"
GPU_VARIANTS: dict[str, dict[str, Any]] = {
    "pieces": {"xla_gpu_enable_command_buffer": _RECORDED},
    "loops": {
        "xla_gpu_enable_command_buffer": f"{_RECORDED},CONVOLUTION,WHILE,CONDITIONAL",
        "xla_gpu_command_buffer_unroll_loops": True,
    },
}
UPDATES = 5  # critic updates per iteration, unless the case has another number
PRECISIONS = ("float32", "bfloat16")
OPTIMIZER = {"learning_rate": 1e-4, "b1": 0.5, "b2": 0.9}  # Adam for both networks


class Case(NamedTuple):
    """One pair of networks with one kind of example.

    Attributes:
        pair: name of our generator and critic.
        width: width of both networks.
        batch: examples per update.
        shape: shape of one example, channels last.
        latent_size: size of a latent.
        weight: weight of the gradient penalty; 0 for no penalty.
        precision: ``float32``, with each library's default for products (TF32
            on a GPU that has it), or ``bfloat16``: networks are computed in
            bfloat16, parameters and losses in float32; PyTorch uses autocast.
        objective: name of our losses, ``wasserstein`` or ``non_saturating``.
        updates: critic updates per iteration.
    """

    pair: str
    width: int
    batch: int
    shape: tuple[int, ...]
    latent_size: int
    weight: float
    precision: str = "float32"
    objective: str = "wasserstein"
    updates: int = UPDATES

    @property
    def penalised(self) -> bool:
        """Whether the critic steps of an iteration have the gradient penalty."""
        return self.weight > 0


def images_of(step: str, case: Case) -> int:
    """Returns the real examples of a step, or the generated ones of the generator."""
    return case.updates * case.batch if step == "iteration" else case.batch


def steps_of(case: Case, wanted: Iterable[str] = STEPS) -> list[str]:
    """Returns the steps of a case; cases without a penalty have no penalty step."""
    return [s for s in wanted if case.penalised or s != "penalty"]


def label_of(step: str, case: Case) -> str:
    """Returns a description of a step."""
    if step == "iteration":
        return f"{case.updates} critic + 1 generator"
    return STEPS[step]


def entry_name(network: str, precision: str) -> str:
    """Returns the name of results: the network in float32, or ``dcgan, bfloat16``."""
    return network if precision == "float32" else f"{network}, {precision}"


def cases(batch: int, *, gpu: bool) -> dict[str, Case]:
    """Returns all pairs by name.

    Args:
        batch: examples per update.
        gpu: whether the residual networks have the width of the paper, which
            takes minutes per figure on a small CPU.

    Returns:
        The cases. ``dcgan`` is the pair of the first Wasserstein GAN without
        batch normalization in the critic, as a penalty on per-example gradients
        requires. ``dcgan_ns`` has the same networks with the non-saturating
        losses, no penalty and one critic update per iteration.
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
    without_penalty = {"weight": 0.0, "objective": "non_saturating", "updates": 1}
    return {
        "dcgan": Case("dcgan", 64, **images),
        "dcgan_ns": Case("dcgan", 64, **images | without_penalty),
        "resnet": Case("resnet", 128 if gpu else 64, **images),
        "mlp64": Case("mlp", 64, **points),
        "mlp512": Case("mlp", 512, **points),
    }


# Parameters of generator and critic, with the widths used on a CPU.
PARAMETERS = {
    "dcgan": (1_183_616, 662_528),
    "dcgan_ns": (1_183_616, 662_528),
    "resnet": (368_771, 264_769),
    "mlp64": (8_642, 8_577),
    "mlp512": (527_874, 527_361),
}
