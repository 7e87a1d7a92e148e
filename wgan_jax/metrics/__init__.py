"""Metrics of generated samples, as pure functions of images or features."""

from wgan_jax.metrics.distances import (
    Estimate,
    frechet_distance,
    inception_score,
    kernel_distance,
    sliced_wasserstein_features,
)
from wgan_jax.metrics.diversity import (
    ModeScores,
    mode_scores,
    pair_similarity,
    perceptual_path_length,
    structural_similarity,
)
from wgan_jax.metrics.download import inception_weights
from wgan_jax.metrics.features import (
    FeatureExtractor,
    Features,
    FunctionFeatures,
    extract_features,
    rgb_levels,
)
from wgan_jax.metrics.inception import InceptionFeatures
from wgan_jax.metrics.lite0 import Lite0Features
from wgan_jax.metrics.manifold import (
    ManifoldScores,
    Neighbours,
    manifold_scores,
    nearest_neighbours,
)
from wgan_jax.metrics.moments import (
    Moments,
    mean_and_covariance,
    merge_moments,
    no_moments,
    update_moments,
)
from wgan_jax.metrics.protocol import (
    MetricProtocol,
    Result,
    compare,
    describe,
    from_json,
    to_json,
)
from wgan_jax.metrics.state_dict import hash_state_dict, read_state_dict

__all__ = [
    "Estimate",
    "FeatureExtractor",
    "Features",
    "FunctionFeatures",
    "InceptionFeatures",
    "Lite0Features",
    "ManifoldScores",
    "MetricProtocol",
    "ModeScores",
    "Moments",
    "Neighbours",
    "Result",
    "compare",
    "describe",
    "extract_features",
    "frechet_distance",
    "from_json",
    "hash_state_dict",
    "inception_score",
    "inception_weights",
    "kernel_distance",
    "manifold_scores",
    "mean_and_covariance",
    "merge_moments",
    "mode_scores",
    "nearest_neighbours",
    "no_moments",
    "pair_similarity",
    "perceptual_path_length",
    "read_state_dict",
    "rgb_levels",
    "sliced_wasserstein_features",
    "structural_similarity",
    "to_json",
    "update_moments",
]
