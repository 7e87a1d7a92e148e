"""Executes the notebooks of this folder and stores their outputs.

    pip install 'wgan-jax[notebooks,export]'
    python docs/notebooks/execute.py              # all
    python docs/notebooks/execute.py sweeps       # those whose name starts so

Each notebook runs in an empty temporary folder, on the CPU. It is written only if
all cells succeed, print no warnings and no paths of this machine.
"""

import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
METADATA = {
    "kernelspec": {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}


def execute(path: Path) -> None:
    """Executes one notebook and writes it back.

    Args:
        path: the notebook.

    Raises:
        SystemExit: if a cell fails, or its outputs do not belong into a repository.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=600,
            startup_timeout=300,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            record_timing=False,
            coalesce_streams=True,
        )
        client.execute()
        for cell in notebook.cells:
            check_outputs(cell, path, (folder, str(Path.home()), sys.prefix))
    notebook.metadata = nbformat.from_dict(METADATA)
    path.write_text(nbformat.writes(notebook, ensure_ascii=False) + "\n")


def check_outputs(cell: Any, path: Path, places: tuple[str, ...]) -> None:
    """Ends the program if an output has a warning or a path of this machine.

    Args:
        cell: an executed cell.
        path: its notebook.
        places: folders of this machine.
    """
    for output in cell.get("outputs", ()):
        text = str(output.get("text", "")) + str(output.get("data", ""))
        if output.get("name") == "stderr":
            sys.exit(f"{path.name}: cell {cell.id} writes to stderr: {text}")
        for place in places:
            if place in text:
                sys.exit(f"{path.name}: cell {cell.id} prints the path {place}.")


def main() -> None:
    """Executes the named notebooks and prints their times."""
    chosen = [
        path
        for path in sorted(FOLDER.glob("*.ipynb"))
        if path.stem.startswith(tuple(sys.argv[1:]) or "")
    ]
    if not chosen:
        sys.exit(f"No notebook has a name that starts with {sys.argv[1]}.")
    for path in chosen:
        began, before = time.monotonic(), cpu_seconds()
        execute(path)
        seconds, used = time.monotonic() - began, cpu_seconds() - before
        print(f"{path.stem}: {seconds:.0f} s, {used:.0f} s of CPU time", flush=True)


def cpu_seconds() -> float:
    """Returns the CPU time of the finished processes that this one started."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
