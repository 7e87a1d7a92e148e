"""How latents are drawn by programs other than this package."""

from typing import NamedTuple


class Draw(NamedTuple):
    """Text about a prior, in which ``{n}`` and ``{size}`` are numbers.

    Attributes:
        words: description.
        numpy: lines that set ``latents``, given a generator ``random``.
        torch: expression.
    """

    words: str
    numpy: str
    torch: str


_NORMAL = "latents = random.normal(size=({n}, {size}))\n"
DRAWS = {
    "normal": Draw("standard normal", _NORMAL, "torch.randn({n}, {size})"),
    "truncated_normal": Draw(
        "standard normal with absolute values of at most 2",
        _NORMAL
        + "while (far := np.abs(latents) > 2).any():\n"
        + "    latents[far] = random.normal(size=far.sum())\n",
        "torch.nn.init.trunc_normal_(torch.empty({n}, {size}), a=-2.0, b=2.0)",
    ),
    "uniform": Draw(
        "uniform on [-1, 1]",
        "latents = random.uniform(-1, 1, size=({n}, {size}))\n",
        "2 * torch.rand({n}, {size}) - 1",
    ),
    "sphere": Draw(
        "uniform on the sphere of radius sqrt({size})",
        _NORMAL
        + "latents *= {size}**0.5 / np.linalg.norm(latents, axis=1, keepdims=True)\n",
        "torch.nn.functional.normalize(torch.randn({n}, {size})) * {size} ** 0.5",
    ),
}


def draw_text(prior: str, *, n: int, size: int) -> Draw:
    """Returns the text about a prior for a number and a size of latents.

    Args:
        prior: a key of ``latents.PRIORS``.
        n: number of latents.
        size: Z.
    """
    return Draw(*(text.format(n=n, size=size) for text in DRAWS[prior]))
