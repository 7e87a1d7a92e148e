"""The networks of ``pytorch.py`` as modules of PyTorch, named like our parameters.

Each module has the name of the flax module it stands for, so that our parameters
are found by name, and the layers are those a user of PyTorch would write: a 3x3
convolution and ``avg_pool2d`` where ours is one convolution, ``interpolate`` and a
3x3 convolution where ours is one transposed convolution. The residual shortcuts
are in the cheaper of their two equal orders, as ours.
"""

import torch
from pytorch_check import Arrays, their_name, theirs
from torch import nn
from torch.nn import functional as F


class DcganGenerator(nn.Module):
    """``dcgan``'s: transposed convolutions with batch norm."""

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
        """``[B, Z] -> [B, 3, 32, 32]``."""
        x = latent[:, :, None, None]
        for index in range(3):
            x = getattr(self, f"conv_{index}")(x)
            x = F.relu(getattr(self, f"norm_{index}")(x))
        return torch.tanh(self.output(x))


class DcganCritic(nn.Module):
    """``dcgan``'s without batch norm."""

    def __init__(self, *, width: int):
        super().__init__()
        features = [3, width, 2 * width, 4 * width]
        for index in range(3):
            layer = nn.Conv2d(features[index], features[index + 1], 4, 2, 1, bias=False)
            self.add_module(f"conv_{index}", layer)
        self.output = nn.Conv2d(4 * width, 1, 4, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, 3, 32, 32] -> [B]``."""
        for index in range(3):
            x = F.leaky_relu(getattr(self, f"conv_{index}")(x), 0.2)
        return self.output(x).flatten()


class UpBlock(nn.Module):
    """``residual.UpBlock``: pixels repeated before the first convolution."""

    def __init__(self, width: int):
        super().__init__()
        self.shortcut = nn.Conv2d(width, width, 1)
        self.norm_0 = nn.BatchNorm2d(width)
        self.conv_0 = nn.Conv2d(width, width, 3, padding=1)
        self.norm_1 = nn.BatchNorm2d(width)
        self.conv_1 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, C, h, w] -> [B, C, 2h, 2w]``."""
        shortcut = F.interpolate(self.shortcut(x), scale_factor=2, mode="nearest")
        x = F.interpolate(F.relu(self.norm_0(x)), scale_factor=2, mode="nearest")
        x = F.relu(self.norm_1(self.conv_0(x)))
        return shortcut + self.conv_1(x)


class ResnetGenerator(nn.Module):
    """``resnet``'s: a linear layer, three blocks, a convolution."""

    def __init__(self, *, width: int, latent_size: int):
        super().__init__()
        self.project = nn.Linear(latent_size, 16 * width)
        for index in range(3):
            self.add_module(f"block_{index}", UpBlock(width))
        self.norm_output = nn.BatchNorm2d(width)
        self.output = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """``[B, Z] -> [B, 3, 32, 32]``."""
        # Our order of the linear layer's units, so that its kernel is the same.
        x = self.project(latent).unflatten(1, (4, 4, -1)).permute(0, 3, 1, 2)
        for index in range(3):
            x = getattr(self, f"block_{index}")(x)
        return torch.tanh(self.output(F.relu(self.norm_output(x))))


class Block(nn.Module):
    """``residual.Block``, or ``DownBlock`` if the size halves."""

    def __init__(self, channels: int, width: int, *, down: bool):
        super().__init__()
        self.first, self.down = channels != width, down
        self.conv_0 = nn.Conv2d(channels, width, 3, padding=1)
        self.conv_1 = nn.Conv2d(width, width, 3, padding=1)
        if down:
            self.shortcut = nn.Conv2d(channels, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, C, H, W] -> [B, width, H, W]``, or half the sides."""
        y = self.conv_0(x if self.first else F.relu(x))
        y = self.conv_1(F.relu(y))
        if not self.down:
            return x + y
        return self.shortcut(F.avg_pool2d(x, 2)) + F.avg_pool2d(y, 2)


class ResnetCritic(nn.Module):
    """``resnet``'s: four blocks, a mean over pixels, a linear layer."""

    def __init__(self, *, width: int):
        super().__init__()
        for index in range(4):
            channels = width if index else 3
            block = Block(channels, width, down=index < 2)
            self.add_module(f"block_{index}", block)
        self.output = nn.Linear(width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, 3, H, W] -> [B]``."""
        for index in range(4):
            x = getattr(self, f"block_{index}")(x)
        return self.output(F.relu(x).mean((2, 3))).flatten()


class Mlp(nn.Module):
    """``mlp``'s: three rectified layers and a linear one.

    A critic's single output is dropped as an axis.
    """

    def __init__(self, *, inputs: int, width: int, outputs: int):
        super().__init__()
        self.hidden = nn.Module()
        for index in range(3):
            layer = nn.Linear(width if index else inputs, width)
            self.hidden.add_module(f"dense_{index}", layer)
        self.output = nn.Linear(width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, inputs] -> [B, outputs]``, or ``[B]`` of one output."""
        for layer in self.hidden.children():
            x = F.relu(layer(x))
        x = self.output(x)
        return x.flatten() if x.shape[1] == 1 else x


def build(
    pair: str, *, width: int, latent_size: int, size: int
) -> tuple[nn.Module, nn.Module]:
    """Generator and critic of one pair.

    Args:
        pair: ``"dcgan"``, ``"resnet"`` or ``"mlp"``.
        width: as of our networks.
        latent_size: numbers of a latent.
        size: of the last axis of an example: 3 channels, or an MLP's coordinates.

    Returns:
        Both in training mode, with PyTorch's own initial values.
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
    """Our parameters, by names such as ``block_0/conv_1/kernel``, into a module.

    Args:
        module: changed in place.
        arrays: all parameters of the network.

    Raises:
        ValueError: if one is missing, left over or of another size.
    """
    values = {their_name(name): theirs(value) for name, value in arrays.items()}
    own = dict(module.named_parameters())
    if set(values) != set(own):
        raise ValueError(f"parameters differ: {sorted(set(values) ^ set(own))}")
    with torch.no_grad():
        for name, parameter in own.items():
            if parameter.shape != values[name].shape:
                raise ValueError(
                    f"{name} is {tuple(parameter.shape)} here and, moved, "
                    f"{values[name].shape} there"
                )
            parameter.copy_(torch.from_numpy(values[name].copy()))
