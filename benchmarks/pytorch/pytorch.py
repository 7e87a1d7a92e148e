"""Our training steps against the same networks and steps in PyTorch, in turn.

    python benchmarks/pytorch/pytorch.py  # all networks and steps
    python benchmarks/pytorch/pytorch.py --check  # only whether both are the same
    python benchmarks/pytorch/pytorch.py --networks dcgan --json out.json
    python benchmarks/pytorch/pytorch.py --precision float32,bfloat16
    python benchmarks/pytorch/pytorch.py --torch-python ENVIRONMENT/bin/python

PyTorch is no dependency of the package: ``pip install torch==2.13.0`` here, or into an
environment of its own, whose interpreter ``--torch-python`` names (on a machine without
a GPU from https://download.pytorch.org/whl/cpu). Its compiled form needs a C++ compiler
and is left out, with a line that says why, where it does not work.

First it shows that both sides are one function: as many parameters, and with ours
copied into the modules of PyTorch, the same scores, penalties at the same points, and
gradients, in float64 and float32. In bfloat16 the networks are computed in it,
parameters and losses in float32, in PyTorch by autocast; there the images and scores of
each side have to be within 5% of our float32's, penalties and each network's gradient
within 30%.

Then each round takes every step on every side, one after the other, each side in a
process of its own on all cores, on batches that are in memory. Ratios are PyTorch's
time over ours, medians over the rounds, in PyTorch's best form: above 1 ours is faster.
The share of peak is our operations in matrix products, counted in the traced program
without those that meet padding, over time and over the peak. The peak is the best
product of two square matrices in the networks' precision in the same round: of JAX,
PyTorch and numpy in float32, of JAX and PyTorch in bfloat16, of 2048 rows on a CPU and
8192 on an accelerator. Memory is what one step needs above the libraries, in processes
that do nothing else. Both sides take accelerators that they find; there both may round
float32 products to TF32. Stop other work first: it does not slow both alike. With
``--keep`` both keep freed memory, as ``launch.py`` does; by default neither does.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
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

QUIET = 0.05  # of all processors, the most that others may have in a round


def forms_of(case: Case, wanted: list[str]) -> list[str]:
    """The forms that there are: points in a plane have no channels."""
    return [f for f in wanted if case.pair != "mlp" or f != "channels_last"]


def check(sides: Sides, name: str, case: Case) -> dict[str, Any]:
    """The largest differences of a pair; ends the program where they are too large."""
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
            sys.exit(f"{name}: not the same function: {counts}, {wrong}")
    print(f"{name:{NAME}} parameters of generator and critic, both sides: {counts[0]}")
    if case.width == cases(1, gpu=False)[name].width:
        assert tuple(counts[0]) == PARAMETERS[name]
    return found | {"parameters": counts[0]}


def check_bfloat16(sides: Sides, name: str, case: Case) -> dict[str, Any]:
    """Differences of both sides in bfloat16 from our float32; ends as ``check``."""
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
        print_differences(name, f"{side} from our float32", found[side])
        if wrong := beyond(found[side], "bfloat16") | not_rounded(found[side]):
            sys.exit(f"{name}: {side} is not our float32 rounded to bfloat16: {wrong}")
    return found


def print_differences(name: str, what: str, found: dict[str, float]) -> None:
    """One line of a check."""
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
            f"{name:{NAME}} NOT VALID: other work had up to {most:.0%} of the "
            "processors; PyTorch's threads wait for each other actively and suffer "
            "more from it",
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


def processor() -> str:
    """The CPU's name."""
    try:
        for row in Path("/proc/cpuinfo").read_text().splitlines():
            if row.startswith("model name"):
                return row.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def names(known: Any) -> Any:
    """A parser of ``a,b`` that refuses what is not known, in the order known."""

    def parse(text: str) -> list[str]:
        asked = text.split(",")
        unknown = [name for name in asked if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"{', '.join(unknown)}: choose from {','.join(known)}"
            )
        return [name for name in known if name in asked]

    return parse


def arguments() -> argparse.Namespace:
    """Of the command line."""
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
    parser.add_argument("--repeats", type=int, default=15, help="rounds")
    parser.add_argument("--seconds", type=float, default=0.2, help="least, a sample")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--keep", action="store_true", help="keep freed memory")
    parser.add_argument("--check", action="store_true", help="measure nothing")
    parser.add_argument("--json", help="file to write the figures to; a plot beside it")
    return parser.parse_args()


def main() -> None:
    """Check, measure, print, write."""
    options = arguments()
    os.environ["BENCHMARK_KEEP"] = "1" if options.keep else ""  # the workers' too
    sides = Sides(options.torch_python)
    workers = {"ours": sides.ours(), "pytorch": sides.theirs()}
    try:
        about = {side: worker("about") for side, worker in workers.items()}
    except Failure as failure:
        sys.exit(f"{failure}; is PyTorch there? --help says how it is installed.")
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
        # Interpreters' places are of no use to a reader.
        content["arguments"] = {
            k: v for k, v in vars(options).items() if k not in ("json", "torch_python")
        }
        Path(options.json).write_text(json.dumps(content, indent=2) + "\n")
        if content["networks"]:
            figure(content, Path(options.json).with_suffix(".png"))


if __name__ == "__main__":
    main()
