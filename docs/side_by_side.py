"""Lays the sample grids of several runs side by side, under their names.

python docs/side_by_side.py docs/methods.png "title=runs/NAME/samples/step_X.png" ...
"""

import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CROP, MARGIN, TITLE, COLUMNS = 412, 12, 30, 4  # pixels; a grid of 6 x 6 digits


def main(out: str, *panels: str) -> None:
    """One panel a run: the upper left part of its grid."""
    rows = -(-len(panels) // COLUMNS)
    columns = min(COLUMNS, len(panels))
    size = (
        columns * (CROP + MARGIN) + MARGIN,
        rows * (CROP + TITLE + MARGIN) + MARGIN,
    )
    sheet = Image.new("L", size, 255)
    font = ImageFont.load_default(20)
    for index, panel in enumerate(panels):
        title, path = panel.split("=", 1)
        with Image.open(path) as image:
            grid = image.convert("L").crop((0, 0, CROP, CROP))
        left = MARGIN + index % COLUMNS * (CROP + MARGIN)
        top = MARGIN + index // COLUMNS * (CROP + TITLE + MARGIN)
        ImageDraw.Draw(sheet).text((left, top), title, fill=0, font=font)
        sheet.paste(grid, (left, top + TITLE))
    # Few grey levels: the digits have seventeen.
    levels = np.asarray(sheet) // 4 * 4
    Image.fromarray(levels).quantize(64).save(out, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
