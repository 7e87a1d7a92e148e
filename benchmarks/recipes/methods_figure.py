"""Lays samples of the compared methods side by side, best first.

    python benchmarks/recipes/methods_figure.py OUT.png FILE.jsonl PICTURES

``PICTURES`` is the folder of ``search.py --pictures``. Of each method, the first 32
samples of the first seed are shown.
"""

import sys
from pathlib import Path

import numpy as np
from methods_table import last, load
from PIL import Image, ImageDraw, ImageFont

ROWS, COLUMNS, PANELS = 4, 8, 3  # of a panel, and panels beside each other
MARGIN, TITLE, ZOOM = 12, 22, 1.5


def grid(images: np.ndarray) -> Image.Image:
    """Returns images ``[n, H, W, C]`` as one picture."""
    _, h, w, c = images.shape
    tiles = images[: ROWS * COLUMNS].reshape(ROWS, COLUMNS, h, w, c)
    sheet = tiles.transpose(0, 2, 1, 3, 4).reshape(ROWS * h, COLUMNS * w, c)
    picture = Image.fromarray(sheet if c == 3 else sheet[..., 0]).convert("RGB")
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
