"""Writes the generator of a run to the package, with its model card.

    python benchmarks/recipes/pack.py --workdir=RUN --name=fashion_mnist \
        --card=benchmarks/recipes/cards/fashion_mnist.json

The EMA weights are stored in half precision. The JSON file has the title, the
description, the names of the classes, the license of the data and the command that
trains the generator again.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import jax
import numpy as np

from wgan_jax import zoo
from wgan_jax.config.loading import load_experiment
from wgan_jax.io.files import write_text
from wgan_jax.io.images import image_grid, save_png, to_uint8
from wgan_jax.io.weights import save_weights
from wgan_jax.program.restoring import restore_checkpoint, with_standing_statistics
from wgan_jax.program.setup import prepare
from wgan_jax.program.workdir import Workdir
from wgan_jax.sampling import generator_weights

FOLDER = Path(zoo.__file__).parent
DOCS = Path(__file__).parents[2] / "docs" / "zoo"
LIMIT = 2_000_000  # bytes
SCORES = ("kernel_distance", "frechet_distance", "precision", "recall", "coverage")


def main() -> int:
    """Packs one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, required=True, help="folder of the run")
    parser.add_argument("--name", required=True, help="name of the generator")
    parser.add_argument("--card", type=Path, required=True, help="texts of the card")
    parser.add_argument("--checkpoint", default="latest")
    options = parser.parse_args()
    workdir = Workdir(options.workdir)
    config, _ = load_experiment(workdir.config)
    record = json.loads(workdir.config.read_text())
    experiment = prepare(config, log=print, data=workdir.data())
    state, step = restore_checkpoint(workdir, experiment, options.checkpoint, log=print)
    state = with_standing_statistics(config, experiment.gan, state)
    params, model_state = generator_weights(state, use_ema=config.training.has_ema)
    record["config"]["dataset"].pop("data_dir", None)
    card = json.loads(options.card.read_text()) | {
        "config": record["config"],
        "data": {
            name: record["data"][name]
            for name in ("name", "split", "count", "example_shape", "num_classes")
        },
        "step": step,
        "parameters": sum(x.size for x in jax.tree.leaves(params)),
        "scores": scores(workdir, step),
        "packages": record["packages"],
    }
    card["data"]["class_names"] = card.pop("class_names", [])
    path = FOLDER / f"{options.name}.safetensors"
    save_weights(
        path, {"params": params, **model_state}, metadata=card, dtype=np.float16
    )
    if path.stat().st_size > LIMIT:
        path.unlink()
        print(f"{path.name} is larger than {LIMIT:,} bytes.", file=sys.stderr)
        return 1
    # Eight rows; one column per class, if there are any.
    columns = card["data"]["num_classes"] if card["data"]["class_names"] else 8
    images = zoo.load(options.name).sample(jax.random.key(0), 8 * columns)
    picture = image_grid(to_uint8(np.asarray(images)), columns=columns, padding=2)
    save_png(DOCS / f"{options.name}.png", picture)
    write_text(FOLDER / f"{options.name}.md", text(options.name, card, path))
    print(f"{path}: {path.stat().st_size:,} bytes")
    return 0


def scores(workdir: Workdir, step: int) -> list[dict[str, Any]]:
    """Returns the scores of the EMA weights at a step, with their protocols."""
    if not workdir.evaluations.exists():
        return []
    lines = map(json.loads, workdir.evaluations.read_text().splitlines())
    found = {}
    for line in lines:
        if line["step"] == step and line["weights"] == "ema":
            for result in line["results"]:
                facts = result["protocol"]
                if facts["metric"] in SCORES:
                    value = {"value": result["value"], **facts}
                    found[facts["metric"], facts["split"]] = value
    return list(found.values())


def text(name: str, card: dict[str, Any], path: Path) -> str:
    """Returns the model card as Markdown."""
    rows = "\n".join(
        f"| {s['metric'].replace('_', ' ')} | {s['value']:.3f} | {s['fake_count']:,} "
        f"samples, {s['real_count']:,} of `{s['split']}`, {s['features']} |"
        for s in card["scores"]
    )
    table = f"| metric | value | protocol |\n|---|---|---|\n{rows}\n\n" if rows else ""
    labels = card["data"]["class_names"]
    use = "labels=3" if labels else ""
    call = f"sample(jax.random.key(0), 64{', ' if use else ''}{use})"
    classes = (
        "Classes: "
        + ", ".join(f"{i} {label}" for i, label in enumerate(labels))
        + ".\n\n"
        if labels != [str(i) for i in range(len(labels))]
        else ""
    )
    shape = " x ".join(map(str, card["data"]["example_shape"]))
    return f"""# {card["title"]}

{card["description"]}

```python
import jax
from wgan_jax import zoo

images = zoo.load("{name}").{call}  # [64, {shape.replace(" x ", ", ")}] in [-1, 1]
```

`wgan-jax sample --pretrained={name}` draws from the command line.

| | |
|---|---|
| images | {shape} |
| parameters | {card["parameters"]:,} in half precision, {path.stat().st_size:,} bytes |
| training | {card["training"]} |
| command | `{card["command"]}` |
| license | {card["license"]} |

{classes}{table}Intended use: {card["intended_use"]}

Limits: {card["limits"]}
"""


if __name__ == "__main__":
    sys.exit(main())
