"""Classes in generators and critics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_networks import (
    apply,
    call,
    generator_of,
    having,
    init,
    labels,
    moved,
    small_critic,
    small_generator,
    start,
)

from wgan_jax.networks import CRITICS

CRITICS_BY_CLASS = having("classes")
BY_CLASS = having("classes", of=generator_of)
# Those where labels enter through batch norm by class and nothing else.
NORMED = [case for case in BY_CLASS if case[0] in ("dcgan_gp", "sngan_cnn", "resnet")]
NORMED += [case for case in BY_CLASS if case[0] == "resnet64"]
HEADED = having("head")
Y, OTHER = labels(0, 1, 2, 0, 1, 2), labels(1, 1, 2, 0, 1, 2)


def test_which_rows_know_classes():
    names = {"dcgan", "dcgan_gp", "sngan_cnn", "resnet", "resnet64", "r3gan"}
    assert {case[0] for case in CRITICS_BY_CLASS} >= names
    assert {case[0] for case in BY_CLASS} >= names
    assert not {"mlp", "article"} & {c[0] for c in CRITICS_BY_CLASS + BY_CLASS}


@pytest.mark.parametrize("case", NORMED, ids=str)
def test_a_generator_by_class_starts_as_the_plain_one(case, key):
    generator, latent = small_generator(case, key, classes=3)
    variables = init(generator, key, latent, Y)
    images = apply(generator, variables, latent, Y, train=True)
    plain, _ = small_generator(case, key)
    expected = apply(plain, init(plain, key, latent), latent, train=True)
    np.testing.assert_allclose(images, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("case", BY_CLASS, ids=str)
def test_a_label_changes_its_own_image(case, key):
    generator, latent = small_generator(case, key, classes=3)
    variables = moved(init(generator, key, latent, Y), key)
    a, b = (call(generator, variables, latent, y, train=False) for y in (Y, OTHER))
    changed = np.asarray(jnp.any((a != b).reshape(6, -1), 1))
    np.testing.assert_array_equal(np.flatnonzero(changed), [0])


@pytest.mark.parametrize("case", HEADED, ids=str)
def test_projection_adds_the_product_with_the_embedding(case, key):
    critic, images = small_critic(case, key, classes=3, head="projection")
    variables = init(critic, key, images, Y)
    (a, sown), (b, _) = (
        apply(critic, variables, images, y, train=False, mutable=["intermediates"])
        for y in (Y, OTHER)
    )
    (h,) = sown["intermediates"]["features"]
    assert "class_logits" not in sown["intermediates"]
    table = variables["params"]["output"]["embedding"]["kernel"]
    expected = jnp.sum((table[Y] - table[OTHER]) * h, 1)
    np.testing.assert_allclose(a - b, expected, rtol=1e-3, atol=1e-5)
    assert a[0] != b[0]
    plain, _ = small_critic(case, key)
    base = apply(plain, init(plain, key, images), images, train=False)
    product = jnp.sum(table[Y] * h, 1)
    np.testing.assert_allclose(a, base + product, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("case", HEADED, ids=str)
def test_an_auxiliary_head_leaves_the_score_and_sows_logits(case, key):
    critic, images = small_critic(case, key, classes=3, head="auxiliary")
    variables = init(critic, key, images)
    scores, sown = apply(
        critic, variables, images, train=False, mutable=["intermediates"]
    )
    (logits,) = sown["intermediates"]["class_logits"]
    (h,) = sown["intermediates"]["features"]
    layer = variables["params"]["output"]["class_logits"]
    np.testing.assert_allclose(
        logits, h @ layer["kernel"] + layer["bias"][None], rtol=1e-3, atol=1e-5
    )
    plain, _ = small_critic(case, key)
    base = apply(plain, init(plain, key, images), images, train=False)
    np.testing.assert_allclose(scores, base, rtol=1e-4, atol=1e-6)
    labelled = apply(critic, variables, images, Y, train=False)
    np.testing.assert_array_equal(labelled, scores)


def test_the_modern_critic_multiplies_by_the_embedding(key):
    (case,) = (case for case in BY_CLASS if case[0] == "r3gan")
    critic, images = small_critic(case, key, classes=3)
    variables = init(critic, key, images, Y)
    scores, sown = apply(
        critic, variables, images, Y, train=False, mutable=["intermediates"]
    )
    (h,) = sown["intermediates"]["features"]
    params = variables["params"]
    vectors = params["embedding"]["kernel"][Y]
    expected = jnp.sum((h @ params["output"]["kernel"]) * vectors, 1)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("case", CRITICS_BY_CLASS, ids=str)
def test_scores_by_class_depend_on_their_own_example_alone(case, key):
    critic, images = small_critic(case, key, classes=3)
    variables = moved(init(critic, key, images, Y), key)
    changed = images.at[2].set(-images[2])
    a, b = (call(critic, variables, x, Y, train=True) for x in (images, changed))
    np.testing.assert_array_equal(np.flatnonzero(np.asarray(a != b)), [2])
    c = call(critic, variables, images, OTHER, train=True)
    np.testing.assert_array_equal(np.flatnonzero(np.asarray(a != c)), [0])


@pytest.mark.parametrize(
    ("case", "small"),
    [(case, small_generator) for case in BY_CLASS]
    + [(case, small_critic) for case in CRITICS_BY_CLASS],
    ids=lambda x: getattr(x, "__name__", str(x)),
)
def test_labels_and_classes_go_together(case, small, key):
    module, x = small(case, key)
    with pytest.raises(ValueError, match="omit the labels"):
        start(module, x, Y)
    module, _ = small(case, key, classes=3)
    with pytest.raises(ValueError, match="with classes=3 they are required"):
        start(module, x)
    for wrong in (jax.nn.one_hot(Y, 3), Y.astype("float32"), Y[:, None]):
        with pytest.raises(ValueError, match=r"must be integers of shape \[B\]"):
            start(module, x, wrong)


@pytest.mark.parametrize("case", HEADED, ids=str)
def test_a_head_that_does_not_fit_is_refused(case, key):
    critic, images = small_critic(case, key)
    with pytest.raises(ValueError, match="'auxiliary', which needs classes"):
        start(critic.clone(head="auxiliary"), images)
    with pytest.raises(ValueError, match="one of projection, auxiliary"):
        start(critic.clone(classes=3, head="linear"), images, Y)


@pytest.mark.parametrize("case", NORMED, ids=str)
def test_classes_without_the_norm_that_reads_them_are_refused(case, key):
    generator, latent = small_generator(case, key, classes=3, batch_norm=False)
    with pytest.raises(ValueError, match="which applies the labels"):
        start(generator, latent, Y)


def test_an_empty_head_is_the_projection():
    images = jnp.ones((6, 8, 8, 3))
    empty = CRITICS["dcgan_gp"](width=4, classes=3)
    named = empty.clone(head="projection")
    assert start(empty, images, Y) == start(named, images, Y)
