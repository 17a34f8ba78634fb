"""Every limit on something that can grow, in one place. Units are in the names.

A limit that an operator may choose is a default here and an option in `hraft.tap`.
"""

# --- what clients may send -----------------------------------------------------------------------
REQUEST_BODY_BYTES = 1024 * 1024
REQUEST_JSON_DEPTH = 64
PROPOSE_TIMEOUT_SECONDS = 10.0
JOIN_TIMEOUT_SECONDS = 10.0

# --- one entry, one batch ------------------------------------------------------------------------
#: A body of REQUEST_BODY_BYTES grows when its bytes are escaped as JSON: six bytes for one at the worst.
ENTRY_BYTES = 8 * 1024 * 1024
APPEND_BYTES = 512 * 1024
APPEND_ENTRIES_COUNT = 2048
INFLIGHT_MESSAGES_COUNT = 64
INFLIGHT_BYTES = 8 * 1024 * 1024
UNCOMMITTED_BYTES = 64 * 1024 * 1024
UNCOMMITTED_ENTRIES_COUNT = 50_000
WAITING_READS_COUNT = 50_000

# --- the log and its snapshots -------------------------------------------------------------------
SEGMENT_BYTES = 16 * 1024 * 1024
SNAPSHOT_ENTRIES_COUNT = 100_000
SNAPSHOT_LOG_BYTES = 64 * 1024 * 1024
KEPT_ENTRIES_COUNT = 10_000
KEPT_BYTES = 16 * 1024 * 1024
SNAPSHOTS_KEPT_COUNT = 2
SNAPSHOT_CHUNK_BYTES = 256 * 1024

# --- peers ---------------------------------------------------------------------------------------
PEER_QUEUE_BYTES = 16 * 1024 * 1024
PEER_FRAME_BYTES = ENTRY_BYTES + APPEND_BYTES + 64 * 1024
PEER_DIAL_TIMEOUT_SECONDS = 2.0
PEER_CONNECTIONS_COUNT = 128
MEMBERS_COUNT = 64
