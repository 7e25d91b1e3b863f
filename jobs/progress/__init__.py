"""What each run is doing, read from files and the queue."""
