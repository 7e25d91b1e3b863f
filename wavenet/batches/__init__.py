"""From shards to batches, in an order that is a pure function of seed and position."""
