"""What runs in a job or on this machine, and how it is carried through to its end."""
