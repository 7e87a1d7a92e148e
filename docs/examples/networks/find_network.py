from wgan_jax.networks import CRITICS, find_network

print(find_network(CRITICS, "resnet") is CRITICS["resnet"])  # True
