from wgan_jax.data import load_source

source = load_source("digits", split="train[:100]")
print(source.images.shape, source.num_classes)  # (100, 8, 8, 1) 10
