"""The golden file, written by ``golden/make_golden.py`` and read once."""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "golden"
GOLDEN = dict(np.load(FOLDER / "golden.npz"))
