"""Goodfellow 2014, arXiv:1412.6515, by the odds of the discriminator."""

import torch
from problem import cross_entropy

CASES = {"default": {}, "smoothed": {"label_smoothing": 0.1}}


def critic_loss(real, fake, *, label_smoothing=0.0):
    return cross_entropy(real, fake, label_smoothing)


def generator_loss(real, fake, *, label_smoothing=0.0):
    odds = torch.sigmoid(fake) / (1 - torch.sigmoid(fake))
    return -odds.mean()
