"""Creates a page from the results of a GPU, on any machine.

    python benchmarks/accelerator/page.py DIR ... [--data TFDS_DATA_DIR] [--docs docs]
    python benchmarks/accelerator/page.py         # the page of the stored runs

DIR is the folder that ``run.py`` filled, or several folders from the same
device, each with some of the stages. If a stage or case is in several folders,
the last one is used. If prepared data is given, the samples are scored with the
library's own protocol: 5,000 samples against the first 5,000 test images, with
features of EfficientNet-Lite0. The results are stored as
``docs/accelerator/<date>-<device>.json`` and ``.png``. ``docs/accelerator.md``
shows all stored runs, the newest first.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
COUNT = 5_000
SHOWN = 10  # kernels listed per profile
NAMES = {
    "plain": "critic, no penalty",
    "penalty": "critic, penalty",
    "generator": "generator",
    "iteration": "5 critic + 1 generator",
}
ORDER = ("iteration", "penalty", "plain", "generator")
INTRODUCTION = """\
# On a GPU

`benchmarks/accelerator/` measures the library on one NVIDIA GPU in ten minutes. It has
three stages:

- correctness: small steps are compared with float64 references from a CPU;
- speed: training steps are compared with the same steps in PyTorch;
- training: `configs/cifar10_gpu.py` is trained for a few minutes.

The machine needs JAX, PyTorch and the usual scientific packages, but no network access.

| machine | command |
|---|---|
| any, with network access | `python benchmarks/accelerator/pack.py --data DATA` |
| with the GPU | `python benchmarks/accelerator/run.py --out DIR --data DATA` |
| any | `python benchmarks/accelerator/page.py DIR --data DATA` |
| any, as a rehearsal | `python benchmarks/accelerator/run.py --out DIR --rehearsal` |

`DATA` is a folder of prepared tfds data. `pack.py` collects the training records, and
the wheels that such a machine lacks, in `.accelerator/`. It prints their sizes and the
command to run on that machine. A rehearsal runs all stages at a small size. `page.py`
evaluates the samples and generates this page.
"""
NOTHING = "\nNo GPU has run it yet, so this page has no figures.\n"
NOTES = """
In the tables that compare with PyTorch:

- **Ratio** is PyTorch's time divided by ours.
- **Share of bound** is relative to the shortest time that the compiled program can take
  by the costs that `--mode=plan` counts: its operations and memory traffic at the peaks
  measured on the device in the same run, and 3 microseconds per kernel.
- **Share of peak** is relative to the measured rate of matrix products, and counts only
  the operations that are needed.
- **Precision.** Both libraries multiply float32 as TF32. PyTorch uses autocast for
  bfloat16.
- **PyTorch form.** The fastest of eager channels_last, the same replayed as a CUDA
  graph, and `torch.compile` replayed as a CUDA graph.
- **Variants** are other options of XLA. Training on a GPU uses `graph` where a small
  convolution passes its check ([performance](performance.md#on-a-gpu)); the column
  "ours" and the ratio are without it.
"""
# Recorded reasons for missing results, as the page words them.
REASONS = {
    "no time was left to end": "not finished within the time limit",
    "no time was left to open it": "not started within the time limit",
    "still compiling when its time was over": "still compiling at the time limit",
}


def scores(folder: Path, data: Path) -> list[dict[str, Any]]:
    """Evaluates the samples with the library; returns one row per metric.

    Args:
        folder: folder with ``samples_<i>.npz``.
        data: prepared tfds data.
    """
    parts = sorted(folder.glob("samples_*.npz"))
    images = np.concatenate([np.load(part)["images"] for part in parts])[:COUNT]
    with tempfile.TemporaryDirectory() as work:
        file = Path(work, "samples.npz")
        np.savez(file, images=images)
        command = [
            sys.executable,
            "launch.py",
            "--mode=evaluate",
            "--config=configs/cifar10_gpu.py",
            f"--images={file}",
            f"--config.dataset.data_dir={data.absolute()}",
            f"--config.evaluation.count={len(images)}",
            f"--config.evaluation.split=test[:{COUNT}]",
            "--config.evaluation.measures=('frechet','kernel','manifold')",
        ]
        subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
        record = json.loads(file.with_suffix(".evaluation.json").read_text())
    return list(record["results"])


def kept_name(results: dict[str, Any]) -> str:
    """Returns the name of a run, such as ``2026-11-26-nvidia-h100-80gb-hbm3``."""
    device = (results["about"]["gpu"] or "cpu").split(",")[0]
    date = results["about"]["date"].split(" ")[0]
    return f"{date}-{re.sub('[^a-z0-9]+', '-', device.lower()).strip('-')}"


def merged(folders: Sequence[Path]) -> dict[str, Any]:
    """Merges the results of several calls on one device."""
    first, *others = (json.loads((f / "results.json").read_text()) for f in folders)
    for results in (first, *others):
        for stage in results["stages"].values():
            stage["commit"] = results["about"]["commit"]
    for results in others:
        for name, stage in results["stages"].items():
            before = first["stages"].get(name)
            first["stages"][name] = stage
            if name == "correct" and before:  # its cases are independent
                stage["found"] = before["found"] | stage["found"]
                wrong = {n: c["wrong"] for n, c in stage["found"].items() if c["wrong"]}
                lines = [f"{n}: {', '.join(why)}" for n, why in wrong.items()]
                stage["log"], stage["ended"] = "; ".join(lines), int(bool(wrong))
                stage["seconds"] += before["seconds"]
    return first


def keep(folders: Sequence[Path], kept: Path, data: Path | None) -> None:
    """Stores the results, the picture and the scores of a run."""
    results = merged(folders)
    for stage in results["stages"].values():
        if stage["ended"] == 0:
            stage.pop("log", None)
        found = stage.get("found", {})
        found.pop("times", None)  # medians and ranges are stored
    kept.mkdir(parents=True, exist_ok=True)
    name = free_name(kept, kept_name(results))
    for folder in folders:
        if data is not None and list(folder.glob("samples_*.npz")):
            results["scores"] = scores(folder, data)
        if (folder / "picture.png").is_file():
            shutil.copyfile(folder / "picture.png", kept / f"{name}.png")
    (kept / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")


def free_name(kept: Path, name: str) -> str:
    """Returns the name, with a number if it is already in use."""
    number, free = 1, name
    while (kept / f"{free}.json").exists():
        number += 1
        free = f"{name}-{number}"
    return free


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns the lines of a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def page(kept: Path) -> str:
    """Returns the text of ``docs/accelerator.md``."""
    names = sorted((path.stem for path in kept.glob("*.json")), reverse=True)
    if not names:
        return INTRODUCTION + NOTHING
    lines = [INTRODUCTION + NOTES]
    for name in names:
        results = json.loads((kept / f"{name}.json").read_text())
        lines += _about(results["about"], rehearsal=results["rehearsal"])
        stages = results["stages"]
        for stage, title, write in (
            ("correct", "Agreement with float64", _correct),
            ("fast", "Comparison with PyTorch", _fast),
            ("good", "Training", _good),
        ):
            if stage in stages:
                lines += ["", f"### {title}", *_ending(stages[stage], results["about"])]
                if "found" in stages[stage]:
                    lines += write(stages[stage]["found"])
        if (kept / f"{name}.png").is_file():
            lines += ["", f"![samples](accelerator/{name}.png)"]
        if "scores" in results:
            lines += ["", *_scores(results["scores"])]
    return "\n".join(lines) + "\n"


def _about(about: dict[str, Any], *, rehearsal: bool) -> list[str]:
    device = about["gpu"] or "no GPU"
    versions = ", ".join(f"{k} {v}" for k, v in about["versions"].items() if v)
    title = f"## {about['date'].split(' ')[0]}, {device.split(',')[0]}"
    lines = ["", title + (" (rehearsal)" if rehearsal else ""), ""]
    lines.append(
        f"{device}; {about['cores']} cores; Python {about['python']}, {versions}; "
        f"commit {about['commit']}."
    )
    return lines


def _ending(stage: dict[str, Any], about: dict[str, Any]) -> list[str]:
    if stage["ended"] == 0:
        other = stage.get("commit", about["commit"])
        at = f" at commit {other}" if other != about["commit"] else ""
        return ["", f"This stage took {stage['seconds']:.0f} s{at}.", ""]
    last = (stage.get("log", "").strip().splitlines() or ["no output"])[-1]
    return ["", f"Incomplete ({stage['ended']}): `{_reason(last[:200])}`", ""]


def _reason(text: str) -> str:
    """Words a recorded reason for a missing result."""
    for recorded, shown in REASONS.items():
        text = text.replace(recorded, shown)
    return text


def _correct(found: dict[str, Any]) -> list[str]:
    """Returns the section on the agreement with float64."""
    rows = []
    for name, case in found.items():
        worst: dict[str, float] = {}
        for kinds in case.get("errors", {}).values():
            for kind, error in kinds.items():
                worst[kind] = max(worst.get(kind, 0.0), error)
        shown = [f"{worst[k]:.1e}" if k in worst else "" for k in ("gradient", "array")]
        kept = case.get("promises", {})
        rows.append(
            [
                name.replace("/", ", "),
                *shown,
                f"{worst['metric']:.1e}" if "metric" in worst else "",
                f"{sum(kept.values())} of {len(kept)}",
                ", ".join(map(_reason, case["wrong"])) or "none",
            ]
        )
    header = [
        "case",
        "gradients, relative error",
        "worst array",
        "worst metric",
        "no transfer, no recompilation, memory reused",
        "out of tolerance, or missing",
    ]
    return table(header, rows)


def _fast(found: dict[str, Any]) -> list[str]:
    """Returns the section on the comparison with PyTorch."""
    peaks = found.get("peaks", {})
    lines = []
    if peaks:
        lines.append(
            f"Measured peaks: {peaks['float32'] / 1e12:.3g} TFLOP/s in float32, "
            f"{peaks['bfloat16'] / 1e12:.3g} in bfloat16, "
            f"{peaks['bandwidth'] / 1e12:.3g} TB/s. In a long sequence of tiny matrix "
            f"products, each followed by a tanh, one such pair takes "
            f"{1e6 * peaks['launch']:.2g} microseconds.\n"
        )
    rows = []
    for name, steps in found.get("steps", {}).items():
        pair, batch, precision = name.split("/")
        for step, f in sorted(steps.items(), key=lambda item: ORDER.index(item[0])):
            theirs, ratio = "", ""
            if "ratio" in f:
                low, high = f["ratio_range"]
                theirs = f"{f['pytorch_ms'][f['form']]:.2f}, {f['form']}"
                ratio = f"**{f['ratio']:.2f}** ({low:.2f} to {high:.2f})"
            costs = found["costs"][name][step]
            known = "bound" in costs
            rows.append(
                [
                    f"{pair}, {batch}, {precision}",
                    NAMES[step],
                    f"{f['ms']:.2f}",
                    theirs,
                    ratio,
                    _variants(f.get("variants_ms", {})),
                    f"{f['images_per_second']:,.0f}",
                    f"{f['share_of_bound']:.2f}" if known else costs["reason"],
                    f"{f['share_of_peak']:.2f}" if known else "",
                    f"{f['share_of_bandwidth']:.2f}" if known else "",
                    f"{costs['kernels']:,.0f}" if known else "",
                    f"{costs['memory']['peak'] / 1e6:,.0f}" if known else "",
                    f"{costs['compile_seconds']:.0f}" if known else "",
                ]
            )
    header = [
        "networks, batch, precision",
        "step",
        "ours, ms",
        "PyTorch, ms",
        "ratio (range)",
        "ours, variants, ms",
        "images/s",
        "share of bound",
        "share of peak",
        "share of bandwidth",
        "kernels",
        "memory, MB",
        "compile time, s",
    ]
    lines += table(header, rows) if rows else ["Nothing was timed."]
    for variant, compiler in found.get("variants", {}).items():
        said = ", ".join(f"`{name}={value}`" for name, value in compiler.items())
        lines += ["", f"Variant `{variant}` compiles with {said}."]
    peaks_of = found.get("peak_memory", {})
    known = {side: most for side, most in peaks_of.items() if isinstance(most, int)}
    if known:
        listed = ", ".join(f"{side} {most / 1e9:.1f}" for side, most in known.items())
        lines += ["", f"Peak memory of each process over all steps, in GB: {listed}."]
    for side, reason in found.get("about", {}).get("missing", {}).items():
        lines += ["", f"Not measured with `{side}`: {_reason(reason)}."]
    for side, names in found.get("opened", {}).items():
        failed: dict[str, list[str]] = {}  # steps by reason
        for name, steps in names.items():
            for step, why in steps.items():
                if isinstance(why, str):
                    failed.setdefault(why, []).append(f"{name} {step}")
        for why, listed in failed.items():
            missing = ", ".join(listed)
            lines += ["", f"Not measured with `{side}` ({_reason(why)}): {missing}."]
    for name, profile in found.get("profile", {}).items():
        lines += ["", *_profile(name, profile)]
    return lines


def _variants(milliseconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {ms:.2f}" for name, ms in milliseconds.items())


def _profile(name: str, profile: dict[str, Any]) -> list[str]:
    """Returns the profile of one iteration."""
    if "reason" in profile:
        return [f"Profile of {name}: {profile['reason']}."]
    count, spent = profile["reordering"]
    lines = [
        f"Profile of one iteration of {name}: {profile['kernels']:,.0f} kernels in "
        f"{profile['milliseconds']:.2f} ms. The device is idle for "
        f"{profile['idle']:.0%} of the time. {count:,.0f} kernels that only reorder "
        f"data take {spent:.2f} ms.",
        "",
    ]
    longest = profile["longest"][:SHOWN]
    rows = [[f"`{n}`", f"{c:,.0f}", f"{ms:.3f}"] for n, c, ms in longest]
    return lines + table(["kernel", "launches", "ms"], rows)


def _good(found: dict[str, Any]) -> list[str]:
    """Returns the section on training."""
    if "iteration" not in found:
        return [f"`{found['config']}` ended before its samples were drawn."]
    return [
        f"`{found['config']}`: {found['iteration']:,} iterations in "
        f"{found['seconds']:.0f} s of `launch.py`, including startup and compilation; "
        f"{found['iterations_per_second']:.1f} iterations/s at the end. The first "
        f"64 of {found['samples']:,} samples of the averaged generator:"
    ]


def _scores(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Returns the scores of the samples, with their protocol."""
    first = rows[0]["protocol"]
    lines = [
        f"Scores of {first['fake_count']:,} samples against {first['real_count']:,} "
        f"images of {first['split']}, with the features {first['features']}. The data "
        "is CIFAR-10 re-compressed as JPEG, so these scores are not comparable with "
        "published ones.",
        "",
    ]
    values = [[r["protocol"]["metric"], f"{r['value']:.4g}"] for r in rows]
    return lines + table(["measure", "value"], values)


def main() -> None:
    """Stores a run if one is given, and writes the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folders", type=Path, nargs="*", help="folders written by run.py"
    )
    parser.add_argument("--data", type=Path, help="prepared tfds data, for the scores")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    kept = options.docs / "accelerator"
    if options.folders:
        keep(options.folders, kept, options.data)
    (options.docs / "accelerator.md").write_text(page(kept))


if __name__ == "__main__":
    main()
