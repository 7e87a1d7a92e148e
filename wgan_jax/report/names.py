"""Readable names of metrics, for the report and for the reference."""

import re
from typing import NamedTuple


class Named(NamedTuple):
    """Name of a metric.

    Attributes:
        label: name in words.
        meaning: what it is, without a period at the end.
        needs: what a run needs to have it; empty if all runs have it.
    """

    label: str
    meaning: str
    needs: str = ""


_GAP = "mean real score minus mean fake score"
_ALL = "L2 norm over all parameters"
_CORRECTED = "one gradient penalty with target 1 as the only constraint"


def _player(label: str, name: str, examples: str) -> dict[str, Named]:
    """Returns the metrics that both networks have."""
    return {
        f"{name}/class_loss": Named(
            f"{label} class loss", f"class loss of {examples}", "an auxiliary head"
        ),
        f"{name}/class_accuracy": Named(
            f"{label} class accuracy",
            f"share of {examples} whose class is recognized",
            "an auxiliary head",
        ),
        f"{name}/grad_norm": Named(
            f"{label} gradient norm of the parameters", f"{_ALL} of the gradient"
        ),
        f"{name}/update_norm": Named(f"{label} update norm", f"{_ALL} of the update"),
        f"{name}/param_norm": Named(f"{label} parameter norm", _ALL),
    }


# LABEL is a label of config.penalties.
METRICS: dict[str, dict[str, Named]] = {
    "Critic": {
        "critic/loss": Named(
            "Critic loss", "what the critic minimizes, penalties included"
        ),
        "critic/wasserstein_estimate": Named(
            "Wasserstein estimate", _GAP, "objective `wasserstein`"
        ),
        "critic/score_gap": Named(
            "Score gap",
            "the same difference, where it does not estimate a distance",
            "other objectives, or nothing that bounds the gradient",
        ),
        "critic/real_score": Named("Score of real examples", "mean score"),
        "critic/fake_score": Named("Score of generated examples", "mean score"),
        "critic/real_sign": Named(
            "Sign of the real scores",
            "mean sign of the real scores, near 1 for a critic that overfits",
            "`augmentation.target`",
        ),
        "critic/penalty": Named(
            "Penalty", "sum of all penalties, with their weights", "a penalty"
        ),
        "critic/penalty/LABEL": Named(
            "Penalty LABEL", "one of `penalties`, with its weight", "`penalties`"
        ),
        "critic/gradient_norm_mean": Named(
            "Critic gradient norm, mean",
            "mean gradient norm at the points of the penalty",
            "penalties `gradient_penalty`, `dragan` and `divergence`",
        ),
        "critic/gradient_norm_max": Named(
            "Critic gradient norm, largest",
            "largest gradient norm at the points of the penalty",
            "penalties `gradient_penalty`, `dragan` and `divergence`",
        ),
        "critic/gradient_norm_at_reals": Named(
            "Critic gradient norm at real examples",
            "mean gradient norm at real examples",
            "`r1`, `divergence` at the ends",
        ),
        "critic/gradient_norm_at_penalized_fakes": Named(
            "Critic gradient norm at penalized fakes",
            "mean gradient norm at fake examples, in the critic update",
            "`r2`, `divergence` at the ends",
        ),
        "critic/gradient_norm_at_fakes": Named(
            "Critic gradient norm at fakes",
            "mean gradient norm at the fakes of the generator update",
        ),
        "critic/wasserstein_by_penalty": Named(
            "Wasserstein estimate, corrected by the penalty",
            "estimate corrected for the weight of the penalty",
            _CORRECTED,
        ),
        "critic/wasserstein_by_flow": Named(
            "Wasserstein estimate, corrected by the flow",
            "estimate minus twice the penalty",
            _CORRECTED,
        ),
        "critic/wasserstein_by_gradient_norm": Named(
            "Wasserstein estimate over the gradient norm",
            "estimate divided by the mean gradient norm",
            _CORRECTED,
        ),
        "critic/wasserstein_by_gradient_norm_at_fakes": Named(
            "Wasserstein estimate over the gradient norm at fakes",
            "estimate divided by the gradient norm at fakes",
            "objective `wasserstein` with other constraints",
        ),
        "critic/consistency": Named(
            "Consistency",
            "consistency term without its weight",
            "penalty `consistency`",
        ),
        "critic/augment_probability": Named(
            "Probability of augmentation",
            "current probability of augmentation",
            "`augmentation.probability`",
        ),
        **_player("Critic", "critic", "real examples"),
    },
    "Generator": {
        "generator/loss": Named(
            "Generator loss", "what the generator minimizes, regularizers included"
        ),
        "generator/regularizer": Named(
            "Regularizer",
            "sum of all regularizers, with their weights",
            "a regularizer",
        ),
        "generator/regularizer/LABEL": Named(
            "Regularizer LABEL",
            "one of several regularizers, with its weight",
            "several regularizers, in your own code",
        ),
        "generator/path_length": Named(
            "Path length", "path length", "regularizer `path_length`"
        ),
        "generator/path_length_mean": Named(
            "Path length, moving mean",
            "moving mean of the path length",
            "regularizer `path_length`",
        ),
        **_player("Generator", "generator", "generated examples"),
    },
    "Program": {
        "throughput/images_per_second": Named(
            "Images per second",
            "real examples used by the critic per second, without evaluations",
        ),
    },
    "Evaluations": {
        "frechet_distance": Named(
            "Fréchet distance", "distance of Gaussians with the moments of the features"
        ),
        "kernel_distance": Named(
            "Kernel distance", "squared maximum mean discrepancy of the features"
        ),
        "precision": Named(
            "Precision", "share of generated examples near real examples"
        ),
        "recall": Named("Recall", "share of real examples near generated examples"),
        "density": Named(
            "Density",
            "number of real neighborhoods that a generated example is in, over k",
        ),
        "coverage": Named(
            "Coverage", "share of real examples with a generated example close by"
        ),
        "sliced_wasserstein": Named(
            "Sliced Wasserstein distance",
            "Wasserstein distance of random one-dimensional projections",
        ),
        "inception_score": Named("Inception score", "confidence and variety of labels"),
        "pair_similarity": Named(
            "Similarity of pairs", "structural similarity of pairs of samples"
        ),
        "pair_similarity_of_data": Named(
            "Similarity of pairs of real examples", "the same of the dataset"
        ),
        "perceptual_path_length": Named(
            "Perceptual path length", "change of the features along interpolations"
        ),
        "critic_estimate_on_training_split": Named(
            "Critic's gap, training split",
            "the critic's gap between training examples and samples",
        ),
        "critic_estimate_on_held_out_split": Named(
            "Critic's gap, held-out split",
            "the critic's gap between held-out examples and samples",
        ),
        "critic_held_out_gap": Named(
            "Critic's gap between the splits",
            "mean score of training examples minus that of held-out examples",
        ),
        "exact_wasserstein_1": Named(
            "Exact Wasserstein-1 distance", "optimal transport between two samples"
        ),
        "exact_wasserstein_2": Named(
            "Exact Wasserstein-2 distance", "the same with squared distances"
        ),
        "modes_covered": Named("Modes covered", "components that have samples"),
        "high_quality_share": Named(
            "Share of good samples", "share within three deviations of a component"
        ),
    },
}
_KNOWN = {name: named for part in METRICS.values() for name, named in part.items()}
_LABELED = {
    re.compile(re.escape(name).replace("LABEL", "(?P<label>[^/]+)")): named
    for name, named in _KNOWN.items()
    if "LABEL" in name
}
_STD = "_std"


def readable(name: str) -> str:
    """Returns the name of a metric in words.

    Args:
        name: path of the metric, such as ``critic/loss`` or
            ``critic/loss_std``, the standard deviation over replicas.

    Returns:
        The name in words; the path itself if it is unknown.
    """
    if name in _KNOWN:
        return _KNOWN[name].label
    for pattern, named in _LABELED.items():
        if match := pattern.fullmatch(name):
            return named.label.replace("LABEL", match["label"])
    if name.endswith(_STD) and readable(name[: -len(_STD)]) != name[: -len(_STD)]:
        return f"{readable(name[: -len(_STD)])}, standard deviation"
    return name
