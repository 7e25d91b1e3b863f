"""From the files of a run to one folder with a page to look at and listen to; no torch, no server."""
