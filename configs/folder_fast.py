"""DCGAN with augmentation for one's own pictures, 1,000 to 10,000 of them.

Paper:   Radford, Metz, Chintala 2015, arXiv:1511.06434, for the networks and the
         non-saturating loss; Zhao et al. 2020, arXiv:2006.10738, for the
         augmentation of real and generated images, without which the critic
         memorizes a small set.
Command: python launch.py --config=configs/folder_fast.py --config.dataset.path=DIR
         (--config.dataset.size=64 for larger images; --config.dataset.labels=True if
         the subfolders are classes)
Cost:    generator 921,472 and critic 663,296 parameters for 32 pixels; about eight
         iterations per second on two cores of an AMD EPYC (Zen 4) with bfloat16
         products.
Expect:  by class, after 24,000 iterations on 3,786 emoji (npm
         emoji-datasource-twitter, CC-BY 4.0), faces, flags, hands and people; see
         docs/tutorials/own-pictures.md.
"""

import ml_collections

from configs import cifar10_fast


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_fast.get_config()
    with config.unlocked():
        config.dataset.name = "folder"
        config.dataset.data_dir = None
        config.dataset.path = ""  # a folder, or a zip or tar archive
        config.dataset.size = 32  # pixels
        config.dataset.labels = False
        config.dataset.flip = True  # mirror real images with probability 1/2
        config.critic.head = ""
        config.augmentation.policy = "color,translation,cutout"
        config.evaluation.held_out = None
    return config
