"""PyTorch side of ``pytorch.py``: the same steps in idiomatic PyTorch.

Forms: ``contiguous`` and ``channels_last`` are eager. ``compiled`` is
``torch.compile`` in its default mode. ``graph`` and ``compiled_graph`` are the
eager and compiled forms replayed as CUDA graphs, with channels last.
``torch.compile`` does not support double differentiation, so in compiled forms
the gradient of the penalized critic is one compiled function based on
``torch.func.grad``. Real and fake images pass through the critic in one call,
which is faster than two. Adam is fused. The generator step does not compute
gradients of the critic parameters. In bfloat16, forward passes use autocast.
"""

import os
import platform
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from pytorch_cases import FORMS, OPTIMIZER, Case
from pytorch_networks import build, load
from pytorch_workers import Side, least, serve
from torch.func import functional_call, grad
from torch.nn import functional as F

Network = Callable[[torch.Tensor], torch.Tensor]


def critic_loss(
    real: torch.Tensor,
    fake: torch.Tensor,
    points: torch.Tensor | None,
    *,
    critic: Network,
    slopes: Callable[[Network, torch.Tensor], torch.Tensor],
    case: Case,
) -> torch.Tensor:
    """Computes the critic loss; without a penalty if there are no points."""
    scores = at_least_single(critic(torch.cat([real, fake])))
    real_scores, fake_scores = scores.chunk(2)
    if case.objective == "non_saturating":
        loss = cross_entropy(real_scores, 1.0) + cross_entropy(fake_scores, 0.0)
    else:
        loss = fake_scores.mean() - real_scores.mean()
    if points is None:
        return loss
    return loss + case.weight * penalty(slopes(critic, points))


def generator_loss(
    latent: torch.Tensor, *, generator: Network, critic: Network, case: Case
) -> torch.Tensor:
    """Computes the generator loss."""
    scores = at_least_single(critic(generator(latent)))
    if case.objective == "non_saturating":
        return cross_entropy(scores, 1.0)
    return -scores.mean()


def cross_entropy(logits: torch.Tensor, label: float) -> torch.Tensor:
    """Computes the mean binary cross-entropy for one label: 1 for real, 0 for fake."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def penalty(gradients: torch.Tensor) -> torch.Tensor:
    """Computes the mean squared deviation of the gradient norms from 1."""
    return (at_least_single(gradients).flatten(1).norm(dim=1) - 1).square().mean()


def at_least_single(x: torch.Tensor) -> torch.Tensor:
    """Converts bfloat16 to float32 for sums; other dtypes are unchanged."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def eager_slopes(critic: Network, points: torch.Tensor) -> torch.Tensor:
    """Computes the gradient at each point, differentiable by ``backward``."""
    points.requires_grad_()
    return torch.autograd.grad(critic(points).sum(), points, create_graph=True)[0]


def functional_slopes(critic: Network, points: torch.Tensor) -> torch.Tensor:
    """Computes the same inside a function differentiated by ``torch.func.grad``."""
    return grad(lambda x: critic(x).sum())(points)


class Theirs(Side):
    """One case in one form."""

    def __init__(
        self,
        case: list[Any] | None = None,
        form: str = FORMS[0],
        double: bool = False,
    ):
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if self._device.type == "cuda":
            torch.set_float32_matmul_precision("high")  # as XLA's default
            torch.backends.cudnn.allow_tf32 = True
            torch.backends.cudnn.benchmark = True  # autotuning, as in XLA
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        # Threads and the context are part of the baseline, as on our side.
        x = torch.ones(8, 8, device=self._device, requires_grad=True)
        (x @ x).sum().backward()
        super().__init__()
        torch.manual_seed(0)
        torch.set_default_dtype(torch.float64 if double else torch.float32)
        if case is None:
            return
        self._case = case_ = Case(*case)
        self._compiled = form in ("compiled", "compiled_graph")
        self._replays = form in ("graph", "compiled_graph")
        contiguous = form in ("contiguous", "compiled")
        self._format = torch.contiguous_format if contiguous else torch.channels_last
        players = build(
            case_.pair,
            width=case_.width,
            latent_size=case_.latent_size,
            size=case_.shape[-1],
        )
        self._generator, self._critic = (self._place(p) for p in players)
        adam = partial(
            torch.optim.Adam,
            lr=OPTIMIZER["learning_rate"],
            betas=(OPTIMIZER["b1"], OPTIMIZER["b2"]),
            fused=True,
            capturable=self._replays,
        )
        self._optimizers = [
            adam(p.parameters()) for p in (self._generator, self._critic)
        ]
        shape = (case_.batch, *self._channels_first(case_.shape))
        self._batches = [
            self._place(2 * torch.rand(shape) - 1) for _ in range(case_.updates)
        ]

    def _channels_first(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (shape[-1], *shape[:-1])

    def _place(self, x: Any) -> Any:
        """Moves a module or a batch to the device, in this side's memory format."""
        if self._case.pair == "mlp":
            return x.to(self._device)
        return x.to(self._device, memory_format=self._format)

    def make(self, step: str) -> Callable[[], None]:
        """See ``Side``."""
        take = self._eager(step)
        return replayed(take) if self._replays else take

    def _autocast(self) -> Any:
        """Returns the context of a forward pass; backward uses the same dtypes."""
        enabled = self._case.precision == "bfloat16"
        return torch.autocast(self._device.type, torch.bfloat16, enabled=enabled)

    def _eager(self, step: str) -> Callable[[], None]:
        if step == "generator":
            return self._generator_step
        if step == "plain":
            return partial(self._plain_step, self._batches[0])
        critic = self._penalised_step if self._case.penalised else self._plain_step
        if step == "penalty":
            return partial(critic, self._batches[0])
        generator = self._generator_step

        def iteration() -> None:
            for real in self._batches:
                critic(real)
            generator()

        return iteration

    # Cached, so that functions compiled for an iteration are reused for its parts.
    @cached_property
    def _plain_step(self) -> Callable[[torch.Tensor], None]:
        return self._critic_step(penalised=False)

    @cached_property
    def _penalised_step(self) -> Callable[[torch.Tensor], None]:
        return self._critic_step(penalised=True)

    @cached_property
    def _generator_step(self) -> Callable[[], None]:
        return self._make_generator_step()

    def _latent(self) -> torch.Tensor:
        size = (self._case.batch, self._case.latent_size)
        return torch.randn(size, device=self._device)

    def _compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return torch.compile(function) if self._compiled else function

    def _critic_step(self, *, penalised: bool) -> Callable[[torch.Tensor], None]:
        generate = self._compile(self._generator)
        gradients = self._critic_gradients(penalised=penalised)
        _, optimizer = self._optimizers

        def take(real: torch.Tensor) -> None:
            with torch.no_grad(), self._autocast():
                fake = generate(self._latent()).to(real.dtype)
            points = None
            if penalised:
                one_each = (real.shape[0], *[1] * (real.ndim - 1))
                epsilon = torch.rand(one_each, device=real.device)
                points = torch.lerp(real, fake, epsilon)
            gradients(real, fake, points)
            optimizer.step()

        return take

    def _critic_gradients(self, *, penalised: bool) -> Callable[..., None]:
        """Returns a function of real, fake and points that computes gradients."""
        critic, case = self._critic, self._case
        if not (penalised and self._compiled):
            loss = self._compile(
                partial(critic_loss, critic=critic, slopes=eager_slopes, case=case)
            )

            def backward(*inputs: torch.Tensor | None) -> None:
                critic.zero_grad(set_to_none=True)
                with self._autocast():
                    value = loss(*inputs)
                value.backward()

            return backward

        def loss_of(parameters: Any, *inputs: torch.Tensor) -> torch.Tensor:
            return critic_loss(
                *inputs,
                critic=lambda x: functional_call(critic, parameters, (x,)),
                slopes=functional_slopes,
                case=case,
            )

        whole = torch.compile(grad(loss_of))

        def assign(*inputs: torch.Tensor) -> None:
            parameters = dict(critic.named_parameters())
            detached = {name: p.detach() for name, p in parameters.items()}
            with self._autocast():
                gradients = whole(detached, *inputs)
            for name, gradient in gradients.items():
                parameters[name].grad = laid_out_as(parameters[name], gradient)

        return assign

    def _make_generator_step(self) -> Callable[[], None]:
        gradients = self._generator_gradients()
        optimizer, _ = self._optimizers

        def take() -> None:
            gradients(self._latent())
            optimizer.step()

        return take

    def _generator_gradients(self) -> Callable[[torch.Tensor], None]:
        """Returns a function of the latent that computes gradients."""
        generator, critic = self._generator, self._critic
        loss = self._compile(
            partial(generator_loss, generator=generator, critic=critic, case=self._case)
        )

        def backward(latent: torch.Tensor) -> None:
            critic.requires_grad_(False)
            generator.zero_grad(set_to_none=True)
            with self._autocast():
                value = loss(latent)
            value.backward()
            critic.requires_grad_(True)

        return backward

    def wait(self) -> None:
        """See ``Side``."""
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def device_peak(self) -> int | None:
        """See ``Side``."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated()
        return None

    def parameters(self) -> list[int]:
        """Returns the numbers of parameters of the generator and the critic."""
        players = self._generator, self._critic
        return [sum(p.numel() for p in player.parameters()) for player in players]

    def check(self, path: str, answer: str) -> None:
        """Computes values and gradients for the file of ``Ours.check``.

        Args:
            path: path of that file.
            answer: path of the file to write, with ``values`` and ``gradients``
                under the names of PyTorch.
        """
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
        told = np.load(path)
        given: dict[str, dict[str, np.ndarray]] = {}
        for name in told.files:
            group, rest = name.split("/", 1)
            given.setdefault(group, {})[rest] = told[name]
        critic, generator = self._critic, self._generator
        load(generator, given["generator"])
        load(critic, given["critic"])
        real, points = (self._images(given["inputs"][k]) for k in ("real", "points"))
        terms = {"penalty": points} if self._case.penalised else {}
        latent = torch.from_numpy(given["inputs"]["latent"]).to(self._device)
        with torch.no_grad(), self._autocast():
            fake = generator(latent).to(real.dtype)
            values = {"real_scores": critic(real), "fake_scores": critic(fake)}
        values["fake"] = fake if fake.ndim == 2 else fake.permute(0, 2, 3, 1)
        if terms:
            with self._autocast():
                distances = penalty(eager_slopes(critic, points))
            values["penalty"] = self._case.weight * distances
        written = {
            f"values/{k}": at_least_single(v.detach()).cpu() for k, v in values.items()
        }
        for name, at in (*terms.items(), ("plain", None)):
            self._critic_gradients(penalised=at is not None)(real, fake, at)
            written |= gradients_of(critic, name)
        self._generator_gradients()(latent)
        written |= gradients_of(generator, "generator")
        np.savez(answer, **{k: np.asarray(v) for k, v in written.items()})

    def _images(self, array: np.ndarray) -> torch.Tensor:
        x = torch.from_numpy(array)
        return self._place(x if x.ndim == 2 else x.permute(0, 3, 1, 2))

    def peak(self, size: int) -> dict[str, float]:
        """Returns operations per second of a square product in the case's precision."""
        dtype = getattr(torch, self._case.precision)
        x = torch.randn(size, size, device=self._device).to(dtype)

        def product() -> None:
            torch.mm(x, x)
            self.wait()

        return {"torch": 2 * size**3 / least(product)}

    def about(self) -> dict[str, Any]:
        """Returns the versions and the device."""
        cuda = self._device.type == "cuda"
        return {
            "python": platform.python_version(),
            "versions": {"torch": torch.__version__, "numpy": np.__version__},
            "platform": self._device.type,
            "device": torch.cuda.get_device_name() if cuda else "cpu",
            "threads": torch.get_num_threads(),
        }


def replayed(take: Callable[[], None]) -> Callable[[], None]:
    """Records a step as a CUDA graph; returns a function that replays its kernels.

    Recording requires warm-up calls on a side stream. They also initialize the
    optimizer's state and the compiled functions.
    """
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            take()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        take()
    return graph.replay


def laid_out_as(parameter: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Returns the gradient with its parameter's strides, for fused Adam on a GPU."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def gradients_of(module: torch.nn.Module, label: str) -> dict[str, torch.Tensor]:
    """Returns gradients as ``gradients/<label>/<name>``, with PyTorch's names."""
    return {
        f"gradients/{label}/{name}": p.grad.detach().cpu().clone()
        for name, p in module.named_parameters()
        if p.grad is not None
    }


if __name__ == "__main__":
    serve(Theirs)
