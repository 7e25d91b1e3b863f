"""What a folder of music holds: recordings, their tags, genres and the split into training and validation."""
