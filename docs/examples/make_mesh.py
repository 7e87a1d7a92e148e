import jax

from wgan_jax import make_mesh

print(make_mesh().axis_names, make_mesh().size == jax.device_count())  # ('data',) True
