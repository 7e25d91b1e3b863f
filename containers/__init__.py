"""Images of the program, and the Debian root in which they are tried under a recent Slurm."""
