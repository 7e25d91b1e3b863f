"""Generated audio: incremental sampling, the plan of a run's clips, their files."""
