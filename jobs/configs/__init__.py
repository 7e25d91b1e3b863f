"""Presets that Hydra composes; one folder per group."""
