"""What `wavenet doctor` looks at, here and on a compute node."""
