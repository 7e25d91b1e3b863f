"""The network: its configuration, its layers, its weights."""
