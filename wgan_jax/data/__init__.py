"""In-memory datasets, and batches as a pure function of (seed, iteration)."""

from wgan_jax.data.pipeline import (
    AnyPipeline,
    Pipeline,
    PipelineCalls,
    PipelineStack,
    prefetch,
)
from wgan_jax.data.source import Source
from wgan_jax.data.sources import DATASETS, load_source
from wgan_jax.errors import DataError

__all__ = [
    "DATASETS",
    "AnyPipeline",
    "DataError",
    "Pipeline",
    "PipelineCalls",
    "PipelineStack",
    "Source",
    "load_source",
    "prefetch",
]
