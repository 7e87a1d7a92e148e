from wgan_jax import zoo

print(zoo.names())  # ['cifar10', 'digits', 'fashion_mnist']
