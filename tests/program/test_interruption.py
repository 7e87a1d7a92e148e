"""Tests of the signals that end a run."""

import os
import signal

import pytest

from wgan_jax.program.interruption import Interruption

NAMES = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU"]


@pytest.mark.parametrize("name", NAMES)
def test_a_signal_is_noted_and_the_second_has_its_usual_effect(name):
    number = signal.Signals[name]
    usual = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
    outer = signal.signal(number, usual)  # the tests may run under nohup
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert not interruption.due()
        os.kill(os.getpid(), number)
        assert interruption.due()
        assert interruption.signal == number
        assert interruption.exit_code == 128 + number
        assert signal.getsignal(number) == before
    assert signal.getsignal(number) == before
    signal.signal(number, outer)


@pytest.mark.parametrize("name", NAMES[2:])
def test_ignored_signals_stay_ignored(name):
    number = signal.Signals[name]
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), number)
            assert not interruption.due()
    finally:
        signal.signal(number, before)
