from wgan_jax.metrics import FunctionFeatures, Result, describe, from_json, to_json

extractor = FunctionFeatures(
    lambda x: x.reshape(len(x), -1), name="values", weights="none", size=4
)
protocol = describe(
    extractor, metric="mine", real_count=10, fake_count=10, split="test", seed=0
)
result = Result(3.0, protocol)
print(from_json(to_json(result)) == result)  # True
