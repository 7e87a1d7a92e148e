"""Lays samples of the compared methods side by side, best first.

    python benchmarks/recipes/methods_figure.py OUT.png FILE.jsonl PICTURES

``PICTURES`` is the folder of ``search.py --pictures``. Of each method, the samples of
the first seed with a picture are shown, under the distance of that seed.
"""

import sys
from pathlib import Path

import numpy as np
from methods_table import last, load
from PIL import Image, ImageDraw, ImageFont

PANELS = 3  # beside each other
MARGIN, TITLE, ZOOM = 12, 22, 1.5


def enlarged(path: Path) -> Image.Image:
    """Returns a picture in the size of the sheet."""
    picture = Image.open(path).convert("RGB")
    size = round(picture.width * ZOOM), round(picture.height * ZOOM)
    return picture.resize(size, Image.Resampling.BICUBIC)


def main() -> int:
    """Draws one sheet."""
    out, file, folder = map(Path, sys.argv[1:])
    shown = []
    for name, trials in load(file).items():
        for trial in trials:
            picture = folder / f"{trial['name']}.png"
            if picture.exists():
                shown.append((last(trial, "kernel_distance"), name, picture))
                break
    shown.sort(key=lambda entry: np.nan_to_num(entry[0], nan=1e9))
    grids = [(f"{name}: {d:.2f}", enlarged(path)) for d, name, path in shown]
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
