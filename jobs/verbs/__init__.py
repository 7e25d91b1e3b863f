"""One verb of the command line each: its keys, and what it starts."""
