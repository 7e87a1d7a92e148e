"""Parses the text of a compiled program.

XLA prints a program as computations with one instruction per line. Fusions,
calls and loop bodies are separate computations. ``executions`` follows a run
through all of them and records the lengths of the enclosing loops.
"""

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_PART = re.compile(r"\w+\[[\d,]*\](?:\{[^}]*\})?")  # one array of a type


class Instruction(NamedTuple):
    """One line of a computation.

    Attributes:
        name: name of its result.
        type: type of its result, such as ``f32[64,3]{1,0}``.
        operation: such as ``fusion``.
        rest: operands and attributes.
    """

    name: str
    type: str
    operation: str
    rest: str


class Execution(NamedTuple):
    """An instruction as executed in a run.

    Attributes:
        line: the instruction.
        types: types of all results in its computation, by name.
        loops: lengths of the enclosing loops, outermost first.
    """

    line: Instruction
    types: dict[str, str]
    loops: tuple[int, ...]

    @property
    def times(self) -> int:
        """How often it is executed in one run."""
        return math.prod(self.loops)

    @property
    def operand_types(self) -> list[str]:
        """Types of the operands."""
        return [self.types.get(name, "") for name in operands(self.line)]


@lru_cache(maxsize=1)  # a program is usually counted several times in a row
def computations(text: str) -> dict[str, list[Instruction]]:
    """Returns the instructions of each computation, by name."""
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
    """Returns the names of an instruction's operands."""
    return re.findall(r"%([\w.\-]+)", line.rest.split(")")[0])


def attribute(name: str, line: Instruction) -> str | None:
    """Returns an attribute of an instruction, or None if it is missing.

    Args:
        name: such as ``body`` or ``window``.
        line: the instruction.

    Returns:
        The value after ``name=``: a name without its ``%``, or the content of
        the braces.
    """
    found = re.search(rf"\b{name}=(?:%?([\w.\->?]+)|\{{([^}}]*)\}})", line.rest)
    return None if found is None else found[1] or found[2]


def arrays(type_: str) -> list[str]:
    """Returns the array types in a type: its elements if it is a tuple."""
    return _PART.findall(type_)


def sides(type_: str) -> list[int]:
    """Returns the shape of the first array in a type."""
    found = re.search(r"\[([\d,]*)\]", type_)
    return [int(side) for side in found[1].split(",") if side] if found else []


def size(type_: str) -> int:
    """Returns the bytes of a type; for a tuple, those of its first array."""
    found = re.search(r"([a-z]+)(\d*)\w*\[", type_)
    if found is None:
        return 0
    return math.prod(sides(type_)) * int(found[2] or 8) // 8


def executions(text: str, *, fused: bool = False) -> list[Execution]:
    """Returns the instructions that one run of a program executes, each once.

    For a conditional, the longest branch is taken. For a lazily evaluated term,
    this is the update in which it is due.

    Args:
        text: text of the program.
        fused: include the contents of fusions and asynchronous calls.

    Returns:
        The instructions in text order. Loops and calls are followed and are not
        included themselves.
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
    """Returns the trip count of a loop, or 1 if it cannot be determined.

    The CUDA compiler annotates it. The TPU compiler only leaves a condition
    that compares a counter starting at 0 with its single constant.
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
