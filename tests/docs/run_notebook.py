"""Runs the code cells of a notebook without Jupyter, with other sizes.

    python tests/docs/run_notebook.py NOTEBOOK '{"iterations": 3}' NAME ...

The values of the named variables are printed as JSON in the last line.
"""

import json
import sys
import warnings
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("agg")


def code_cells(path):
    """Returns the text of each code cell, and whether it sets the sizes."""
    cells = json.loads(Path(path).read_text())["cells"]
    return [
        ("".join(cell["source"]), "sizes" in cell["metadata"].get("tags", ()))
        for cell in cells
        if cell["cell_type"] == "code"
    ]


def run(path, sizes):
    """Returns the variables after all cells.

    Args:
        path: the notebook.
        sizes: values that replace those of the cell with the tag ``sizes``; one for
            each of its variables.
    """
    scope = {"__name__": "__main__"}
    for text, sets_sizes in code_cells(path):
        if sets_sizes:
            own = {}
            exec(text, own)
            own.pop("__builtins__")
            assert own.keys() == sizes.keys(), sorted(own.keys() ^ sizes.keys())
            scope |= sizes
        else:
            exec(compile(text, path, "exec"), scope)
    return scope


def as_json(value):
    """Returns arrays, and numbers of numpy and JAX, as JSON values."""
    return np.asarray(value).tolist()


if __name__ == "__main__":
    # Showing a figure without a display is what this is for.
    warnings.filterwarnings("error")
    warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    notebook, chosen, *names = sys.argv[1:]
    found = run(notebook, json.loads(chosen))
    values = {name: found[name] for name in names}
    print(json.dumps(values, default=as_json))
