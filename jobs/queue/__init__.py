"""Slurm: how a job gets in, why it ends, what it leaves."""
