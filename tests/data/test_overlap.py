"""Tests that held-out examples are not training examples, without ids."""

import numpy as np
import pytest

from wgan_jax.data import Source, load_source
from wgan_jax.data.overlap import check_held_out
from wgan_jax.evaluation import EXTRACTORS, make_evaluator

RANDOM = np.random.RandomState(0)
IMAGES = RANDOM.randint(0, 256, (300, 4, 4, 1)).astype(np.uint8)


def own(split, images):
    return Source("own", split, images)


def test_examples_without_ids_are_compared_by_their_values():
    train = own("train", IMAGES[:200])
    check_held_out(train, own("dev", IMAGES[200:]))
    # Copies in 1 of 100 examples are common in public datasets.
    check_held_out(train, own("dev", IMAGES[199:299]))
    with pytest.raises(ValueError, match="'dev' has 100 examples, and 2 of them are"):
        check_held_out(train, own("dev", IMAGES[198:298]))


def test_a_library_user_cannot_hold_out_training_examples():
    # mimicry #33, OpenRLHF #1089
    both = load_source("digits", split="train+test")
    test = load_source("digits", split="test")
    extractor = EXTRACTORS["pixels"](both.example_shape)
    with pytest.raises(ValueError, match="297 of them are in the training split"):
        make_evaluator(
            both, extractor, ["held_out"], count=100, train=both, held_out=test
        )
    train = load_source("digits")  # the reference examples may be any
    make_evaluator(both, extractor, ["held_out"], count=99, train=train, held_out=test)
