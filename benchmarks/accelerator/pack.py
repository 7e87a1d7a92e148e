"""Packs everything that a machine without network needs, and prints its size.

    python benchmarks/accelerator/pack.py --data TFDS_DATA_DIR

It fills ``.accelerator/`` in the root of the repository, which git ignores:
wheels of the packages that are missing on a machine with JAX, PyTorch and
common scientific packages, the training records of CIFAR-10 as prepared by
tfds, and the commit. It prints the size of each part and the command to run on
that machine. ``PYTHON`` is the Python version of that machine.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".accelerator"
PYTHON = "3.12"
LIMIT = 60 * 2**20  # bytes, including the repository
# ``BUILT`` has no wheel in the index. It is pure Python and is built here.
WHEELS = (
    "annotated-types",
    "array-record",
    "dm-tree",
    "docstring-parser",
    "googleapis-common-protos",
    "immutabledict",
    "importlib-resources",
    "ml-collections",
    "pydantic==2.14.4",  # it requires exactly this version of its core
    "pydantic-core==2.50.5",
    "simple-parsing",
    "tensorboardX",
    "tensorflow-datasets",
    "tensorflow-metadata",
    "termcolor",
    "toml",
    "typing-extensions",
    "typing-inspection",
)
BUILT = ("promise",)
GLIBC = ("2_28", "2_27", "2_24", "2_17")
COMMAND = (
    "python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir "
    "--target /tmp/site .accelerator/wheels/*.whl && export PYTHONPATH=/tmp/site && "
    "python3 benchmarks/accelerator/run.py --out $OUT --data .accelerator/tfds"
)


def wheels(folder: Path) -> None:
    """Downloads the wheels for the Python version of the other machine."""
    pip = [sys.executable, "-m", "pip"]
    platforms = [f"--platform=manylinux_{glibc}_x86_64" for glibc in GLIBC]
    target = [f"--python-version={PYTHON}", "--implementation=cp", *platforms]
    target += ["--platform=manylinux2014_x86_64", "--only-binary=:all:"]
    quiet = ["--quiet", "--no-deps", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "download", *quiet, *target, "-d", folder, *WHEELS], check=True
    )
    subprocess.run([*pip, "wheel", *quiet, "-w", folder, *BUILT], check=True)


def records(data: Path, folder: Path) -> None:
    """Copies metadata and training records of CIFAR-10, without the test split."""
    (version,) = (data / "cifar10").iterdir()
    target = folder / "cifar10" / version.name
    target.mkdir(parents=True)
    for path in version.iterdir():
        if "-test." not in path.name:
            shutil.copyfile(path, target / path.name)


def size(path: Path) -> int:
    """Returns the bytes of all files in a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def tracked() -> int:
    """Returns the bytes of all files tracked by git."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return sum(path.stat().st_size for path in paths if path.is_file())


def main() -> int:
    """Packs and prints; returns 1 if the size limit is exceeded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of prepared tfds data"
    )
    options = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    wheels(FOLDER / "wheels")
    records(options.data, FOLDER / "tfds")
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    (FOLDER / "commit.txt").write_text(commit.stdout)
    parts = {
        "repository": tracked(),
        "wheels": size(FOLDER / "wheels"),
        "training records": size(FOLDER / "tfds"),
    }
    for name, count in parts.items():
        print(f"{name:18} {count / 2**20:6.1f} MiB")
    total = sum(parts.values())
    print(f"{'total':18} {total / 2**20:6.1f} MiB of {LIMIT / 2**20:.0f}")
    print(
        f"Command ({len(COMMAND)} characters; it needs the folder .accelerator):\n"
        f"{COMMAND}"
    )
    return int(total > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
