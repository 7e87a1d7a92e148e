"""Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875, algorithm 1, lines 5 and 10."""

CASES = {"default": {}}


def critic_loss(real, fake):
    return -(real.mean() - fake.mean())


def generator_loss(real, fake):
    return -fake.mean()
