"""Training that carries on, bit for bit, from its latest checkpoint."""
