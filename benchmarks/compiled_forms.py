"""Forms of convolutions and changes of layout in a compiled program."""

import re

from wgan_jax.planning.hlo import Instruction, arrays, computations, operands, size


def convolutions(text: str) -> dict[str, int]:
    """Counts the convolutions of a program: in cuDNN, dilated in cuDNN, and others.

    A kernel gradient that XLA does not recognize reaches cuDNN as a convolution
    with a dilated kernel as large as a map. A TPU also computes matrix products
    as convolutions, of images without spatial axes; they are not counted.
    """
    cudnn = dilated = others = 0
    for line in (line for body in computations(text).values() for line in body):
        if 'custom_call_target="__cudnn$conv' in line.rest:
            cudnn += 1
            dilated += "rhs_dilate" in line.rest
        elif line.operation == "convolution":
            others += bool(re.search(r"dim_labels=\w*\d", line.rest))
    return {"cudnn": cudnn, "dilated": dilated, "others": others}


def transpositions(text: str) -> dict[str, int]:
    """Counts the instructions that change the order of an array, and their bytes.

    These are transposes, fused or not, and copies between layouts. At this
    point, a transpose that only renames axes is a bitcast, which is not
    counted.
    """
    count = written = 0
    for body in computations(text).values():
        types = {line.name: line.type for line in body}
        for line in body:
            if line.operation == "transpose" or _reorders(line, types):
                count += 1
                written += size(line.type)
    return {"count": count, "bytes": written}


def _reorders(line: Instruction, types: dict[str, str]) -> bool:
    """Returns whether this is a copy between layouts with a different memory order."""
    if line.operation == "copy":
        ends = [types.get(operands(line)[0], line.type), line.type]
    elif line.operation == "copy-start":
        ends = arrays(line.type)[:2]
    else:
        return False
    first, second = map(_order, ends)
    return first != second


def _order(type_: str) -> list[str]:
    """Returns the axes, fastest first; those of length 1 have no order."""
    found = re.match(r"\w+\[([\d,]*)\]\{([\d,]*)", type_)
    if found is None:
        return []
    lengths = found[1].split(",")
    return [axis for axis in found[2].split(",") if axis and lengths[int(axis)] != "1"]
