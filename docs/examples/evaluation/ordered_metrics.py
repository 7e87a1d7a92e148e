from wgan_jax.evaluation import MEASURES, ordered_metrics

measures = [MEASURES["frechet"], MEASURES["similarity"]]
print(ordered_metrics(measures))  # ['frechet_distance']
