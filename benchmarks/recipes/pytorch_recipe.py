"""PyTorch side of ``curve.py``: the DCGAN recipes in idiomatic PyTorch.

Networks, initialization, losses, gradient penalty, optimizer, moving average, flips and
order of updates are those of the recipe. The layout is channels last, Adam is fused,
and in bfloat16 the forward passes use autocast. It reads ``asked.json`` and
``data.npz`` in the given folder, and writes samples there.
"""

import copy
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

BEGAN = time.time()


class Norm(nn.Module):
    """Batch normalization, with scale and offset by class if there are classes."""

    def __init__(self, channels: int, classes: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=not classes)
        self.classes = classes
        if classes:
            self.scale = nn.Embedding(classes, channels)
            self.offset = nn.Embedding(classes, channels)
            nn.init.normal_(self.scale.weight, 1.0, 0.02)
            nn.init.zeros_(self.offset.weight)
        else:
            nn.init.normal_(self.norm.weight, 1.0, 0.02)

    def forward(self, x: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        """Normalizes ``[B, C, H, W]``."""
        x = self.norm(x)
        if not self.classes:
            return x
        scale, offset = self.scale(labels), self.offset(labels)
        return x * scale[:, :, None, None] + offset[:, :, None, None]


class Generator(nn.Module):
    """Generator of ``dcgan``."""

    def __init__(
        self,
        *,
        width: int,
        latent_size: int,
        side: int,
        channels: int,
        doublings: int,
        classes: int,
    ):
        super().__init__()
        maps = [width * 2 ** (doublings - 1 - i) for i in range(doublings)]
        sizes = [latent_size, *maps]
        self.layers = nn.ModuleList(
            nn.ConvTranspose2d(
                sizes[i],
                sizes[i + 1],
                side if i == 0 else 4,
                bias=False,
                **({} if i == 0 else {"stride": 2, "padding": 1}),
            )
            for i in range(doublings)
        )
        self.norms = nn.ModuleList(Norm(m, classes) for m in maps)
        self.output = nn.ConvTranspose2d(width, channels, 4, 2, 1, bias=False)
        for layer in (*self.layers, self.output):
            nn.init.normal_(layer.weight, 0.0, 0.02)

    def forward(self, z: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        """Maps ``[B, Z] -> [B, C, S, S]``."""
        x = z[:, :, None, None].contiguous(memory_format=torch.channels_last)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.relu(norm(layer(x), labels))
        return torch.tanh(self.output(x))


class Critic(nn.Module):
    """Critic of ``dcgan``, with a projection of the label if there are classes.

    With ``biases``, that of ``dcgan_gp`` with 4x4 kernels: biases instead of batch
    normalization, and larger initial weights.
    """

    def __init__(
        self,
        *,
        width: int,
        side: int,
        channels: int,
        halvings: int,
        classes: int,
        biases: bool,
    ):
        super().__init__()
        maps = [width * 2**i for i in range(halvings)]
        sizes = [channels, *maps]
        self.layers = nn.ModuleList(
            nn.Conv2d(sizes[i], sizes[i + 1], 4, 2, 1, bias=biases)
            for i in range(halvings)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(m) for m in maps[1:] if not biases)
        features = maps[-1] * side * side
        self.output = nn.Linear(features, 1, bias=biases)
        self.embed = nn.Embedding(classes, features) if classes else None
        for layer in (*self.layers, self.output, self.embed):
            if layer is not None:
                nn.init.normal_(layer.weight, 0.0, 0.02)
        for norm in self.norms:
            nn.init.normal_(norm.weight, 1.0, 0.02)
        if biases:
            for layer in self.layers:
                fans = 16 * (layer.in_channels + layer.out_channels / 4)
                bound = (12 / fans) ** 0.5
                nn.init.uniform_(layer.weight, -bound, bound)
                nn.init.zeros_(layer.bias)
            nn.init.xavier_uniform_(self.output.weight)
            nn.init.zeros_(self.output.bias)

    def forward(self, x: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        """Maps ``[B, C, S, S] -> [B]``."""
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index and self.norms:
                x = self.norms[index - 1](x)
            x = F.leaky_relu(x, 0.2)
        features = x.flatten(1)
        scores = self.output(features).flatten()
        if self.embed is not None:
            scores = scores + (self.embed(labels) * features).sum(1)
        return scores.float()


def both_scores(
    critic: Critic, real: torch.Tensor, fake: torch.Tensor, labels: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the scores of real and generated images.

    Batch normalization must see each kind alone; without it, one pass is faster.
    """
    if critic.norms:
        return critic(real, labels), critic(fake, labels)
    both = None if labels is None else torch.cat([labels, labels])
    return critic(torch.cat([real, fake]), both).chunk(2)


def cross_entropy(scores: torch.Tensor, label: float) -> torch.Tensor:
    """Returns the loss of the original GAN for one kind of image."""
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, label))


# Losses of the critic from the scores of real and generated images, and losses of the
# generator.
CRITIC_LOSSES = {
    "non_saturating": lambda real, fake: (
        cross_entropy(real, 1.0) + cross_entropy(fake, 0.0)
    ),
    "wasserstein": lambda real, fake: fake.mean() - real.mean(),
}
GENERATOR_LOSSES = {
    "non_saturating": lambda scores: cross_entropy(scores, 1.0),
    "wasserstein": lambda scores: -scores.mean(),
}


def gradient_penalty(
    critic: Critic, real: torch.Tensor, fake: torch.Tensor, labels: torch.Tensor | None
) -> torch.Tensor:
    """Returns the two-sided penalty at points between real and generated images."""
    t = torch.rand(len(real), 1, 1, 1)
    points = torch.lerp(real, fake.float(), t).requires_grad_()
    (gradient,) = torch.autograd.grad(
        critic(points, labels).sum(), points, create_graph=True
    )
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def build(asked: dict[str, Any], shape: tuple[int, ...]) -> tuple[Generator, Critic]:
    """Returns the two networks for images ``[S, S, C]``."""
    side, levels = shape[0], 0
    while side > 7 and side % 2 == 0:
        side, levels = side // 2, levels + 1
    shared = {"side": side, "channels": shape[2], "classes": asked["classes"]}
    generator = Generator(
        width=asked["generator_width"],
        latent_size=asked["latent_size"],
        doublings=levels,
        **shared,
    )
    critic = Critic(
        width=asked["critic_width"],
        halvings=levels,
        biases=asked["critic_biases"],
        **shared,
    )
    return tuple(n.to(memory_format=torch.channels_last) for n in (generator, critic))


def train(asked: dict[str, Any], folder: Path) -> None:
    """Trains, and writes samples at the checkpoints."""
    with np.load(folder / "data.npz") as file:
        images, labels = file["images"], file["labels"]
    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    generator, critic = build(asked, images.shape[1:])
    average = copy.deepcopy(generator)
    size, classes = asked["batch_size"], asked["classes"]
    single = asked["precision"] == "float32"
    cast = torch.autocast("cpu", torch.bfloat16, enabled=not single)

    def adam(name: str, network: nn.Module) -> torch.optim.Adam:
        own = asked[name]
        return torch.optim.Adam(
            network.parameters(),
            lr=own["learning_rate"],
            betas=(own["b1"], own["b2"]),
            fused=True,
        )

    players = {
        name: adam(name, net)
        for name, net in (("generator", generator), ("critic", critic))
    }
    random, order, place = np.random.default_rng(0), np.arange(len(images)), len(images)

    def batch() -> tuple[torch.Tensor, torch.Tensor | None]:
        nonlocal place
        if place + size > len(images):
            random.shuffle(order)
            place = 0
        rows = order[place : place + size]
        place += size
        x = torch.from_numpy(images[rows]).permute(0, 3, 1, 2).float() / 127.5 - 1
        if asked["flip"]:
            mirrored = torch.rand(size, 1, 1, 1) < 0.5
            x = torch.where(mirrored, x.flip(3), x)
        y = torch.from_numpy(labels[rows]).long() if classes else None
        return x.contiguous(memory_format=torch.channels_last), y

    def latent(count: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        y = torch.randint(classes, (count,)) if classes else None
        return torch.randn(count, asked["latent_size"]), y

    critic_loss = CRITIC_LOSSES[asked["objective"]]
    generator_loss = GENERATOR_LOSSES[asked["objective"]]
    penalty = asked["penalty"]
    sampling = 0.0  # seconds, which the other side does not spend during training
    for step in range(asked["iterations"]):
        if asked["decay"]:
            scale = max(0.0, 1 - step / asked["iterations"])
            for name, player in players.items():
                player.param_groups[0]["lr"] = asked[name]["learning_rate"] * scale
        real, y = batch()
        with cast:
            z, _ = latent(size)
            with torch.no_grad():
                fake = generator(z, y)
            gap = critic_loss(*both_scores(critic, real, fake, y))
            if penalty and step % penalty["every"] == 0:
                weight = penalty["weight"] * penalty["every"]
                gap = gap + weight * gradient_penalty(critic, real, fake, y)
        players["critic"].zero_grad(set_to_none=True)
        gap.backward()
        players["critic"].step()
        critic.requires_grad_(False)
        with cast:
            z, y = latent(size)
            value = generator_loss(critic(generator(z, y), y))
        players["generator"].zero_grad(set_to_none=True)
        value.backward()
        players["generator"].step()
        critic.requires_grad_(True)
        life = asked["half_life"]
        if asked["rampup"] is not None:
            life = min(life, asked["rampup"] * size * (step + 1))
        weight = 1 - 2 ** (-size / max(life, 1e-8))
        pairs = [
            (a, b)
            for a, b in zip(
                average.state_dict().values(),
                generator.state_dict().values(),
                strict=True,
            )
            if a.is_floating_point()
        ]
        torch._foreach_lerp_([a for a, _ in pairs], [b for _, b in pairs], weight)
        if (step + 1) % asked["every"] == 0 or step + 1 == asked["iterations"]:
            now = time.time()
            seconds = now - BEGAN - sampling
            save(average, asked, folder, step + 1, seconds)
            sampling += time.time() - now
            if seconds > asked["seconds"]:
                return


def save(
    average: Generator, asked: dict[str, Any], folder: Path, step: int, seconds: float
) -> None:
    """Writes samples of the averaged generator."""
    average.eval()
    found = []
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for start in range(0, asked["count"], 100):
            z = torch.randn(100, asked["latent_size"], generator=generator)
            y = None
            if asked["classes"]:
                y = torch.arange(start, start + 100) % asked["classes"]
            found.append(average(z, y).permute(0, 2, 3, 1).float().numpy())
    images = np.clip(np.rint((np.concatenate(found) + 1) * 127.5), 0, 255)
    np.savez(
        folder / f"samples_{step:08d}.npz",
        images=images.astype(np.uint8),
        step=step,
        seconds=seconds,
    )


if __name__ == "__main__":
    where = Path(sys.argv[1])
    train(json.loads((where / "asked.json").read_text()), where)
