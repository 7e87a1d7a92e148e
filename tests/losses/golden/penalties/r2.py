"""Mescheder, Geiger, Nowozin 2018, arXiv:1801.04406, equation 10, without gamma."""

from problem import FAKE, input_gradients

CASES = {"default": {}}


def value(p):
    return input_gradients(p, FAKE).pow(2).flatten(1).sum(1).mean() / 2
