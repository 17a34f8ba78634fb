"""hraft: a replicated key-value store made of Twisted, with Raft inside."""

__version__ = "0.1.0"
