"""The network between nodes: Twisted's AMP. Knows what messages look like, and nothing of what they mean."""
