"""Training: initial state, gradients, updates, and the steps made of them."""
