"""Lim, Ye 2017, arXiv:1705.02894."""

import torch

CASES = {"default": {}}


def critic_loss(real, fake):
    shortfall = -(torch.clamp(real - 1, max=0).mean())
    return shortfall - torch.clamp(-fake - 1, max=0).mean()


def generator_loss(real, fake):
    return -fake.mean()
