"""Data of the schedulers: one profile per kind of cluster."""
