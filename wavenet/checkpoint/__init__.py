"""What a run has committed: a numbered ledger and immutable, digested checkpoints. Numpy only."""
