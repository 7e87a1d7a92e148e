"""Stage ``fast``: compares our steps with the same steps in PyTorch.

    python benchmarks/accelerator/fast.py --out DIR [--seconds 230] [--rehearsal]

First, all steps are opened (compiled, recorded, run twice), each side in its
own process and the most important steps first, until slightly more than half of
the time has passed. Then, every round times every step on every side. Steps
that could not be opened in time are listed. ``fast.json`` is rewritten after
each part.
"""

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

sys.path.insert(0, str(Path(__file__).parents[1] / "pytorch"))

from pytorch_cases import GPU_FORMS, GPU_VARIANTS, Case, cases, images_of
from pytorch_workers import Failure, Worker

OPENING = 0.55  # fraction of the stage's time
TIMING = 0.88  # fraction of the stage's time at which the last round ends
# Extra seconds for steps in progress; without our side, there is nothing to time.
PATIENCE = {"ours": 60.0}
PATIENCE_OF_OTHERS = 10.0
ROUNDS = 5
SAMPLE = 0.15  # minimum seconds of one timing
PROFILED = ("resnet/64/bfloat16", "resnet/64/float32", "dcgan/64/bfloat16")
PEAK_SIZE = 8192


Plan: TypeAlias = list[tuple[str, Case, tuple[str, ...]]]


def wanted(*, rehearsal: bool) -> Plan:
    """Returns name, case and steps, the most important first.

    Whole iterations come first, because what is compiled for them is reused for
    their parts.
    """
    if rehearsal:
        pairs = {"dcgan": Case("dcgan", 4, 4, (32, 32, 3), 8, 10.0)}
        sizes = ((4, ("iteration",)),)
    else:
        known = cases(64, gpu=True)
        pairs = {pair: known[pair] for pair in ("resnet", "dcgan")}
        parts = ("penalty", "generator", "plain")
        sizes = ((64, ("iteration",)), (64, parts), (256, ("iteration",)))
    return [
        (
            f"{pair}/{batch}/{precision}",
            case._replace(batch=batch, precision=precision),
            steps,
        )
        for batch, steps in sizes
        for precision in ("bfloat16", "float32")
        for pair, case in pairs.items()
    ]


def share_of(side: str, plan: Plan) -> Plan:
    """Returns a side's part of the plan: whole iterations only for our variants."""
    if "@" not in side:
        return plan
    return [entry for entry in plan if entry[2] == ("iteration",)]


def start(
    forms: Sequence[str], variants: Sequence[str], torch_python: str
) -> tuple[dict[str, Worker], dict[str, Any]]:
    """Starts the workers; returns them by side, and the reasons for missing ones."""
    ours, theirs = (
        str(Path(__file__).with_name(name))
        for name in ("fast_ours.py", "fast_torch.py")
    )
    workers = {"ours": Worker(sys.executable, ours)}
    for variant in variants:  # in separate processes, because one may crash
        workers[f"ours@{variant}"] = Worker(sys.executable, ours, variant=variant)
    for form in forms:
        workers[form] = Worker(torch_python, theirs, form=form)
    about, missing = {}, {}
    for side, worker in list(workers.items()):
        try:
            about[side] = worker("about")
        except Failure as failure:
            if side == "ours":
                raise
            missing[side] = str(failure)
            workers.pop(side).close()
    return workers, {"sides": about, "missing": missing}


def open_all(
    workers: dict[str, Worker], plan: Plan, until: float
) -> dict[str, dict[str, dict[str, float | str]]]:
    """Opens every case on every side at once; returns seconds or reasons by side.

    A side that is not finished some time after ``until`` is killed, because it
    would delay all others. Our variants start when our iterations are open,
    because they reuse the autotuning results in the compilation cache.
    """
    found: dict[str, dict[str, dict[str, float | str]]] = {}
    begun = threading.Event()
    first = [entry for entry in plan if entry[2] == ("iteration",)]
    first = [entry for entry in first if entry[1].batch == plan[0][1].batch]

    def of_part(side: str, part: Plan) -> None:
        entries = [(name, list(case), list(steps)) for name, case, steps in part]
        workers[side]("prepare", plan=entries, until=until)
        for name, case, steps in entries:
            found[side].setdefault(name, {}).update(
                workers[side]("open", name=name, case=case, steps=steps, until=until)
            )

    def of_one(side: str) -> None:
        found[side] = {}
        share = share_of(side, plan)
        try:
            if side == "ours":
                of_part(side, first)
                begun.set()
                share = [entry for entry in plan if entry not in first]
            elif "@" in side:
                begun.wait(max(0.0, until - time.time()))
            of_part(side, share)
        except Failure as failure:  # the process died with all it had opened
            found[side] = {name: dict.fromkeys(s, str(failure)) for name, _, s in share}
        finally:
            if side == "ours":
                begun.set()

    threads = {s: threading.Thread(target=of_one, args=(s,)) for s in workers}
    for thread in threads.values():
        thread.start()
    for side, thread in threads.items():
        patience = PATIENCE.get(side, PATIENCE_OF_OTHERS)
        thread.join(max(0.0, until + patience - time.time()))
        if thread.is_alive():
            workers[side].kill()
            thread.join()
    return found


def take_times(
    workers: dict[str, Worker],
    opened: dict[str, dict[str, dict[str, float | str]]],
    *,
    sample: float,
    rounds: int,
    until: float,
) -> dict[str, dict[str, dict[str, list[list[float]]]]]:
    """Times each step in every round; returns seconds by case, step and side."""
    counts: dict[tuple[str, str, str], int] = {}
    times: dict[str, dict[str, dict[str, list[list[float]]]]] = {}
    for side, names in opened.items():
        for name, steps in names.items():
            for step, seconds in steps.items():
                if isinstance(seconds, float):
                    once, _ = workers[side]("time", name=name, step=step, count=1)
                    counts[name, step, side] = max(1, round(sample / once))
    # All sides of a step are adjacent, and steps are in order of importance.
    order = sorted(counts, key=lambda key: (*_rank(key[0], opened), key[1], key[2]))
    for number in range(rounds):
        if time.time() > until:
            break
        for name, step, side in order[:: -1 if number % 2 else 1]:
            count = counts[name, step, side]
            found = workers[side]("time", name=name, step=step, count=count)
            by_side = times.setdefault(name, {}).setdefault(step, {})
            by_side.setdefault(side, []).append(found)
    return times


def _rank(name: str, opened: dict[str, Any]) -> tuple[int]:
    return (list(opened["ours"]).index(name),)


def summary(
    times: dict[str, dict[str, list[list[float]]]], case: Case
) -> dict[str, dict[str, Any]]:
    """Computes medians and ratios of one case, by step."""
    found = {}
    for step, sides in times.items():
        medians = {
            s: statistics.median(w for w, _ in rows) for s, rows in sides.items()
        }
        ours = medians.pop("ours", None)
        if ours is None:
            continue
        variants = {s: medians.pop(s) for s in list(medians) if s.startswith("ours@")}
        figures: dict[str, Any] = {
            "ms": 1e3 * ours,
            "images_per_second": images_of(step, case) / ours,
            "pytorch_ms": {form: 1e3 * seconds for form, seconds in medians.items()},
        }
        if variants:
            figures["variants_ms"] = {
                side.removeprefix("ours@"): 1e3 * seconds
                for side, seconds in variants.items()
            }
        if medians:
            best = min(medians, key=lambda form: medians[form])
            pairs = zip(sides[best], sides["ours"], strict=False)
            ratios = [theirs[0] / mine[0] for theirs, mine in pairs]
            figures |= {
                "form": best,
                "ratio": statistics.median(ratios),
                "ratio_range": [min(ratios), max(ratios)],
            }
        found[step] = figures
    return found


def shares(
    costs: dict[str, Any], peaks: dict[str, float], ms: float, precision: str
) -> dict[str, float]:
    """Computes the fraction of each bound that a step reaches."""
    seconds, bound = ms / 1e3, max(costs["bound"].values())
    return {
        "bound_ms": 1e3 * bound,
        "share_of_bound": bound / seconds,
        "share_of_peak": costs["operations_traced"] / seconds / peaks[precision],
        "share_of_bandwidth": costs["traffic"] / seconds / peaks["bandwidth"],
    }


def _or_reason(worker: Worker, call: str, **arguments: Any) -> Any:
    """Returns a worker's answer, or the reason of its failure in ``reason``."""
    try:
        return worker(call, **arguments)
    except Failure as failure:
        return {"reason": str(failure)}


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Runs the stage; results are written to ``fast.json`` as they become available."""
    began = time.time()
    plan = wanted(rehearsal=options.rehearsal)
    forms = GPU_FORMS[:1] if options.rehearsal else GPU_FORMS
    variants = list(GPU_VARIANTS)[: 1 if options.rehearsal else None]
    known = {name: case for name, case, _ in plan}
    content: dict[str, Any] = {"cases": {n: list(c) for n, c in known.items()}}
    file = Path(options.out, "fast.json")

    def write() -> None:
        content["seconds"] = time.time() - began
        file.write_text(json.dumps(content, indent=1) + "\n")

    content["variants"] = {v: GPU_VARIANTS[v] for v in variants}
    workers, content["about"] = start(forms, variants, options.torch_python)
    ours = workers["ours"]
    size = 256 if options.rehearsal else PEAK_SIZE
    content["peaks"] = peaks = ours("peaks", size=size)
    write()
    until = began + OPENING * options.seconds
    content["opened"] = opened = open_all(workers, plan, until)
    write()
    content["times"] = times = take_times(
        workers,
        opened,
        sample=0.01 if options.rehearsal else SAMPLE,
        rounds=2 if options.rehearsal else ROUNDS,
        until=began + TIMING * options.seconds,
    )
    content["steps"] = {name: summary(t, known[name]) for name, t in times.items()}
    content["peak_memory"] = {
        side: _or_reason(worker, "memory") for side, worker in workers.items()
    }
    write()
    names = [n for n in PROFILED if "iteration" in times.get(n, ())]
    if options.rehearsal:
        names = list(times)[:1]
    content["profile"] = {
        name: _or_reason(ours, "profile", name=name, step="iteration") for name in names
    }
    write()
    content["costs"] = costs = {name: {} for name in times}
    for name, step in [(n, s) for n, steps in times.items() for s in steps]:
        if time.time() > began + options.seconds:
            costs[name][step] = {"reason": "not counted within the time limit"}
            continue
        counted = _or_reason(ours, "costs", name=name, step=step, peaks=peaks)
        costs[name][step] = counted
        figures = content["steps"][name].get(step)
        if figures and "bound" in counted:
            precision = known[name].precision
            figures |= shares(counted, peaks, figures["ms"], precision)
        write()
    for worker in workers.values():
        worker.close()
    return content


def arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, help="output folder for fast.json")
    parser.add_argument("--seconds", type=float, default=230, help="time limit")
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument(
        "--rehearsal", action="store_true", help="tiny sizes, on any device"
    )
    return parser.parse_args()


def main() -> None:
    """Measures and prints the results."""
    content = run(arguments())
    for name, steps in content["steps"].items():
        for step, f in steps.items():
            beside = (
                f"{f['ratio']:.2f} of {f['form']}"
                if "ratio" in f
                else "PyTorch missing"
            )
            print(
                f"{name:22} {step:10} {f['ms']:9.3f} ms  {f['images_per_second']:9.0f} "
                f"images/s  {beside}  {f.get('share_of_bound', 0):.2f} of the bound"
            )


if __name__ == "__main__":
    main()
