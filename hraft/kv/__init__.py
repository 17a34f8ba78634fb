"""The state machine: a key-value store that is a pure function of the commands it is given. Knows nothing of Raft or Twisted."""
