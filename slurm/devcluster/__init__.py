"""A real throwaway Slurm cluster of several nodes on one Debian machine."""
