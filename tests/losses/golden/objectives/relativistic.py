"""Jolicoeur-Martineau 2018, arXiv:1807.00734, paired, with a sigmoid."""

import torch

CASES = {"default": {}}


def log_sigmoid(t):
    return torch.log(torch.sigmoid(t))


def critic_loss(real, fake):
    return -log_sigmoid(real - fake).mean()


def generator_loss(real, fake):
    return -log_sigmoid(fake - real).mean()
