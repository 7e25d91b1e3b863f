"""The smallest training that is still one, as the user's own words: a step takes some milliseconds."""

from __future__ import annotations

SMALL = (
    "model.layers_per_stack=4",
    "model.residual_channels=8",
    "model.dilation_channels=8",
    "model.skip_channels=8",
    "training.window_samples=200",
    "training.micro_batches=2",
    "training.warmup_steps=2",
    "training.validation_every=0",
    "training.checkpoint_steps=[]",
    "training.spread_checkpoints=1",
    "training.log_every=1",
)
