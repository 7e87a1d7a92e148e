"""In which forms a compiled program computes and orders its arrays."""

import re

from wgan_jax.planning.hlo import Instruction, arrays, computations, operands, size


def convolutions(text: str) -> dict[str, int]:
    """Convolutions of a program: in cuDNN's hands, of these dilated, and others.

    A gradient to a kernel that XLA does not recognise reaches cuDNN as a convolution
    with a dilated kernel as large as a map. A TPU's matrix products are convolutions
    too, of images without sides; they are left out.
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
    """Instructions that write an array in another order, and the bytes they write.

    Those are transposes, alone or fused, and copies from one layout to another. A
    transposition that only renames axes is a bitcast by now, and not counted.
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
    """Whether this is a copy whose two layouts put numbers in different orders."""
    if line.operation == "copy":
        ends = [types.get(operands(line)[0], line.type), line.type]
    elif line.operation == "copy-start":
        ends = arrays(line.type)[:2]
    else:
        return False
    first, second = map(_order, ends)
    return first != second


def _order(type_: str) -> list[str]:
    """Axes from the fastest on, those of length 1 apart: they have no order."""
    found = re.match(r"\w+\[([\d,]*)\]\{([\d,]*)", type_)
    if found is None:
        return []
    lengths = found[1].split(",")
    return [axis for axis in found[2].split(",") if axis and lengths[int(axis)] != "1"]
