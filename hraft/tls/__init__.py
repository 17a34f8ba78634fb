"""TLS: certificates from files, connections under them, their renewal, a small authority for trials. Knows no node, no HTTP."""
