"""Compares our training steps with the same networks and steps in PyTorch.

    python benchmarks/pytorch/pytorch.py  # all networks and steps
    python benchmarks/pytorch/pytorch.py --check  # only whether both are the same
    python benchmarks/pytorch/pytorch.py --networks dcgan --json out.json
    python benchmarks/pytorch/pytorch.py --precision float32,bfloat16
    python benchmarks/pytorch/pytorch.py --torch-python ENVIRONMENT/bin/python

PyTorch is not a dependency of the package. Run ``pip install torch==2.13.0``
here or in a separate environment, and pass its interpreter as
``--torch-python`` (for a machine without a GPU, use
https://download.pytorch.org/whl/cpu). The compiled form of PyTorch needs a C++
compiler. If it does not work, it is skipped with a message.

First, the script verifies that both sides compute the same function. They have
the same number of parameters. With our parameters copied into the PyTorch
modules, the scores, the penalties at the same points, and the gradients agree
in float64 and float32. In bfloat16, networks are computed in bfloat16,
parameters and losses in float32; PyTorch uses autocast. There, images and
scores of each side must be within 5% of our float32 results, penalties and the
gradient of each network within 30%.

Then, each round runs every step on every side, one after the other. Each side
has its own process and uses all cores, with batches in memory. Ratios are
PyTorch's time divided by ours, as medians over the rounds, with PyTorch in its
best form: above 1, ours is faster. The share of peak is the operations of our
matrix products, counted in the traced program without those on padding, divided
by the time and by the peak rate. The peak rate is that of the best product of
two square matrices in the precision of the networks in the same round: JAX,
PyTorch and numpy in float32, JAX and PyTorch in bfloat16, with 2048 rows on a
CPU and 8192 on an accelerator. Memory is what one step needs in addition to the
libraries, in processes that do nothing else. Both sides use an accelerator if
there is one; there, both may round float32 products to TF32. Stop other work
first, because it does not slow down both sides equally. With ``--keep``, both
sides keep freed memory, as ``launch.py`` does; by default, neither does.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from machine import processor
from pytorch_cases import (
    FORMS,
    PARAMETERS,
    PRECISIONS,
    STEPS,
    Case,
    cases,
    entry_name,
    images_of,
    label_of,
    steps_of,
)
from pytorch_check import (
    beyond,
    differences,
    in_their_layout,
    not_rounded,
    outcomes,
    rounding,
)
from pytorch_figure import figure
from pytorch_measurement import Sides, measure, memory_of
from pytorch_summary import (
    HEADER,
    NAME,
    line,
    memory_line,
    penalty_cost,
    summarize,
)
from pytorch_workers import Failure

QUIET = 0.05  # maximum fraction of all cores that other processes may use in a round


def forms_of(case: Case, wanted: list[str]) -> list[str]:
    """Returns the available forms; points in the plane have no channels."""
    return [f for f in wanted if case.pair != "mlp" or f != "channels_last"]


def check(sides: Sides, name: str, case: Case) -> dict[str, Any]:
    """Returns the largest differences of a pair; exits if they are too large."""
    case = case._replace(batch=min(case.batch, 16))
    found: dict[str, Any] = {}
    for dtype in ("float64", "float32"):
        ours, theirs = (
            start(case, double=dtype == "float64")
            for start in (sides.ours, sides.theirs)
        )
        counts = ours("parameters"), theirs("parameters")
        with tempfile.TemporaryDirectory() as folder:
            told, answer = f"{folder}/ours.npz", f"{folder}/theirs.npz"
            ours("check", path=told)
            theirs("check", path=told, answer=answer)
            found[dtype] = differences(
                in_their_layout(dict(np.load(told))), dict(np.load(answer))
            )
        for worker in (ours, theirs):
            worker.close()
        print_differences(name, dtype, found[dtype])
        wrong = beyond(found[dtype], dtype)
        if wrong or counts[0] != counts[1]:
            sys.exit(
                f"{name}: the results or the numbers of parameters differ: {counts}, "
                f"{wrong}"
            )
    print(
        f"{name:{NAME}} number of parameters of generator and critic, both sides: "
        f"{counts[0]}"
    )
    if case.width == cases(1, gpu=False)[name].width:
        assert tuple(counts[0]) == PARAMETERS[name]
    return found | {"parameters": counts[0]}


def check_bfloat16(sides: Sides, name: str, case: Case) -> dict[str, Any]:
    """Compares both sides in bfloat16 with our float32; exits if too different."""
    case = case._replace(batch=min(case.batch, 16))
    single, ours, theirs = (
        sides.ours(case._replace(precision="float32")),
        sides.ours(case),
        sides.theirs(case),
    )
    with tempfile.TemporaryDirectory() as folder:
        told, own, answer = (f"{folder}/{n}.npz" for n in ("told", "own", "answer"))
        single("check", path=told)
        ours("check", path=own)
        theirs("check", path=told, answer=answer)
        reference, mine = (in_their_layout(dict(np.load(p))) for p in (told, own))
        compared = {"ours": mine, "pytorch": dict(np.load(answer))}
    for worker in (single, ours, theirs):
        worker.close()
    found = {}
    for side, arrays in compared.items():
        found[side] = rounding(reference, outcomes(arrays))
        print_differences(name, f"{side} relative to our float32", found[side])
        if wrong := beyond(found[side], "bfloat16") | not_rounded(found[side]):
            sys.exit(
                f"{name}: {side} does not match our float32 rounded to bfloat16: "
                f"{wrong}"
            )
    return found


def print_differences(name: str, what: str, found: dict[str, float]) -> None:
    """Prints one line of a check."""
    listed = ", ".join(f"{k} {v:.0e}" for k, v in found.items())
    print(f"{name:{NAME}} {what}: {listed}", flush=True)


def report(sides: Sides, name: str, case: Case, options: Any) -> dict[str, Any]:
    """Measures and prints one network in one precision."""
    steps = steps_of(case, options.steps)
    forms = forms_of(case, options.forms)
    found = measure(sides, case, steps=steps, forms=forms, options=options)
    figures = {}
    for step in steps:
        times = dict(found["times"][step])
        ours = times.pop("ours")
        figures[step] = summarize(
            ours,
            times,
            images=images_of(step, case),
            operations=found["operations"][step],
            peaks=found["peaks"],
        )
        print(line(name, label_of(step, case), figures[step]), flush=True)
    result = {"case": case._asdict(), "steps": figures}
    result |= {
        key: found[key] for key in ("peaks", "other_work", "opening", "failures")
    }
    libraries = found["peaks"][0]
    listed = ", ".join(
        f"{k} {statistics.median(p[k] for p in found['peaks']) / 1e9:.0f}"
        for k in libraries
    )
    print(
        f"{name:{NAME}} {case.precision} matrix product, GFLOP/s: {listed}", flush=True
    )
    if (most := max(x or 0.0 for x in found["other_work"])) > QUIET:
        print(
            f"{name:{NAME}} INVALID: other processes used up to {most:.0%} of the "
            "processors, which slows PyTorch's busy-waiting threads more than ours",
            flush=True,
        )
    if {"plain", "penalty"} <= set(steps):
        result["penalty_cost"] = penalty_cost(found["times"])
        costs = ", ".join(f"{k} {v:.2f}" for k, v in result["penalty_cost"].items())
        print(f"{name:{NAME}} critic with penalty / without: {costs}", flush=True)
    last = steps[-1]
    result["memory"] = memory_of(sides, case, last, figures[last]["form"])
    for side, peaks in result["memory"].items():
        text = f"{side}: {label_of(last, case)}"[:40]
        print(memory_line(name, text, peaks), flush=True)
    return result


def names(known: Any) -> Any:
    """Returns a parser of ``a,b`` that rejects unknown names and sorts as ``known``."""

    def parse(text: str) -> list[str]:
        asked = text.split(",")
        unknown = [name for name in asked if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"{', '.join(unknown)} is not known; choices: {','.join(known)}"
            )
        return [name for name in known if name in asked]

    return parse


def arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for flag, known in (
        ("networks", list(PARAMETERS)),
        ("steps", list(STEPS)),
        ("forms", list(FORMS)),
    ):
        parser.add_argument(
            f"--{flag}", type=names(known), default=known, help=",".join(known)
        )
    parser.add_argument(
        "--precision",
        type=names(PRECISIONS),
        default=["float32"],
        help=f"{','.join(PRECISIONS)}; float32 if not given",
    )
    parser.add_argument("--repeats", type=int, default=15, help="number of rounds")
    parser.add_argument(
        "--seconds", type=float, default=0.2, help="minimum time per sample"
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument(
        "--keep", action="store_true", help="keep freed memory in the process"
    )
    parser.add_argument("--check", action="store_true", help="check the results only")
    parser.add_argument("--json", help="output file; a plot is written next to it")
    return parser.parse_args()


def main() -> None:
    """Checks, measures, prints and writes the results."""
    options = arguments()
    os.environ["BENCHMARK_KEEP"] = "1" if options.keep else ""  # inherited by workers
    sides = Sides(options.torch_python)
    workers = {"ours": sides.ours(), "pytorch": sides.theirs()}
    try:
        about = {side: worker("about") for side, worker in workers.items()}
    except Failure as failure:
        sys.exit(f"{failure}. If PyTorch is not installed, see --help.")
    for worker in workers.values():
        worker.close()
    gpu = about["ours"]["platform"] != "cpu"
    known = cases(options.batch, gpu=gpu)
    content: dict[str, Any] = {
        "arguments": vars(options),
        "about": {
            "device": about["ours"]["device"] if gpu else processor(),
            "threads": about["ours"]["threads"],
            "cores": os.cpu_count(),
            "sides": about,
        },
        "networks": {},
    }
    print(
        f"{content['about']['device']}, batch {options.batch}, "
        f"{' and '.join(options.precision)}; {about}"
    )
    content["check"] = {n: check(sides, n, known[n]) for n in options.networks}
    entries = {
        entry_name(n, precision): known[n]._replace(precision=precision)
        for n in options.networks
        for precision in options.precision
    }
    for name, case in entries.items():
        if case.precision == "bfloat16":
            content["check"][name] = check_bfloat16(sides, name, case)
    if not options.check:
        print(HEADER)
        for name, case in entries.items():
            if not steps_of(case, options.steps):
                print(f"{name:{NAME}} has none of the steps {','.join(options.steps)}")
                continue
            content["networks"][name] = report(sides, name, case, options)
    if options.json:
        # Paths of interpreters are not useful to a reader.
        content["arguments"] = {
            k: v for k, v in vars(options).items() if k not in ("json", "torch_python")
        }
        Path(options.json).write_text(json.dumps(content, indent=2) + "\n")
        if content["networks"]:
            figure(content, Path(options.json).with_suffix(".png"))


if __name__ == "__main__":
    main()
