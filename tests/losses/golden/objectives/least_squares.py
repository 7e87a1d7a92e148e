"""Mao et al. 2017, arXiv:1611.04076, equation 2 with labels a, b and c."""

CASES = {
    "default": {},
    "labels": {"real_label": 0.9, "fake_label": -1.0, "generator_label": 0.3},
}


def critic_loss(real, fake, *, real_label=1.0, fake_label=0.0, generator_label=1.0):
    real_part = 0.5 * (real - real_label).pow(2).mean()
    return real_part + 0.5 * (fake - fake_label).pow(2).mean()


def generator_loss(real, fake, *, real_label=1.0, fake_label=0.0, generator_label=1.0):
    return 0.5 * (fake - generator_label).pow(2).mean()
