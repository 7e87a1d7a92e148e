"""Lays samples of the compared methods side by side, best first.

    python benchmarks/recipes/methods_figure.py OUT.png FILE.jsonl PICTURES

``PICTURES`` is the folder of ``search.py --pictures``. Of each method, the first 32
samples of the first seed are shown.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from methods_table import last, load
from PIL import Image, ImageDraw, ImageFont

from wgan_jax.io.images import image_grid

ROWS, COLUMNS, PANELS = 4, 8, 3  # of a panel, and panels beside each other
MARGIN, TITLE, ZOOM = 12, 22, 1.5


def grid(images: np.ndarray) -> Image.Image:
    """Returns images ``[n, H, W, C]`` as one picture."""
    sheet = image_grid(images[: ROWS * COLUMNS], columns=COLUMNS, scale=1)
    picture = Image.fromarray(np.broadcast_to(sheet, (*sheet.shape[:2], 3)))
    size = round(picture.width * ZOOM), round(picture.height * ZOOM)
    return picture.resize(size, Image.Resampling.BICUBIC)


def main() -> int:
    """Draws one sheet."""
    out, file, folder = map(Path, sys.argv[1:])
    first = [trials[0] for trials in load(file).values()]
    first = [row for row in first if (folder / f"{row['name']}.npz").exists()]
    first.sort(key=lambda row: np.nan_to_num(last(row, "kernel_distance"), nan=1e9))
    grids = []
    for trial in first:
        with np.load(folder / f"{trial['name']}.npz") as held:
            name = trial["name"].partition(",")[0]
            distance = last(trial, "kernel_distance")
            grids.append((f"{name}: {distance:.2f}", grid(held["arr_0"])))
    wide, high = grids[0][1].width + MARGIN, grids[0][1].height + TITLE + MARGIN
    rows = -(-len(grids) // PANELS)
    sheet = Image.new("RGB", (PANELS * wide + MARGIN, rows * high + MARGIN), "white")
    font = ImageFont.load_default(15)
    for index, (title, picture) in enumerate(grids):
        left = MARGIN + index % PANELS * wide
        top = MARGIN + index // PANELS * high
        ImageDraw.Draw(sheet).text((left, top), title, fill="black", font=font)
        sheet.paste(picture, (left, top + TITLE))
    sheet.quantize(128).save(out, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
