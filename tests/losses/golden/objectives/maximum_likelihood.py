"""Goodfellow 2014, arXiv:1412.6515, by the odds of the discriminator."""

import torch
from problem import cross_entropy

CASES = {"default": {}}


def critic_loss(real, fake):
    return cross_entropy(real, fake)


def generator_loss(real, fake):
    odds = torch.sigmoid(fake) / (1 - torch.sigmoid(fake))
    return -odds.mean()
