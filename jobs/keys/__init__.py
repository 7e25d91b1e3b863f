"""What was typed, profiles and presets, as frozen values that are checked."""
