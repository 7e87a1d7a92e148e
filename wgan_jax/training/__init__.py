"""Training: initial state, gradients, parameter updates and training steps."""
