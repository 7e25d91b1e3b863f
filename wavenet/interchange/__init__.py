"""Checkpoints in other formats, and one door that opens them all."""
