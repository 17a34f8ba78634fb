"""What can be done with a data directory while no node runs on it: look, repair, and begin a new cluster from it. No reactor."""
