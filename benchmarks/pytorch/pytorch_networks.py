"""Networks of ``pytorch.py`` as PyTorch modules, named like our parameters.

Each module has the name of the corresponding flax module, so that parameters
can be matched by name. The layers are those that a PyTorch user would write: a
3x3 convolution and ``avg_pool2d`` where we use one convolution, ``interpolate``
and a 3x3 convolution where we use one transposed convolution. As in our
networks, the residual shortcuts use the cheaper of their two equivalent orders.
"""

import torch
from pytorch_check import Arrays, their_name, theirs
from torch import nn
from torch.nn import functional as F


class DcganGenerator(nn.Module):
    """Generator of ``dcgan``: transposed convolutions with batch normalization."""

    def __init__(self, *, width: int, latent_size: int):
        super().__init__()
        features = [latent_size, 4 * width, 2 * width, width]
        for index in range(3):
            window = {"stride": 2, "padding": 1} if index else {}
            layer = nn.ConvTranspose2d(
                features[index], features[index + 1], 4, bias=False, **window
            )
            self.add_module(f"conv_{index}", layer)
            self.add_module(f"norm_{index}", nn.BatchNorm2d(features[index + 1]))
        self.output = nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """Maps ``[B, Z] -> [B, 3, 32, 32]``."""
        x = latent[:, :, None, None]
        for index in range(3):
            x = getattr(self, f"conv_{index}")(x)
            x = F.relu(getattr(self, f"norm_{index}")(x))
        return torch.tanh(self.output(x))


class DcganCritic(nn.Module):
    """Critic of ``dcgan`` without batch normalization."""

    def __init__(self, *, width: int):
        super().__init__()
        features = [3, width, 2 * width, 4 * width]
        for index in range(3):
            layer = nn.Conv2d(features[index], features[index + 1], 4, 2, 1, bias=False)
            self.add_module(f"conv_{index}", layer)
        self.output = nn.Conv2d(4 * width, 1, 4, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps ``[B, 3, 32, 32] -> [B]``."""
        for index in range(3):
            x = F.leaky_relu(getattr(self, f"conv_{index}")(x), 0.2)
        return self.output(x).flatten()


class UpBlock(nn.Module):
    """``residual.UpBlock``, with upsampling before the first convolution."""

    def __init__(self, width: int):
        super().__init__()
        self.shortcut = nn.Conv2d(width, width, 1)
        self.norm_0 = nn.BatchNorm2d(width)
        self.conv_0 = nn.Conv2d(width, width, 3, padding=1)
        self.norm_1 = nn.BatchNorm2d(width)
        self.conv_1 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps ``[B, C, h, w] -> [B, C, 2h, 2w]``."""
        shortcut = F.interpolate(self.shortcut(x), scale_factor=2, mode="nearest")
        x = F.interpolate(F.relu(self.norm_0(x)), scale_factor=2, mode="nearest")
        x = F.relu(self.norm_1(self.conv_0(x)))
        return shortcut + self.conv_1(x)


class ResnetGenerator(nn.Module):
    """Generator of ``resnet``: a linear layer, three blocks, a convolution."""

    def __init__(self, *, width: int, latent_size: int):
        super().__init__()
        self.project = nn.Linear(latent_size, 16 * width)
        for index in range(3):
            self.add_module(f"block_{index}", UpBlock(width))
        self.norm_output = nn.BatchNorm2d(width)
        self.output = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """Maps ``[B, Z] -> [B, 3, 32, 32]``."""
        # The units of the linear layer are ordered as in our network, to share its
        # kernel.
        x = self.project(latent).unflatten(1, (4, 4, -1)).permute(0, 3, 1, 2)
        for index in range(3):
            x = getattr(self, f"block_{index}")(x)
        return torch.tanh(self.output(F.relu(self.norm_output(x))))


class Block(nn.Module):
    """``residual.Block``, or ``DownBlock`` if it halves the size."""

    def __init__(self, channels: int, width: int, *, down: bool):
        super().__init__()
        self.first, self.down = channels != width, down
        self.conv_0 = nn.Conv2d(channels, width, 3, padding=1)
        self.conv_1 = nn.Conv2d(width, width, 3, padding=1)
        if down:
            self.shortcut = nn.Conv2d(channels, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps ``[B, C, H, W] -> [B, width, H, W]``, or halves H and W."""
        y = self.conv_0(x if self.first else F.relu(x))
        y = self.conv_1(F.relu(y))
        if not self.down:
            return x + y
        return self.shortcut(F.avg_pool2d(x, 2)) + F.avg_pool2d(y, 2)


class ResnetCritic(nn.Module):
    """Critic of ``resnet``: four blocks, a mean over pixels, a linear layer."""

    def __init__(self, *, width: int):
        super().__init__()
        for index in range(4):
            channels = width if index else 3
            block = Block(channels, width, down=index < 2)
            self.add_module(f"block_{index}", block)
        self.output = nn.Linear(width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps ``[B, 3, H, W] -> [B]``."""
        for index in range(4):
            x = getattr(self, f"block_{index}")(x)
        return self.output(F.relu(x).mean((2, 3))).flatten()


class Mlp(nn.Module):
    """Networks of ``mlp``: three ReLU layers and a linear layer.

    For a critic with a single output, the output axis is removed.
    """

    def __init__(self, *, inputs: int, width: int, outputs: int):
        super().__init__()
        self.hidden = nn.Module()
        for index in range(3):
            layer = nn.Linear(width if index else inputs, width)
            self.hidden.add_module(f"dense_{index}", layer)
        self.output = nn.Linear(width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps ``[B, inputs] -> [B, outputs]``, or ``[B]`` for one output."""
        for layer in self.hidden.children():
            x = F.relu(layer(x))
        x = self.output(x)
        return x.flatten() if x.shape[1] == 1 else x


def build(
    pair: str, *, width: int, latent_size: int, size: int
) -> tuple[nn.Module, nn.Module]:
    """Builds generator and critic of one pair.

    Args:
        pair: ``"dcgan"``, ``"resnet"`` or ``"mlp"``.
        width: width as in our networks.
        latent_size: size of a latent.
        size: last axis of an example: 3 channels, or the coordinates for an
            MLP.

    Returns:
        Both networks in training mode, with PyTorch's own initialization.
    """
    if pair == "mlp":
        generator = Mlp(inputs=latent_size, width=width, outputs=size)
        return generator, Mlp(inputs=size, width=width, outputs=1)
    kinds = {
        "dcgan": (DcganGenerator, DcganCritic),
        "resnet": (ResnetGenerator, ResnetCritic),
    }
    generator_class, critic_class = kinds[pair]
    return (
        generator_class(width=width, latent_size=latent_size),
        critic_class(width=width),
    )


def load(module: nn.Module, arrays: Arrays) -> None:
    """Loads our parameters, named like ``block_0/conv_1/kernel``, into a module.

    Args:
        module: modified in place.
        arrays: all parameters of the network.

    Raises:
        ValueError: if a parameter is missing, unexpected, or has another size.
    """
    values = {their_name(name): theirs(value) for name, value in arrays.items()}
    own = dict(module.named_parameters())
    if set(values) != set(own):
        raise ValueError(f"parameters differ: {sorted(set(values) ^ set(own))}")
    with torch.no_grad():
        for name, parameter in own.items():
            if parameter.shape != values[name].shape:
                raise ValueError(
                    f"the shapes of {name} differ: {tuple(parameter.shape)} in "
                    f"PyTorch, {values[name].shape} after conversion"
                )
            parameter.copy_(torch.from_numpy(values[name].copy()))
