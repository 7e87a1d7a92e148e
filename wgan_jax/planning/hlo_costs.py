"""Counts the costs of a compiled program in its text.

Loops count by their length. All is of one device: the compilers print the program
that each of them runs.
"""

import math
import re
from typing import NamedTuple

from wgan_jax.planning.flops import taps
from wgan_jax.planning.hlo import (
    Execution,
    Instruction,
    arrays,
    attribute,
    computations,
    executions,
    operands,
    sides,
    size,
)

COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "all-to-all",
    "collective-permute",
    "reduce-scatter",
)
# Operations that compute nothing: names for memory, and moves within it.
_FREE = (
    "parameter|constant|tuple|get-tuple-element|bitcast|after-all|partition-id|"
    "replica-id|optimization-barrier|copy|copy-start|slice-start|async-start|"
    r"[\w\-]+-done|dynamic-update-slice"
)
_NAMES = "AllocateBuffer|ConcatBitcast"  # custom calls that are names for memory
_PARTS_READ = ("dynamic-slice", "slice", "gather")
_LIBRARY = r'custom_call_target="__cu'
_PRODUCTS = r'custom_call_target="__cublas\$'
_CONVOLUTIONS = r'custom_call_target="__cudnn\$conv(\w*)"'


class Collective(NamedTuple):
    """Data that devices exchange at one place of a program.

    Attributes:
        kind: one of ``COLLECTIVES``.
        bytes: of the whole result; of a ``reduce-scatter``, of what is summed.
        loops: lengths of the loops that it is in, the outermost first.
    """

    kind: str
    bytes: int
    loops: tuple[int, ...]

    @property
    def times(self) -> int:
        """How often one run does it."""
        return math.prod(self.loops)


def kernels(text: str) -> int:
    """Kernels of one run of a program.

    Those are the operations that compute: fusions, library calls and what is left
    alone; moves between memories apart.
    """

    def is_one(line: Instruction) -> bool:
        named = re.search(f'custom_call_target="({_NAMES})"', line.rest)
        return not (named or re.fullmatch(_FREE, line.operation))

    return sum(found.times for found in executions(text) if is_one(found.line))


def collectives(text: str) -> list[Collective]:
    """Where a run's devices exchange data."""
    found = []
    for one in executions(text, fused=True):
        kind = one.line.operation.removesuffix("-start")
        if kind not in COLLECTIVES:
            continue
        types = arrays(one.line.type)
        if kind == "reduce-scatter":
            types = [part for type_ in one.operand_types for part in arrays(type_)]
        elif kind != "all-reduce" and one.line.operation.endswith("-start"):
            types = types[1:2] if len(types) < 4 else types[len(types) // 2 :]
        found.append(Collective(kind, sum(map(size, types)), one.loops))
    return found


def donated(text: str) -> int:
    """Bytes of the arguments whose memory the results take over.

    Numbers alone: what a compiler adds to fill its tiles is not counted.
    """
    header, _, body = text.partition("ENTRY ")
    taken = set(re.findall(r"\((\d+), \{\}, \w+-alias\)", header.split("\n")[0]))
    found = re.findall(r" = (\S+) parameter\((\d+)\)", body)
    return sum(size(type_) for type_, number in found if number in taken)


def traffic(text: str) -> int:
    """Bytes that one run of a program reads from a device's memory and writes to it.

    Operands and results of all that is launched, but for those that the compiler
    keeps in a memory of the chip itself, which its text marks. Of an operand that a
    kernel reads in slices alone, these are counted. A cache that keeps a result for
    the next kernel, as a GPU's may, saves some of it.
    """
    bodies = computations(text)
    return sum(one.times * _moved(one, bodies) for one in executions(text))


def _moved(one: Execution, bodies: dict[str, list[Instruction]]) -> int:
    """Bytes of one execution."""
    line = one.line
    ends = arrays(line.type)
    if line.operation == "slice-start":  # operand, result, flag
        return sum(size(ends[1]) for end in ends[:2] if _is_main(end))
    if line.operation == "copy-start":  # result, operand, flag
        return sum(size(end) for end in ends[:2] if _is_main(end))
    if line.operation == "dynamic-update-slice":  # in place
        return 2 * size(one.operand_types[1])
    if line.operation in _PARTS_READ:
        return 2 * size(line.type)
    if line.operation != "copy" and re.fullmatch(_FREE, line.operation):
        return 0
    if re.search(_LIBRARY, line.rest):
        ends = ends[:1]  # the second is room to work in
    inner = bodies.get(attribute("calls", line) or "", [])
    moved = sum(_written(end, inner) for end in ends if _is_main(end))
    for place, type_ in enumerate(one.operand_types):
        if _is_main(type_):
            part = _read_in_part(inner, place)
            moved += sum(map(size, arrays(type_))) if part is None else part
    return moved


def _is_main(type_: str) -> bool:
    return "S(" not in type_


def _written(type_: str, fused: list[Instruction]) -> int:
    """Bytes of a result; where a fusion updates an array in place, of the update."""
    updates = [line for line in fused if line.operation == "dynamic-update-slice"]
    types = {line.name: line.type for line in fused}
    for line in updates:
        if sides(line.type) == sides(type_) and size(line.type) == size(type_):
            return size(types[operands(line)[1]])
    return size(type_)


def _read_in_part(fused: list[Instruction], place: int) -> int | None:
    """Bytes that a fusion reads of an operand, None if that is all of it."""
    for line in fused:
        if line.operation == "parameter" and line.rest.startswith(f"{place})"):
            name = line.name
            break
    else:
        return None
    total, users = 0, [line for line in fused if name in operands(line)]
    for line in users:
        if line.operation in _PARTS_READ and operands(line)[0] == name:
            total += size(line.type)
        elif line.operation == "dynamic-update-slice" and operands(line)[0] == name:
            continue  # written in place
        else:
            return None
    return total if users else None


def products(text: str) -> float:
    """Floating-point operations of a run's matrix products and convolutions.

    Twice the multiplications, of pairs of numbers that both exist: those with a zero
    that pads or dilates are not counted, as in XLA's own count, unless the compiler
    has put the zeros into memory.
    """
    return 2.0 * sum(
        one.times * _multiplications(one) for one in executions(text, fused=True)
    )


def _multiplications(one: Execution) -> int:
    line = one.line
    library = re.search(_CONVOLUTIONS, line.rest)
    if line.operation == "convolution" or library:
        return _convolution(one, library[1] if library else "Forward")
    if line.operation == "dot":
        summed = attribute("lhs_contracting_dims", line) or ""
    elif re.search(_PRODUCTS, line.rest):
        named = re.search(r'"lhs_contracting_dimensions":\[([^\]]*)\]', line.rest)
        summed = named[1] if named else ""
    else:
        return 0
    left = sides(one.operand_types[0])
    lengths = [left[int(axis)] for axis in re.findall(r"\d+", summed)]
    return math.prod(lengths) * math.prod(sides(line.type))


def _convolution(one: Execution, kind: str) -> int:
    """Examples times pairs of channels times taps of the kernel on a pixel.

    cuDNN's two gradients are given by the geometry of the convolution that they
    belong to: its operands are then results.
    """
    first, second = one.operand_types[:2]
    roles = {
        "BackwardInput": (one.line.type, second, first),
        "BackwardFilter": (first, one.line.type, second),
    }
    image, kernel, result = map(sides, roles.get(kind, (first, second, one.line.type)))
    labels = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", one.line.rest)
    assert labels is not None
    window = dict(
        field.split("=") for field in (attribute("window", one.line) or "").split()
    )
    count = result[labels[3].index("b")] * kernel[labels[2].index("o")]
    count *= kernel[labels[2].index("i")]
    for axis in range(len(result) - 2):
        lengths = [
            shape[label.index(str(axis))]
            for shape, label in zip(
                (image, kernel, result), labels.groups(), strict=True
            )
        ]
        count *= taps(*lengths, **_geometry(window, axis))
    return count


def _geometry(window: dict[str, str], axis: int) -> dict[str, int]:
    def of(name: str, default: str) -> str:
        return window[name].split("x")[axis] if name in window else default

    return {
        "stride": int(of("stride", "1")),
        "low": int(of("pad", "0_0").split("_")[0]),
        "image_dilation": int(of("lhs_dilate", "1")),
        "kernel_dilation": int(of("rhs_dilate", "1")),
    }
