"""GET /v1/watch: changes of keys as they happen, to many clients. Knows the store's history, and nothing of how it came to be."""
