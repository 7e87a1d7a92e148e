"""PyTorch worker of the stage ``fast``, in one form."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "pytorch"))

from pytorch_steps import Theirs
from pytorch_workers import serve
from several import Several, case_of


class FastTorch(Several):
    """Several cases in PyTorch."""

    def __init__(self, form: str):
        super().__init__(lambda values: Theirs(case_of(values), form=form))


if __name__ == "__main__":
    serve(FastTorch)
