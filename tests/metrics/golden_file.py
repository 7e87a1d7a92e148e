"""The golden file, read once; ``golden/make_golden.py`` wrote it."""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "golden"
GOLDEN = dict(np.load(FOLDER / "golden.npz"))
