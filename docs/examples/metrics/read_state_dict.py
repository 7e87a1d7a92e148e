import tempfile
from pathlib import Path

import numpy as np

from wgan_jax.metrics import read_state_dict

with tempfile.TemporaryDirectory() as folder:
    np.savez(Path(folder, "weights.npz"), w=np.zeros(3))
    print(list(read_state_dict(Path(folder, "weights.npz"))))  # ['w']
