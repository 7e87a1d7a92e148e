from wgan_jax.metrics import FunctionFeatures, describe

extractor = FunctionFeatures(
    lambda x: x.reshape(len(x), -1), name="values", weights="none", size=4
)
protocol = describe(
    extractor, metric="mine", real_count=10, fake_count=10, split="test", seed=0
)
print(protocol.features, protocol.fake_count)  # values 10
