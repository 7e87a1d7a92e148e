"""What a compiled program does, counted in its text.

XLA prints a program as computations of one instruction a line. What is fused, called
or looped over stands in a computation of its own, so a count over all lines sees it;
the body of a loop is counted once unless a function here says otherwise.
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

# Operations that compute nothing: names for memory, and moves within it.
FREE = (
    "parameter|constant|tuple|get-tuple-element|bitcast|after-all|partition-id|"
    "replica-id|optimization-barrier|copy|copy-start|slice-start|async-start|"
    r"[\w\-]+-done|dynamic-update-slice"
)
NAMES = "AllocateBuffer|ConcatBitcast"  # custom calls that are names for memory
COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "all-to-all",
    "collective-permute",
    "reduce-scatter",
)
PART = re.compile(r"\w+\[[\d,]*\](?:\{[^}]*\})?")  # an array in a type


class Instruction(NamedTuple):
    """One line of a computation.

    Attributes:
        name: of its result.
        type: of its result, such as ``f32[64,3]{1,0}``.
        operation: such as ``fusion``.
        rest: operands and attributes.
    """

    name: str
    type: str
    operation: str
    rest: str


def computations(text: str) -> dict[str, list[Instruction]]:
    """The instructions of each computation, by its name."""
    bodies = re.findall(
        r"^(?:ENTRY )?%?([\w.\-]+) [^\n]*\{\n(.*?)^\}", text, re.M | re.S
    )
    return {name: list(_instructions(body)) for name, body in bodies}


def _instructions(body: str) -> Iterator[Instruction]:
    pattern = r"\s*(?:ROOT )?%?([\w.\-]+) = (.*?) ([a-z][\w\-]*)\((.*)"
    for line in body.splitlines():
        match = re.match(pattern, line)
        if match:
            yield Instruction(*match.groups())


def kernels(text: str) -> int:
    """Kernels of one run of a program, loops counted by their length.

    Those are the operations that compute: fusions, library calls and what is left
    alone; moves between memories apart.
    """

    def one(line: Instruction, types: dict[str, str]) -> int:
        named = re.search(f'custom_call_target="({NAMES})"', line.rest)
        return not (named or re.fullmatch(FREE, line.operation))

    return _run(text, one)


def traffic(text: str) -> int:
    """Bytes that one run of a program reads from a device's memory and writes to it.

    Operands and results of all that is launched, loops counted by their length, but
    for those that the compiler keeps in a memory of the chip itself, which its text
    marks. Of an operand that a kernel reads in part, the whole is counted.
    """

    def one(line: Instruction, types: dict[str, str]) -> int:
        ends = PART.findall(line.type)
        if line.operation == "slice-start":  # operand, result, flag
            return sum(written(ends[1]) for end in ends[:2] if _is_main(end))
        if line.operation == "copy-start":  # result, operand, flag
            return sum(written(end) for end in ends[:2] if _is_main(end))
        if line.operation == "dynamic-update-slice":  # in place
            return 2 * written(types[operands(line)[1]])
        if line.operation != "copy" and re.fullmatch(FREE, line.operation):
            return 0
        for name in operands(line):
            ends += PART.findall(types.get(name, ""))
        return sum(written(end) for end in ends if _is_main(end))

    return _run(text, one)


def _is_main(type_: str) -> bool:
    return "S(" not in type_


def operands(line: Instruction) -> list[str]:
    """Names of what an instruction reads."""
    return re.findall(r"%([\w.\-]+)", line.rest.split(")")[0])


def _run(text: str, one: Callable[[Instruction, dict[str, str]], int]) -> int:
    """The sum of ``one`` over the instructions that one run executes."""
    bodies = computations(text)
    entry = re.search(r"^ENTRY %?([\w.\-]+)", text, re.M)
    assert entry is not None

    def count(name: str) -> int:
        total, types = 0, {line.name: line.type for line in bodies[name]}
        for line in bodies[name]:
            if line.operation == "while":
                total += _length(line, bodies) * count(_named("body", line))
            elif line.operation == "call":
                total += count(_named("to_apply", line))
            else:
                total += one(line, types)
        return total

    return count(entry[1])


def _length(loop: Instruction, bodies: dict[str, list[Instruction]]) -> int:
    """How often a loop's body runs, and 1 where that cannot be read.

    The CUDA compiler says it; the TPU's leaves a condition that compares a count
    from 0 with its one constant.
    """
    said = re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.rest)
    if said:
        return int(said[1])
    condition = bodies[_named("condition", loop)]
    limits = [line.rest for line in condition if line.operation == "constant"]
    limit = re.match(r"\d+", limits[0]) if len(limits) == 1 else None
    return int(limit[0]) if limit else 1


def _named(attribute: str, line: Instruction) -> str:
    found = re.search(rf"{attribute}=%?([\w.\-]+)", line.rest)
    assert found is not None
    return found[1]


def convolutions(text: str) -> dict[str, int]:
    """Convolutions of a program: in cuDNN's hands, of these dilated, and others.

    A gradient to a kernel that XLA does not recognise reaches cuDNN as a convolution
    with a dilated kernel as large as a map. A TPU's matrix products are convolutions
    too, of images without sides; they are left out.
    """
    cudnn = dilated = others = 0
    for line in _all(text):
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
    count = size = 0
    for body in computations(text).values():
        types = {line.name: line.type for line in body}
        for line in body:
            if line.operation == "transpose" or _reorders(line, types):
                count += 1
                size += written(line.type)
    return {"count": count, "bytes": size}


def _reorders(line: Instruction, types: dict[str, str]) -> bool:
    """Whether this is a copy whose two layouts put numbers in different orders."""
    if line.operation == "copy":
        ends = [types.get(operands(line)[0], line.type), line.type]
    elif line.operation == "copy-start":
        ends = PART.findall(line.type)[:2]
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


def written(type_: str) -> int:
    """Bytes of a type; of a tuple, those of its first part."""
    found = re.search(r"([a-z]+)(\d*)\w*\[([\d,]*)\]", type_)
    if found is None:
        return 0
    sides = [int(side) for side in found[3].split(",") if side]
    return math.prod(sides) * int(found[2] or 8) // 8


def collectives(text: str) -> dict[str, int]:
    """How often devices speak to each other, by kind."""
    lines = [line.operation.removesuffix("-start") for line in _all(text)]
    return {kind: lines.count(kind) for kind in COLLECTIVES}


def _all(text: str) -> Iterator[Instruction]:
    for body in computations(text).values():
        yield from body
