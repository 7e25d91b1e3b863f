"""A small made-up music library, on which the whole pipeline can be shown and tested."""
