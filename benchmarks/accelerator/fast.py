"""The stage ``fast``: our steps beside the same ones in PyTorch, in turn.

    python benchmarks/accelerator/fast.py --out DIR [--seconds 150] [--rehearsal]

All steps are first opened (compiled, recorded, taken twice), each side in a process
of its own, most important cases first, until a little more than half of the time is
gone. Then every round times every step on every side. What could not be opened in time
is listed as such. ``fast.json`` is written anew after each part.
"""

import argparse
import json
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from pytorch_cases import GPU_FORMS, STEPS, Case, cases, images_of
from pytorch_workers import Failure, Worker

OPENING = 0.6  # of the stage's time
ROUNDS = 5
SAMPLE = 0.25  # seconds, at least, of one timing
PROFILED = ("resnet/64/bfloat16", "resnet/64/float32")
PEAK_SIZE = 8192


def wanted(*, rehearsal: bool) -> dict[str, tuple[Case, tuple[str, ...]]]:
    """Cases and their steps by name, the most important first."""
    if rehearsal:
        known = {"dcgan": Case("dcgan", 4, 4, (32, 32, 3), 8, 10.0)}
        batches, precisions = (4,), ("float32", "bfloat16")
    else:
        known = cases(64, gpu=True)
        batches, precisions = (64, 256), ("bfloat16", "float32")
    found = {}
    for batch in batches:
        for precision in precisions:
            for pair in ("resnet", "dcgan"):
                if pair in known:
                    case = known[pair]._replace(batch=batch, precision=precision)
                    steps = tuple(STEPS) if batch == 64 else ("penalty", "iteration")
                    if rehearsal:
                        steps = ("iteration",)
                    found[f"{pair}/{batch}/{precision}"] = (case, steps)
    return found


def start(forms: list[str], torch_python: str) -> tuple[dict[str, Worker], dict]:
    """Workers by side, and why those are missing that did not start."""
    here = Path(__file__).parent.name
    workers = {"ours": Worker(sys.executable, f"{here}/fast_ours.py")}
    for form in forms:
        workers[form] = Worker(torch_python, f"{here}/fast_torch.py", form=form)
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
    workers: dict[str, Worker],
    plan: dict[str, tuple[Case, tuple[str, ...]]],
    until: float,
) -> dict[str, dict[str, dict[str, float | str]]]:
    """Opens every case on every side at once; seconds or a sentence by side."""
    found: dict[str, dict[str, dict[str, float | str]]] = {s: {} for s in workers}

    def of_one(side: str) -> None:
        for name, (case, steps) in plan.items():
            try:
                found[side][name] = workers[side](
                    "open", name=name, case=list(case), steps=list(steps), until=until
                )
            except Failure as failure:
                found[side][name] = dict.fromkeys(steps, str(failure))
                return  # the process is gone

    threads = [threading.Thread(target=of_one, args=(side,)) for side in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
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
    """Seconds of each step, round by round: by case, step and side."""
    counts: dict[tuple[str, str, str], int] = {}
    times: dict[str, dict[str, dict[str, list[list[float]]]]] = {}
    for side, names in opened.items():
        for name, steps in names.items():
            for step, seconds in steps.items():
                if isinstance(seconds, float):
                    once, _ = workers[side]("time", name=name, step=step, count=1)
                    counts[name, step, side] = max(1, round(sample / once))
    # All sides of a step follow each other, in the order of importance.
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
    """Medians and ratios of one case, by step."""
    found = {}
    for step, sides in times.items():
        medians = {
            s: statistics.median(w for w, _ in rows) for s, rows in sides.items()
        }
        ours = medians.pop("ours", None)
        if ours is None:
            continue
        figures: dict[str, Any] = {
            "ms": 1e3 * ours,
            "images_per_second": images_of(step, case) / ours,
            "pytorch_ms": {form: 1e3 * seconds for form, seconds in medians.items()},
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
    """What part of its bounds a step reaches, from its costs and its milliseconds."""
    seconds, bound = ms / 1e3, max(costs["bound"].values())
    return {
        "bound_ms": 1e3 * bound,
        "share_of_bound": bound / seconds,
        "share_of_peak": costs["operations_traced"] / seconds / peaks[precision],
        "share_of_bandwidth": costs["traffic"] / seconds / peaks["bandwidth"],
    }


def _or_reason(worker: Worker, call: str, **arguments: Any) -> Any:
    """A worker's answer, or a sentence on why there is none under ``reason``."""
    try:
        return worker(call, **arguments)
    except Failure as failure:
        return {"reason": str(failure)}


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The stage; its figures, written to ``fast.json`` as they come."""
    began = time.time()
    plan = wanted(rehearsal=options.rehearsal)
    forms = ["channels_last"] if options.rehearsal else list(GPU_FORMS)
    content: dict[str, Any] = {"cases": {n: list(c) for n, (c, _) in plan.items()}}
    file = Path(options.out, "fast.json")

    def write() -> None:
        content["seconds"] = time.time() - began
        file.write_text(json.dumps(content, indent=1) + "\n")

    workers, content["about"] = start(forms, options.torch_python)
    ours = workers["ours"]
    size = 256 if options.rehearsal else PEAK_SIZE
    content["peaks"] = peaks = ours("peaks", size=size)
    write()
    until = began + OPENING * options.seconds
    content["opened"] = opened = open_all(workers, plan, until)
    write()
    there = {
        name: [step for step, s in steps.items() if isinstance(s, float)]
        for name, steps in opened["ours"].items()
    }
    content["costs"] = {
        name: {
            step: _or_reason(ours, "costs", name=name, step=step, peaks=peaks)
            for step in steps
        }
        for name, steps in there.items()
    }
    write()
    times = take_times(
        workers,
        opened,
        sample=0.01 if options.rehearsal else SAMPLE,
        rounds=2 if options.rehearsal else ROUNDS,
        until=began + 0.92 * options.seconds,
    )
    content["times"] = times
    content["steps"] = {name: summary(t, plan[name][0]) for name, t in times.items()}
    for name, steps in content["steps"].items():
        for step, figures in steps.items():
            costs = content["costs"][name][step]
            if "bound" in costs:
                figures |= shares(costs, peaks, figures["ms"], plan[name][0].precision)
    content["peak_memory"] = {
        side: _or_reason(worker, "memory") for side, worker in workers.items()
    }
    write()
    names = [n for n in PROFILED if "iteration" in there.get(n, ())]
    if options.rehearsal:
        names = [n for n in there if "iteration" in there[n]][:1]
    content["profile"] = {
        name: _or_reason(ours, "profile", name=name, step="iteration") for name in names
    }
    write()
    for worker in workers.values():
        worker.close()
    return content


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, help="folder of fast.json")
    parser.add_argument("--seconds", type=float, default=150, help="for all of it")
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--rehearsal", action="store_true", help="tiny, on any device")
    return parser.parse_args()


def main() -> None:
    """Measures and prints."""
    content = run(arguments())
    for name, steps in content["steps"].items():
        for step, f in steps.items():
            beside = (
                f"{f['ratio']:.2f} of {f['form']}" if "ratio" in f else "no PyTorch"
            )
            print(
                f"{name:22} {step:10} {f['ms']:9.3f} ms  {f['images_per_second']:9.0f} "
                f"images/s  {beside}  {f.get('share_of_bound', 0):.2f} of the bound"
            )


if __name__ == "__main__":
    main()
