"""Wu et al. 2018, arXiv:1712.01026, algorithm 1, without k."""

from problem import BETWEEN, FAKE, REAL, norms

CASES = {"default": {}, "power": {"power": 2.5}, "ends": {"at": "ends"}}


def value(p, *, power=6, at="interpolates"):
    if at == "ends":
        ends = norms(p, REAL).pow(power).mean() + norms(p, FAKE).pow(power).mean()
        return ends / 2
    return norms(p, BETWEEN).pow(power).mean()
