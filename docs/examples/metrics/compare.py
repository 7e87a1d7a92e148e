from wgan_jax.metrics import FunctionFeatures, Result, compare, describe

extractor = FunctionFeatures(
    lambda x: x.reshape(len(x), -1), name="values", weights="none", size=4
)
protocol = describe(
    extractor, metric="mine", real_count=10, fake_count=10, split="test", seed=0
)
print(compare(Result(3.0, protocol), Result(1.0, protocol)))  # 2.0
