"""Goodfellow et al. 2014, arXiv:1406.2661, section 3."""

import torch
from problem import cross_entropy

CASES = {"default": {}, "smoothed": {"label_smoothing": 0.1}}


def critic_loss(real, fake, *, label_smoothing=0.0):
    return cross_entropy(real, fake, label_smoothing)


def generator_loss(real, fake, *, label_smoothing=0.0):
    return -torch.log(torch.sigmoid(fake)).mean()
