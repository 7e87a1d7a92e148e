from wgan_jax.data import Pipeline, load_source, prefetch

pipeline = Pipeline(
    load_source("digits"),
    batch_size=32,
    seed=0,
    critic_updates=lambda iteration: 5,
    critic_updates_before=lambda iteration: 5 * iteration,
)
shapes = [batch["image"].shape for batch in prefetch(pipeline, 0, 2)]
print(shapes)  # [(5, 32, 8, 8, 1), (5, 32, 8, 8, 1)]
