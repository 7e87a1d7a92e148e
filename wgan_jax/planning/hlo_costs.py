"""Counts the costs of a compiled program from its text.

Loop bodies are multiplied by the length of the loop. All counts are for one
device, because the compilers print the program of a single device.
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

_CONTEXT = re.compile(r"[su]32\[\]")  # a number that a TPU adds to a message
COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "all-to-all",
    "collective-permute",
    "reduce-scatter",
)
# Operations that compute nothing: aliases for memory, and moves within it.
_FREE = (
    "parameter|constant|tuple|get-tuple-element|bitcast|after-all|partition-id|"
    "replica-id|optimization-barrier|copy|copy-start|slice-start|async-start|"
    r"[\w\-]+-done|dynamic-update-slice"
)
_NAMES = "AllocateBuffer|ConcatBitcast"  # custom calls that are aliases for memory
_PARTS_READ = ("dynamic-slice", "slice", "gather")
_LIBRARY = r'custom_call_target="__cu'
_PRODUCTS = r'custom_call_target="__cublas\$'
_CONVOLUTIONS = r'custom_call_target="__cudnn\$conv(\w*)"'


class Collective(NamedTuple):
    """Data exchange between devices at one point of a program.

    Attributes:
        kind: one of ``COLLECTIVES``.
        bytes: bytes of the whole result; for ``reduce-scatter``, of the
            operand.
        loops: lengths of the enclosing loops, outermost first.
    """

    kind: str
    bytes: int
    loops: tuple[int, ...]

    @property
    def times(self) -> int:
        """How often it is executed in one run."""
        return math.prod(self.loops)


def kernels(text: str) -> int:
    """Counts the kernels of one run of a program.

    Kernels are the operations that compute: fusions, library calls and unfused
    operations. Memory moves are not counted.
    """

    def is_one(line: Instruction) -> bool:
        named = re.search(f'custom_call_target="({_NAMES})"', line.rest)
        return not (named or re.fullmatch(_FREE, line.operation))

    return sum(found.times for found in executions(text) if is_one(found.line))


def collectives(text: str) -> list[Collective]:
    """Returns the points where the devices exchange data."""
    found = []
    for one in executions(text, fused=True):
        kind = one.line.operation.removesuffix("-start")
        if kind not in COLLECTIVES:
            continue
        types = arrays(one.line.type)
        if kind == "reduce-scatter":
            types = [part for type_ in one.operand_types for part in arrays(type_)]
        elif kind != "all-reduce" and one.line.operation.endswith("-start"):
            if kind == "collective-permute":  # may end with numbers of its context
                types = [part for part in types if not _CONTEXT.match(part)] or types
            types = types[1:2] if len(types) < 4 else types[len(types) // 2 :]
        found.append(Collective(kind, sum(map(size, types)), one.loops))
    return found


def donated(text: str) -> int:
    """Returns the bytes of the arguments whose memory is reused by the results.

    Padding that a compiler adds to fill its tiles is not counted.
    """
    header, _, body = text.partition("ENTRY ")
    taken = set(re.findall(r"\((\d+), \{\}, \w+-alias\)", header.split("\n")[0]))
    found = re.findall(r" = (\S+) parameter\((\d+)\)", body)
    return sum(size(type_) for type_, number in found if number in taken)


def traffic(text: str) -> int:
    """Counts the bytes that one run of a program reads from and writes to memory.

    It counts operands and results of everything launched, except those that the
    compiler keeps in on-chip memory, which the text marks. If a kernel only
    reads slices of an operand, the slices are counted. A cache that keeps a
    result for the next kernel, as on a GPU, may reduce the actual traffic.
    """
    bodies = computations(text)
    return sum(one.times * _moved(one, bodies) for one in executions(text))


def _moved(one: Execution, bodies: dict[str, list[Instruction]]) -> int:
    """Counts the bytes of one execution."""
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
        ends = ends[:1]  # the second result is the library's workspace
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
    """Returns the bytes of a result; for an in-place update, those of the update."""
    updates = [line for line in fused if line.operation == "dynamic-update-slice"]
    types = {line.name: line.type for line in fused}
    for line in updates:
        if sides(line.type) == sides(type_) and size(line.type) == size(type_):
            return size(types[operands(line)[1]])
    return size(type_)


def _read_in_part(fused: list[Instruction], place: int) -> int | None:
    """Returns the bytes that a fusion reads of an operand, or None for all of it."""
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
            continue  # updated in place
        else:
            return None
    return total if users else None


def products(text: str) -> float:
    """Counts the floating-point operations of matrix products and convolutions.

    This is twice the number of multiplications. As in XLA's own count,
    multiplications with a zero from padding or dilation are excluded, unless
    the compiler has materialized the zeros in memory.
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
    """Returns examples times pairs of channels times taps on pixels.

    cuDNN's two gradients are described by the geometry of the forward
    convolution. Their operands and results have other roles.
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
