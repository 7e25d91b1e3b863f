"""HDF5 files of clips: planned, written by many workers, indexed last, read by memory map."""
