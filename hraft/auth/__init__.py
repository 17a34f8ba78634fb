"""Who asks, and what they may: users, their secrets as hashes, the file that has them. Knows nothing of HTTP and of the node."""
