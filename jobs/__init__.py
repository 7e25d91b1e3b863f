"""The job system: the only home of Hydra, submitit and the environment."""
