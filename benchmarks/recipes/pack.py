"""Writes the generator of a run to the package, with its model card.

    python benchmarks/recipes/pack.py --workdir=RUN --name=fashion_mnist \
        --card=benchmarks/recipes/cards/fashion_mnist.json

The EMA weights are stored in half precision. The JSON file has the texts of the card.
Without ``--workdir``, only the card and the picture are written again.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import jax
import numpy as np

from wgan_jax import zoo
from wgan_jax.config.loading import load_experiment
from wgan_jax.export.card import model_card
from wgan_jax.io.files import write_text
from wgan_jax.io.images import image_grid, save_png, to_uint8
from wgan_jax.io.weights import save_weights
from wgan_jax.program.trained import read_texts, trained_generator
from wgan_jax.program.workdir import Workdir

FOLDER = Path(zoo.__file__).parent
DOCS = Path(__file__).parents[2] / "docs" / "zoo"
LIMIT = 2_000_000  # bytes


def pack(options: argparse.Namespace) -> None:
    """Writes the weights."""
    workdir = Workdir(options.workdir)
    config, _ = load_experiment(workdir.config)
    generator, _, _ = trained_generator(
        config,
        workdir,
        checkpoint=options.checkpoint,
        weights=None,
        texts=read_texts(options.card),
        log=print,
    )
    variables = {"params": generator.params, **generator.model_state}
    path = FOLDER / f"{options.name}.safetensors"
    save_weights(path, variables, metadata=generator.card, dtype=np.float16)


def describe(name: str) -> None:
    """Writes the model card and the picture of a packed generator."""
    generator = zoo.load(name)
    card, labels = generator.card, generator.class_names
    path = FOLDER / f"{name}.safetensors"
    # Eight rows; one column per class, if there are any.
    columns = len(labels) or 8
    images = generator.sample(jax.random.key(0), 8 * columns)
    picture = image_grid(to_uint8(np.asarray(images)), columns=columns, padding=2)
    save_png(DOCS / f"{name}.png", picture)
    text = model_card(card, usage=usage(generator), size=path.stat().st_size)
    write_text(FOLDER / f"{name}.md", text)
    print(f"{path}: {path.stat().st_size:,} bytes")


def usage(generator: zoo.Pretrained) -> str:
    """Returns the section on how to draw samples."""
    name = generator.name
    labels = ", labels=3" if generator.class_names else ""
    shape = ", ".join(map(str, generator.card["data"]["example_shape"]))
    return f"""```python
import jax
from wgan_jax import zoo

generator = zoo.load("{name}")
images = generator.sample(jax.random.key(0), 64{labels})  # [64, {shape}] in [-1, 1]
```

`wgan-jax sample --pretrained={name}` draws from the command line, and `wgan-jax export
--pretrained={name}` writes it in other formats. The weights are in half precision."""


def main() -> int:
    """Packs one run, or describes a packed one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, help="folder of the run")
    parser.add_argument("--name", required=True, help="name of the generator")
    parser.add_argument("--card", type=Path, help="texts of the card")
    parser.add_argument("--checkpoint", default="latest")
    options = parser.parse_args()
    if options.workdir is not None:
        pack(options)
    describe(options.name)
    if (FOLDER / f"{options.name}.safetensors").stat().st_size > LIMIT:
        print(f"{options.name} is larger than {LIMIT:,} bytes.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
