"""Train WaveNet on a folder of tagged music and generate audio from it."""
