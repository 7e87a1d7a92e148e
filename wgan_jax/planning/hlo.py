"""Parses the text of a compiled program.

XLA prints a program as computations of one instruction a line. What is fused, called
or looped over stands in a computation of its own; ``executions`` follows a run
through all of them, with the length of the loops that it is in.
"""

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_PART = re.compile(r"\w+\[[\d,]*\](?:\{[^}]*\})?")  # an array in a type


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


class Execution(NamedTuple):
    """An instruction in a run.

    Attributes:
        line: the instruction.
        types: of all results in its computation, by name.
        loops: lengths of the loops that it is in, the outermost first.
    """

    line: Instruction
    types: dict[str, str]
    loops: tuple[int, ...]

    @property
    def times(self) -> int:
        """How often one run executes it."""
        return math.prod(self.loops)

    @property
    def operand_types(self) -> list[str]:
        """The types of what it reads."""
        return [self.types.get(name, "") for name in operands(self.line)]


@lru_cache(maxsize=1)  # several counts of one program follow each other
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


def operands(line: Instruction) -> list[str]:
    """Names of what an instruction reads."""
    return re.findall(r"%([\w.\-]+)", line.rest.split(")")[0])


def attribute(name: str, line: Instruction) -> str | None:
    """What an instruction says of one of its attributes, None if nothing.

    Args:
        name: such as ``body`` or ``window``.
        line: the instruction.

    Returns:
        What stands behind ``name=``: a name without its ``%``, or what is within
        the braces.
    """
    found = re.search(rf"\b{name}=(?:%?([\w.\->?]+)|\{{([^}}]*)\}})", line.rest)
    return None if found is None else found[1] or found[2]


def arrays(type_: str) -> list[str]:
    """The types of the arrays in a type: its parts if it is a tuple."""
    return _PART.findall(type_)


def sides(type_: str) -> list[int]:
    """The shape of a type's first array."""
    found = re.search(r"\[([\d,]*)\]", type_)
    return [int(side) for side in found[1].split(",") if side] if found else []


def size(type_: str) -> int:
    """Bytes of a type; of a tuple, those of its first array."""
    found = re.search(r"([a-z]+)(\d*)\w*\[", type_)
    if found is None:
        return 0
    return math.prod(sides(type_)) * int(found[2] or 8) // 8


def executions(text: str, *, fused: bool = False) -> list[Execution]:
    """What one run of a program executes, each instruction once.

    Where a condition chooses between computations, the longest one is taken: of a
    term that is due every so many updates, the update in which it is.

    Args:
        text: of the program.
        fused: give what is inside fusions and asynchronous calls, too.

    Returns:
        The instructions in the order of the text; loops and calls are followed,
        and not given themselves.
    """
    bodies = computations(text)
    entry = re.search(r"^ENTRY %?([\w.\-]+)", text, re.M)
    assert entry is not None

    def follow(name: str, loops: tuple[int, ...]) -> list[Execution]:
        found, types = [], {line.name: line.type for line in bodies[name]}
        for line in bodies[name]:
            if line.operation == "while":
                length = (_length(line, bodies),)
                found += follow(attribute("body", line) or "", loops + length)
            elif line.operation == "call":
                found += follow(attribute("to_apply", line) or "", loops)
            elif line.operation == "conditional":
                ways = [follow(branch, loops) for branch in _branches(line)]
                longest = max(ways, key=len)
                found += longest
            else:
                found.append(Execution(line, types, loops))
                inner = attribute("calls", line) or ""
                within = line.operation in ("fusion", "async-start")
                if fused and within and inner in bodies:
                    found += follow(inner, loops)
        return found

    return follow(entry[1], ())


def _length(loop: Instruction, bodies: dict[str, list[Instruction]]) -> int:
    """How often a loop's body runs, and 1 where that cannot be read.

    The CUDA compiler says it; the TPU's leaves a condition that compares a count
    from 0 with its one constant.
    """
    said = re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.rest)
    if said:
        return int(said[1])
    condition = bodies[attribute("condition", loop) or ""]
    limits = [line.rest for line in condition if line.operation == "constant"]
    limit = re.match(r"\d+", limits[0]) if len(limits) == 1 else None
    return int(limit[0]) if limit else 1


def _branches(line: Instruction) -> list[str]:
    several = attribute("branch_computations", line)
    if several is not None:
        return re.findall(r"[\w.\-]+", several)
    both = (attribute(f"{way}_computation", line) for way in ("true", "false"))
    return [name for name in both if name]
