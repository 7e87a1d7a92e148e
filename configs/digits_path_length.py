"""WGAN-GP on digits with path length regularization of the generator.

Paper:   Karras et al. 2020, "Analyzing and Improving the Image Quality of
         StyleGAN", arXiv:1912.04958, section 3.2: weight 2, decay 0.01, every
         fourth update, as in the authors' code. Here, the regularization is with
         respect to the latents. The networks are those of digits_wgan_gp, without
         batch normalization in the generator, which would make its Jacobian mix
         the examples.
Command: python launch.py --config=configs/digits_path_length.py
Cost:    generator 141,569 and critic 10,753 parameters; a minute or two on two cores.
Expect:  recognizable digits. generator/path_length settles near its moving average,
         generator/path_length_mean.
"""

import ml_collections

from configs import digits_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = digits_wgan_gp.get_config()
    with config.unlocked():
        config.generator.batch_norm = False
        config.regularizer = ml_collections.ConfigDict()
        config.regularizer.name = "path_length"
        config.regularizer.weight = 2.0
        config.regularizer.every = 4  # interval in updates; the weight is scaled by it
        config.regularizer.decay = 0.01  # of the moving average
        config.training.iterations = 3_000
        config.samples.every = 500
        config.checkpoint.every = 1_000
        config.evaluation.every = 1_000
    return config
