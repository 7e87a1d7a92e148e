"""WGAN-GP on CIFAR-10 with the convolutional networks of its paper.

Paper:   Gulrajani et al. 2017, "Improved Training of Wasserstein GANs",
         arXiv:1704.00028. Settings of the authors' ``gan_cifar.py``: 5x5 kernels,
         no normalization in the critic, constant learning rate.
Command: python launch.py --config=configs/cifar10_wgan_gp.py
         If the dataset is missing and there is no network, add
         --config.dataset.data_dir=DIR.
Cost:    generator 5,179,907 and critic 4,114,689 parameters. About 11 CPU seconds
         per iteration (5 s on two x86 cores); 3 with both widths at 64.
Expect:  the Wasserstein estimate rises for a few hundred iterations, then decreases
         slowly for the rest of the run. Colors appear after some hundred
         iterations, shapes after a few thousand. The authors' code notes that
         width 128 overfits and 64 does not.
"""

import ml_collections
from ml_collections.config_dict import placeholder


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = ml_collections.ConfigDict()
    config.seed = 0  # of weights, data order and latents
    config.objective = "wasserstein"

    config.dataset = ml_collections.ConfigDict()
    config.dataset.name = "cifar10"
    config.dataset.split = "train"
    config.dataset.data_dir = placeholder(str)
    config.dataset.resize = placeholder(int)  # side in pixels; None: no resizing
    config.dataset.dequantize = False  # add noise of one gray level
    config.dataset.flip = False  # mirror real images with probability 1/2
    config.dataset.labels = False  # class-conditional generation

    config.generator = ml_collections.ConfigDict()
    config.generator.name = "dcgan_gp"
    config.generator.width = 128  # channels before the last layer
    config.generator.latent_size = 128  # latents are standard normal

    config.critic = ml_collections.ConfigDict()
    config.critic.name = "dcgan_gp"
    config.critic.width = 128  # channels after the first layer
    config.critic.parametrization = "plain"  # or "spectral", "weight_norm"

    config.penalty = ml_collections.ConfigDict()
    config.penalty.name = "gradient_penalty"
    config.penalty.weight = 10.0
    config.penalty.every = 1  # interval in critic updates; the weight is scaled by it
    config.penalty.target = placeholder(float)  # target gradient norm; None: 1
    config.penalty.one_sided = placeholder(bool)  # penalize only norms above the target

    config.optimizer = ml_collections.ConfigDict()
    for player in ("generator", "critic"):
        config.optimizer[player] = ml_collections.ConfigDict()
        config.optimizer[player].name = "adam"
        config.optimizer[player].learning_rate = 1e-4
        config.optimizer[player].b1 = 0.5
        config.optimizer[player].b2 = 0.9

    config.training = ml_collections.ConfigDict()
    config.training.iterations = 200_000  # generator updates
    config.training.iterations_per_call = 1  # above 1 helps only for tiny networks
    config.training.batch_size = 64  # real examples per critic update, all devices
    config.training.generator_batch_size = placeholder(int)  # None: batch_size
    config.training.microbatches = 1  # parts of a batch for gradient accumulation
    config.training.n_critic = 5  # critic updates per generator update
    config.training.ema_decay = 0.999  # of the generator's moving average
    config.training.learning_rate_schedule = "constant"  # or "linear_decay", "cosine"
    config.training.learning_rate_final = placeholder(float)  # factor, for "cosine"
    config.training.schedule_iterations = placeholder(int)  # None: the whole run
    config.training.compute_dtype = "float32"  # or "bfloat16"; parameters stay float32
    config.training.replicas = 1  # runs in parallel with seeds seed, seed + 1, ...
    config.training.placement = "replicated"  # or "zero1": shard Adam state and EMA

    config.sweep = ml_collections.ConfigDict()
    config.sweep.field = placeholder(str)  # such as "penalty.weight"
    config.sweep.values = placeholder(tuple)  # run in parallel, each with every seed

    config.augmentation = ml_collections.ConfigDict()
    config.augmentation.policy = placeholder(str)  # "color,translation,cutout"

    config.checkpoint = ml_collections.ConfigDict()
    config.checkpoint.every = 1_000  # iterations
    config.checkpoint.keep = 2  # number of newest checkpoints

    config.samples = ml_collections.ConfigDict()
    config.samples.every = 500  # iterations
    config.samples.count = 64  # number of examples
    config.samples.seed = 0  # of the fixed latents
    config.samples.label = placeholder(int)  # None: each class in turn

    config.log = ml_collections.ConfigDict()
    config.log.every = 10  # iterations

    config.evaluation = ml_collections.ConfigDict()
    config.evaluation.every = 0  # iterations; 0: only with --mode=evaluate
    config.evaluation.count = 10_000  # number of generated and of real examples
    config.evaluation.features = ml_collections.ConfigDict()
    config.evaluation.features.name = "lite0"  # needs the extra eval; or "inception"
    config.evaluation.features.path = placeholder(str)  # weights file; None: default
    config.evaluation.measures = placeholder(tuple)  # names; None: all that apply
    config.evaluation.split = placeholder(str)  # of real examples; None: dataset.split
    config.evaluation.held_out = "test"  # a split not used to train the critic
    config.evaluation.best_by = "frechet_distance"  # metric for the best checkpoint
    config.evaluation.batch_size = 100
    config.evaluation.seed = 0

    config.lock()
    return config
