"""Plans (``--mode=plan``) of a config on an increasing number of devices.

    python benchmarks/scaling.py --json docs/scaling.json        # compiles, an hour
    python benchmarks/scaling.py --json docs/scaling.json --print

The global batch size is that of the config while it is divisible by the number
of devices (``fixed``), or the config's batch size on each device
(``per device``). Existing entries of the file are not compiled again, so
``--config`` and ``--topology`` can fill it in parts. Their bounds are
recomputed with the current kernel launch time of ``accelerators.py``. Tables
are printed as Markdown. All figures are for one device and one iteration.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from wgan_jax.planning.accelerators import parse_target
from wgan_jax.planning.roofline import Roofline

FIXED = {
    "v5e": ("1x1", "2x2", "2x4", "4x4", "8x8"),
    "h100": ("1", "8", "32", "64"),
}
PER_DEVICE = {"v5e": ("2x4", "8x8", "16x16"), "h100": ("8", "64", "256")}
CONFIGS = {
    # Title: file, batch size, generator's batch size or None for the same, overrides.
    "DCGAN": ("cifar10_wgan_gp", 64, None, ()),
    "ResNet": ("cifar10_wgan_gp_resnet", 64, 128, ()),
    "ResNet, bfloat16": (
        "cifar10_wgan_gp_resnet",
        64,
        128,
        ("--config.training.compute_dtype=bfloat16",),
    ),
}


class Point(NamedTuple):
    """One plan.

    Attributes:
        title: a key of ``CONFIGS``.
        topology: the devices.
        way: ``fixed`` or ``per device``.
    """

    title: str
    topology: str
    way: str


def points() -> Iterator[Point]:
    """Yields all plans in the order of the tables."""
    for way, devices in (("fixed", FIXED), ("per device", PER_DEVICE)):
        for title in CONFIGS:
            for name, shapes in devices.items():
                for shape in shapes:
                    yield Point(title, f"{name}:{shape}", way)


def command(point: Point) -> list[str]:
    """Returns the command for a plan, without ``--output``."""
    name, batch, generator, overrides = CONFIGS[point.title]
    found = [
        "python",
        "launch.py",
        f"--config=configs/{name}.py",
        "--mode=plan",
        f"--topology={point.topology}",
        *overrides,
    ]
    if point.way == "per device":
        devices = parse_target(point.topology).devices
        found.append(f"--config.training.batch_size={batch * devices}")
        if generator:
            size = generator * devices
            found.append(f"--config.training.generator_batch_size={size}")
    return found


def planned(point: Point) -> dict[str, Any]:
    """Runs the plan and returns its figures."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.json"
        subprocess.run(
            [sys.executable, *command(point)[1:], f"--output={file}"],
            cwd=Path(__file__).parents[1],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return json.loads(file.read_text())


def bounded(plan: dict[str, Any]) -> dict[str, Any]:
    """Returns the plan with bounds for the launch time in ``ACCELERATORS``."""
    launch = parse_target(plan["topology"]).accelerator.launch
    iterations = []
    for one in plan["iterations"]:
        before = one["bound"]
        terms = {name: before[name] for name in ("operations", "memory", "links")}
        bound = Roofline(**terms, launches=one["kernels"] * launch).record()
        images = one["images_per_second"] / before["iterations_per_second"]
        rate = {"images_per_second": images * bound["iterations_per_second"]}
        iterations.append(one | {"bound": bound} | rate)
    return plan | {"estimated": {"launch": launch}, "iterations": iterations}


def rows(found: dict[str, Any], way: str, title: str) -> Iterator[str]:
    """Yields the lines of one Markdown table."""
    yield (
        "| devices | batch | operations | memory traffic | kernels | all-reduces "
        "| communication | peak memory | at most, it/s | images/s | limited by |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    shown = [p for p in points() if p.title == title and _is_in(p, way)]
    for point in sorted(shown, key=lambda p: p.topology.split(":")[0], reverse=True):
        plan = found.get("; ".join(point))
        if plan is None:
            continue
        one = plan["iterations"][0]
        exchanged = one["exchanged"].values()
        cells = [
            point.topology,
            f"{plan['batch_size']:,}",
            f"{one['operations'] / 1e9:,.1f} GFLOP",
            f"{one['traffic'] / 1e6:,.0f} MB",
            f"{one['kernels']:,.0f}",
            f"{sum(kind['count'] for kind in exchanged):g}",
            f"{sum(kind['bytes'] for kind in exchanged) / 1e6:,.0f} MB",
            f"{one['memory']['peak'] / 1e6:,.0f} MB",
            f"{one['bound']['iterations_per_second']:,.0f}",
            f"{one['images_per_second']:,.0f}",
            one["bound"]["binds"],
        ]
        yield f"| {' | '.join(cells)} |"


def _is_in(point: Point, way: str) -> bool:
    """Returns whether a table has a plan; plans of one device are in both tables."""
    return point.way == way or parse_target(point.topology).devices == 1


def _write(file: Path, found: dict[str, Any]) -> None:
    file.write_text(json.dumps(found, indent=1) + "\n")


def main() -> None:
    """Compiles what is missing, and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", required=True, help="output file, which may exist")
    parser.add_argument("--config", choices=CONFIGS, action="append")
    parser.add_argument("--topology", action="append")
    parser.add_argument(
        "--print", action="store_true", help="print the file without compiling"
    )
    args = parser.parse_args()
    file = Path(args.json)
    found = json.loads(file.read_text()) if file.exists() else {}
    for point in [] if args.print else points():
        wanted = point.title in (args.config or CONFIGS)
        wanted &= point.topology in (args.topology or [point.topology])
        if wanted and "; ".join(point) not in found:
            found["; ".join(point)] = planned(point)
            _write(file, found)
    found = {name: bounded(plan) for name, plan in found.items()}
    _write(file, found)
    for way in ("fixed", "per device"):
        for title in CONFIGS:
            print(f"\n{title}, {way}:\n")
            print("\n".join(rows(found, way, title)))


if __name__ == "__main__":
    main()
