"""Draws the picture that shows up where the site or the repository is linked.

python docs/social_card.py    # writes docs/_static/social-card.png
"""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

DOCS = Path(__file__).parent
SIZE = (1280, 640)  # pixels, as GitHub recommends
MARGIN, SIDE = 40, 380
TITLE, SUBTITLE = "wgan_jax", "Wasserstein GANs and their baselines in JAX and Flax"
# Pictures, and the width of a cell of each grid.
GRIDS = {"digits": 66, "fashion_mnist": 58, "cifar10": 66}
CELLS = 6  # of a row that are shown


def main() -> None:
    """Writes the name, and a part of each grid of samples below it."""
    card = Image.new("RGB", SIZE, "#14181f")
    draw = ImageDraw.Draw(card)
    draw.text((MARGIN, 28), TITLE, fill="white", font=ImageFont.load_default(84))
    font = ImageFont.load_default(36)
    draw.text((MARGIN, 136), SUBTITLE, fill="#b9c4d2", font=font)
    gap = (SIZE[0] - 2 * MARGIN - len(GRIDS) * SIDE) // (len(GRIDS) - 1)
    for place, (name, cell) in enumerate(GRIDS.items()):
        with Image.open(DOCS / f"zoo/{name}.png") as grid:
            part = grid.convert("RGB").crop((0, 0, CELLS * cell, CELLS * cell))
        part = part.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        card.paste(part, (MARGIN + place * (SIDE + gap), SIZE[1] - SIDE - MARGIN))
    card.quantize(256).save(DOCS / "_static/social-card.png", optimize=True)


if __name__ == "__main__":
    main()
