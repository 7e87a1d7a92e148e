"""Comparison of the numerical results of both sides of ``pytorch.py``."""

from collections.abc import Mapping

import numpy as np

Arrays = Mapping[str, np.ndarray]
# Relative tolerances. In float64, the functions either agree or not. In float32, the
# input of a ReLU can round to the other side of zero. This occasionally happens for one
# of the 10^5 inputs after batch normalization, and changes the gradient of the
# generator. In bfloat16, with 8 significant bits, it happens more often.
TOLERANCE = {"float64": 1e-9, "float32": 1e-4, "bfloat16": 5e-2}
GRADIENT_TOLERANCE = {"float64": 1e-9, "float32": 1e-2, "bfloat16": 0.3}
# A gradient below this fraction of its network's is rounding error of a zero, for
# example of a bias that the following batch normalization cancels.
VANISHES = 1e-5


def distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Returns the norm of the difference over the norm of ours, in float64."""
    a, b = (np.asarray(x, np.float64).ravel() for x in (ours, theirs))
    if a.shape != b.shape:
        raise ValueError(f"the sizes differ: {a.size} and {b.size}")
    scale = np.linalg.norm(a)
    return float(np.linalg.norm(a - b) / (scale if scale > 0 else 1.0))


def differences(ours: Arrays, theirs: Arrays) -> dict[str, float]:
    """Returns the relative difference of each value, and the largest of each gradient.

    Args:
        ours: arrays named ``values/<name>`` and
            ``gradients/<of what>/<parameter>``.
        theirs: arrays with the same names and layout.

    Returns:
        Differences by ``<name>`` and ``gradients of <what>``.

    Raises:
        ValueError: if a name is missing on a side or a size differs.
    """
    wanted = set(outcomes(ours))
    if wanted != set(theirs):
        raise ValueError(f"only on one side: {sorted(wanted ^ set(theirs))}")
    found: dict[str, float] = {}
    groups: dict[str, list[str]] = {}
    for name in sorted(wanted):
        kind, rest = name.split("/", 1)
        if kind == "values":
            found[rest] = distance(ours[name], theirs[name])
        else:
            groups.setdefault(rest.split("/", 1)[0], []).append(name)
    for group, names in groups.items():
        whole = np.linalg.norm([np.linalg.norm(ours[n]) for n in names])
        worst = 0.0
        for name in names:
            norms = [np.linalg.norm(side[name]) for side in (ours, theirs)]
            if max(norms) >= VANISHES * whole:
                worst = max(worst, distance(ours[name], theirs[name]))
        found[f"gradients of {group}"] = worst
    return found


def rounding(reference: Arrays, rounded: Arrays) -> dict[str, float]:
    """Returns the relative difference of each value and of each whole gradient.

    In bfloat16, the gradient of a single parameter is not meaningful. For a
    bias, it is often a small difference of two large means.

    Args:
        reference: arrays in float32, named as for ``differences``.
        rounded: arrays with the same names and layout, computed in bfloat16.

    Returns:
        As ``differences``.

    Raises:
        ValueError: as ``differences``.
    """
    found = differences(reference, rounded)
    for kind in [name for name in found if name.startswith("gradients of ")]:
        prefix = f"gradients/{kind.removeprefix('gradients of ')}/"
        names = sorted(n for n in outcomes(reference) if n.startswith(prefix))
        sides = [
            np.concatenate([s[n].ravel() for n in names]) for s in (reference, rounded)
        ]
        found[kind] = distance(*sides)
    return found


def beyond(found: Mapping[str, float], dtype: str) -> dict[str, float]:
    """Returns the ``differences`` that are too large to be rounding errors."""

    def limit(name: str) -> float:
        # In bfloat16, the penalty is as accurate as the gradients it is computed from.
        gradients = name.startswith("gradients") or (
            name == "penalty" and dtype == "bfloat16"
        )
        return (GRADIENT_TOLERANCE if gradients else TOLERANCE)[dtype]

    # NaN exceeds any limit.
    return {name: value for name, value in found.items() if not value <= limit(name)}


def outcomes(arrays: Arrays) -> dict[str, np.ndarray]:
    """Returns the values and gradients, without parameters and inputs."""
    return {n: v for n, v in arrays.items() if n.startswith(("values/", "gradients/"))}


def not_rounded(found: Mapping[str, float]) -> dict[str, float]:
    """Returns the ``differences`` from float32 that are too small for bfloat16.

    Images and scores that agree to float32 accuracy were not computed in
    bfloat16.
    """
    outputs = ("fake", "real_scores", "fake_scores")
    return {n: found[n] for n in outputs if found[n] <= TOLERANCE["float32"]}


def in_their_layout(ours: Arrays) -> dict[str, np.ndarray]:
    """Converts gradients to the names and layout of PyTorch; values are unchanged."""
    moved = {}
    for name, value in ours.items():
        if name.startswith("gradients/"):
            _, group, parameter = name.split("/", 2)
            name = f"gradients/{group}/{their_name(parameter)}"
            value = theirs(value)
        moved[name] = value
    return moved


def their_name(name: str) -> str:
    """Converts ``block_0/norm_1/scale`` to ``block_0.norm_1.weight``."""
    *path, leaf = name.split("/")
    return ".".join([*path, "bias" if leaf == "bias" else "weight"])


def theirs(value: np.ndarray) -> np.ndarray:
    """Converts a parameter to PyTorch's layout.

    ``[I, O]`` becomes ``[O, I]``, ``[K, K, I, O]`` becomes ``[O, I, K, K]``.
    The same permutation converts ``[K, K, O, I]`` of a transposed convolution
    to ``[I, O, K, K]``.
    """
    return value.transpose({1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}[value.ndim])
