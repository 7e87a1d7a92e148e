"""Mescheder, Geiger, Nowozin 2018, arXiv:1801.04406, equation 9, without gamma."""

from problem import REAL, input_gradients

CASES = {"default": {}}


def value(p):
    return input_gradients(p, REAL).pow(2).flatten(1).sum(1).mean() / 2
