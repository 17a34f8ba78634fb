"""`hraft doctor`: what is not as it should be in a running cluster, or in a data directory, and what to do about it."""
