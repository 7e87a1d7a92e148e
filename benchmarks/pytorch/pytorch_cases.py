"""What ``pytorch.py`` measures: pairs of networks, and the steps of each."""

from collections.abc import Iterable
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
# Ours with other options of XLA's compiler than the library's own. By default XLA
# records no convolutions in CUDA graphs, and no loops.
_RECORDED = "FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,DYNAMIC_SLICE_FUSION"
GPU_VARIANTS: dict[str, dict[str, Any]] = {
    "pieces": {"xla_gpu_enable_command_buffer": _RECORDED},
    "loops": {
        "xla_gpu_enable_command_buffer": f"{_RECORDED},CONVOLUTION,WHILE,CONDITIONAL",
        "xla_gpu_command_buffer_unroll_loops": True,
    },
}
UPDATES = 5  # of the critic in an iteration, unless the case has others
PRECISIONS = ("float32", "bfloat16")
OPTIMIZER = {"learning_rate": 1e-4, "b1": 0.5, "b2": 0.9}  # Adam, both networks


class Case(NamedTuple):
    """One pair of networks on one kind of example.

    Attributes:
        pair: name of our generator and critic.
        width: of both.
        batch: examples of every update.
        shape: of one example, channels last.
        latent_size: numbers of a latent.
        weight: of the gradient penalty; 0 if the case has none.
        precision: ``float32``, as each library multiplies it by default (TF32 on a
            GPU that has it), or ``bfloat16``: networks computed in it, parameters
            and losses in float32; in PyTorch by autocast.
        objective: name of our losses, ``wasserstein`` or ``non_saturating``.
        updates: of the critic in an iteration.
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
        """Whether the critic's steps of an iteration have the gradient penalty."""
        return self.weight > 0


def images_of(step: str, case: Case) -> int:
    """Real examples that a step sees; of the generator's, those that it draws."""
    return case.updates * case.batch if step == "iteration" else case.batch


def steps_of(case: Case, wanted: Iterable[str] = STEPS) -> list[str]:
    """The steps that the case has: without a penalty none is timed with one."""
    return [s for s in wanted if case.penalised or s != "penalty"]


def label_of(step: str, case: Case) -> str:
    """A step in words."""
    if step == "iteration":
        return f"{case.updates} critic + 1 generator"
    return STEPS[step]


def entry_name(network: str, precision: str) -> str:
    """Name of a network's results: its own in float32, else ``dcgan, bfloat16``."""
    return network if precision == "float32" else f"{network}, {precision}"


def cases(batch: int, *, gpu: bool) -> dict[str, Case]:
    """All pairs by the name that the command knows them by.

    Args:
        batch: examples of every update.
        gpu: whether the residual pair has the paper's width, which takes minutes
            a figure on a small CPU.

    Returns:
        ``dcgan`` is the pair of the first Wasserstein GAN with the critic's batch
        norm left out, as a penalty of each example's gradient asks for;
        ``dcgan_ns`` has the same networks, the non-saturating losses, no penalty
        and one critic update in an iteration.
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


# Of generator and critic, as the cases are on a CPU.
PARAMETERS = {
    "dcgan": (1_183_616, 662_528),
    "dcgan_ns": (1_183_616, 662_528),
    "resnet": (368_771, 264_769),
    "mlp64": (8_642, 8_577),
    "mlp512": (527_874, 527_361),
}
