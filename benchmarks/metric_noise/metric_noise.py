"""Response of each metric to images that are corrupted by a known amount.

    python benchmarks/metric_noise/metric_noise.py --data_dir DIR  # everything
    python benchmarks/metric_noise/metric_noise.py --redraw  # from the .json
    python benchmarks/metric_noise/metric_noise.py --count 250 --name quick

It takes two disjoint samples of CIFAR-10's training split. One is the
reference, the other is corrupted by increasing noise, blur, missing classes and
duplicates. Every metric of ``wgan_jax.metrics`` is computed at each strength,
on the features of EfficientNet-Lite0 (the extra ``eval``). Pairs of untouched
samples of several sizes show the bias. The results are written to
``docs/metric_noise.json`` and ``.png``; the figure needs
``pip install matplotlib``.

The script ends with an error if a distance between features does not increase
with each step of the noise. Other steps without an increase are printed and
circled in the figure.
"""

import argparse
import functools
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import jax
import jax.numpy as jnp
import numpy as np
from metric_noise_figure import HELD, figure, load, setbacks, tables
from scipy.ndimage import gaussian_filter

from wgan_jax.data import load_source
from wgan_jax.metrics import (
    FunctionFeatures,
    Lite0Features,
    Result,
    describe,
    extract_features,
    frechet_distance,
    inception_score,
    kernel_distance,
    manifold_scores,
    nearest_neighbours,
    pair_similarity,
    sliced_wasserstein_features,
    to_json,
)

SPLIT = "train"
SUBSETS, PROJECTIONS, PAIRS = 50, 1000, 1000
PRECISION_K, COVERAGE_K, SPLITS = 3, 5, 10
STRENGTHS = {  # the first strength leaves the images unchanged
    "noise": (0, 2, 4, 8, 16, 32, 64),  # gray levels, standard deviation
    "blur": (0, 0.5, 1, 2),  # pixels, standard deviation
    "classes": (10, 5, 2, 1),  # number that remain
    "copies": (1, 2, 5, 10, 25),  # of each image
}
SIZES = (0.2, 0.4, 1, 2)  # of untouched samples, relative to --count
REPEATS = 3  # maximum number of disjoint pairs of untouched samples
DOCS = Path(__file__).parents[2] / "docs"
PIXELS = FunctionFeatures(
    lambda images: jnp.asarray(images, jnp.float32).reshape(len(images), -1) / 255,
    name="pixels/255",
    weights="none",
    size=3072,
)
START = time.perf_counter()


def log(text):
    """Prints a line with the seconds since the start."""
    print(f"[{time.perf_counter() - START:5.0f} s] {text}", flush=True)


def spoilt(images, corruption, strength):
    """Returns uint8 images with blur or noise; all strengths scale the same noise."""
    levels = images.astype(np.float32)
    if corruption == "noise":
        draw = np.random.default_rng(1).standard_normal(images.shape, np.float32)
        levels += strength * draw
    elif corruption == "blur":
        levels = gaussian_filter(levels, (0, strength, strength, 0), mode="nearest")
    return np.rint(np.clip(levels, 0, 255)).astype(np.uint8)


class Sample:
    """Images with everything that the metrics need."""

    def __init__(self, extractor, images):
        """Extracts features, logits and pixels."""
        self.images = images
        self.features, self.logits = extract_features(extractor, images, batch_size=100)
        self.pixels = np.asarray(PIXELS(images).values)

    @functools.cached_property
    def moments(self):
        """Mean and covariance of the features, in float64."""
        x = self.features.astype(np.float64)
        return x.mean(axis=0), np.cov(x, rowvar=False)

    def at(self, rows):
        """Returns a part of the sample."""
        part = object.__new__(Sample)
        for name in ("images", "features", "logits", "pixels"):
            setattr(part, name, getattr(self, name)[rows])
        return part


def sliced(x, y, seed):
    """Computes the sliced Wasserstein distance of order 2."""
    key = jax.random.key(seed)
    return sliced_wasserstein_features(x, y, key, projections=PROJECTIONS)


def measure(extractor, real, fake, *, subset_size, seed):
    """Computes every metric; returns results with protocols by name."""
    results = {}

    def add(name, value, deviation=None, *, of=extractor, alone=False, **options):
        protocol = describe(
            of,
            metric=name,
            real_count=0 if alone else len(real.images),
            fake_count=len(fake.images),
            split=f"cifar10/{SPLIT}",
            seed=seed,
            **options,
        )
        spread = None if deviation is None else round(deviation, 6)
        results[name] = Result(round(value, 6), protocol, spread)

    x, y = real.features, fake.features
    add("frechet", frechet_distance(*real.moments, *fake.moments))
    subsets = {"subsets": SUBSETS, "subset_size": subset_size}
    add("kernel", *kernel_distance(x, y, seed=seed, **subsets), **subsets)
    lines = {"projections": PROJECTIONS, "order": 2}
    add("sliced features", sliced(x, y, seed), **lines)
    add("sliced pixels", sliced(real.pixels, fake.pixels, seed), of=PIXELS, **lines)
    balls = {"precision_k": PRECISION_K, "coverage_k": COVERAGE_K}
    for name, share in manifold_scores(x, y, **balls)._asdict().items():
        add(f"1 - {name}", 1 - share, **balls)
    score = inception_score(fake.logits, splits=SPLITS, seed=seed)
    add("inception score", *score, alone=True, splits=SPLITS)
    alike = pair_similarity(fake.images, pairs=PAIRS, seed=seed)
    add("pair similarity", *alike, of=PIXELS, alone=True, pairs=PAIRS)
    for name, number in looks(x, y).items():
        add(name, number, precision_k=PRECISION_K)
    return results


def looks(x, y):
    """Returns statistics on the location of the corrupted sample y.

    They help to explain its precision: the median radius of its own balls, its
    median distance from the mean of the real sample, and the fraction of y that
    is in none of the smaller half of the real sample's balls.
    """
    radii, own = (
        nearest_neighbours(z, z, k=PRECISION_K + 1).distances[:, -1] for z in (x, y)
    )
    small = radii <= np.median(radii)
    z, w = (a.astype(np.float64) - x.mean(axis=0) for a in (x[small], y))
    squares = (z**2).sum(1)[:, None] + (w**2).sum(1) - 2 * z @ w.T
    inside = (squares <= radii[small, None] ** 2).any(axis=0)
    return {
        "own radius": float(np.median(own)),
        "from centre": float(np.median(np.linalg.norm(w, axis=1))),
        "outside small balls": 1 - float(inside.mean()),
    }


def corrupted(extractor, source, arguments):
    """Yields ``(corruption, strength, results)``."""
    order = np.random.default_rng(arguments.seed).permutation(len(source))
    count, rest = arguments.count, order[arguments.count :]
    real = Sample(extractor, source.images[order[:count]])
    untouched = Sample(extractor, source.images[rest[:count]])
    size = {"subset_size": count // 5, "seed": arguments.seed}
    start = measure(extractor, real, untouched, **size)
    for corruption in arguments.corruptions:
        first, *strengths = STRENGTHS[corruption]
        yield corruption, first, start
        for strength in strengths:
            if corruption == "copies":
                fake = untouched.at(np.arange(count) // strength)
            elif corruption == "classes":
                kept = rest[source.labels[rest] < strength][:count]
                fake = Sample(extractor, source.images[kept])
            else:
                images = spoilt(source.images[rest[:count]], corruption, strength)
                fake = Sample(extractor, images)
            yield corruption, strength, measure(extractor, real, fake, **size)


def untouched_pairs(extractor, source, arguments):
    """Yields ``("none", size, results)`` of disjoint pairs of samples of equal size."""
    order = np.random.default_rng(arguments.seed + 1).permutation(len(source))
    sizes = [round(part * arguments.count) for part in SIZES]
    pool = Sample(extractor, source.images[order[: 2 * sizes[-1]]])
    subsets = {"subset_size": arguments.count // 5, "seed": arguments.seed}
    for size in sizes:
        for start in range(0, 2 * sizes[-1], 2 * size)[:REPEATS]:
            real = pool.at(slice(start, start + size))
            fake = pool.at(slice(start + size, start + 2 * size))
            yield "none", size, measure(extractor, real, fake, **subsets)


def save(rows, settings, path):
    """Writes one line per result, so that two files can be compared."""
    lines = [
        f'{{"corruption": "{corruption}", "strength": {strength}, {to_json(result)[1:]}'
        for corruption, strength, result in rows
    ]
    head = json.dumps(settings, indent=1)
    text = ",\n  ".join(lines)
    path.write_text(f'{{\n"settings": {head},\n"rows": [\n  {text}\n]\n}}\n')


def parse():
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = list(STRENGTHS)
    parser.add_argument(
        "--data_dir", help="folder of prepared tfds data [TFDS_DATA_DIR]"
    )
    parser.add_argument("--count", type=int, default=2500, help="images per sample")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corruptions", nargs="*", default=names, choices=names)
    parser.add_argument("--name", default="metric_noise", help="file name in docs/")
    parser.add_argument(
        "--redraw", action="store_true", help="draw the figure from the existing file"
    )
    return parser.parse_args()


def run(arguments, path):
    """Computes all results; the file is updated after each step."""
    source = load_source("cifar10", split=SPLIT, data_dir=arguments.data_dir)
    extractor = Lite0Features()
    settings = {
        "count": arguments.count,
        "seed": arguments.seed,
        "data": source.record(),
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }
    rows = []
    for part in (corrupted, untouched_pairs):
        for corruption, strength, results in part(extractor, source, arguments):
            log(f"{corruption} {strength}: frechet {results['frechet'].value:.4f}")
            rows += [(corruption, strength, result) for result in results.values()]
            save(rows, settings, path)
    log(f"Wrote {path}; {time.process_time():.0f} s of CPU time")


def main():
    """Computes, prints and draws; returns 1 if a feature distance ignores noise."""
    arguments = parse()
    path = DOCS / f"{arguments.name}.json"
    if not arguments.redraw:
        run(arguments, path)
    rows = load(path)
    print("\n".join(tables(rows)))
    figure(rows, path.with_suffix(".png"))
    broken = [metric for metric in HELD if setbacks(rows, "noise", metric)]
    for metric in broken:
        print(f"{metric} does not increase with the noise, but it should; see above.")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
