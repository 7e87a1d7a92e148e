"""Goodfellow et al. 2014, arXiv:1406.2661, section 3."""

import torch
from problem import cross_entropy

CASES = {"default": {}}


def critic_loss(real, fake):
    return cross_entropy(real, fake)


def generator_loss(real, fake):
    return -torch.log(torch.sigmoid(fake)).mean()
