"""Every limit on something that can grow, in one place. Units are in the names.

A limit that an operator may choose is a default here and an option in `hraft.tap`.
"""

# --- what clients may send -----------------------------------------------------------------------
REQUEST_BODY_BYTES = 1024 * 1024
REQUEST_JSON_DEPTH = 64
#: A key must fit, percent-encoded, into the request line that asks for it.
KEY_BYTES = 1024
#: From a request's first byte to its last, however slowly they come.
REQUEST_TIMEOUT_SECONDS = 30.0
#: How long a refused client may go on sending, so that it reads the refusal before it meets a closed connection.
REFUSED_LINGER_SECONDS = 2.0
#: How long a closing connection may take to deliver what was written to it.
HTTP_CLOSE_TIMEOUT_SECONDS = 15.0
IDLE_CONNECTION_TIMEOUT_SECONDS = 60.0
#: Fewer where the process may not have so many open files; see RESERVED_FILES_COUNT.
HTTP_CONNECTIONS_COUNT = 2048
#: A client that connects may not be thought silent before.
HTTP_GRACE_SECONDS = 0.1
#: Refused clients that have not gone yet. They are beside HTTP_CONNECTIONS_COUNT; when there are more the first is cut.
HTTP_REFUSED_COUNT = 128
#: What a client may send ahead, beside what one read brings, while it waits for an answer.
PIPELINED_BYTES = 16 * 1024
#: Of the requests that a client has sent ahead, so many are served before it is the others' turn.
PIPELINED_COUNT = 16
#: The same of requests that twisted.web serves, each of which takes a millisecond.
PIPELINED_SLOW_COUNT = 2
#: Of one client: different headers, as they were sent, whose meaning is remembered; and how long they may be for that.
HEADERS_KEPT_COUNT = 8
HEADERS_KEPT_BYTES = 1024
#: A page of keys: as many as were asked for, or this many, and not more than fill so many bytes.
PAGE_KEYS_COUNT = 10_000
PAGE_KEYS_DEFAULT_COUNT = 1000
PAGE_BYTES = 4 * 1024 * 1024
PROPOSE_TIMEOUT_SECONDS = 10.0
JOIN_TIMEOUT_SECONDS = 10.0

# --- watches -------------------------------------------------------------------------------------
#: Never more than three quarters of the connections, either: the others are for those who ask.
WATCHERS_COUNT = 1536
#: A watcher is sent so much at a time, and what it has not read of that is all that is kept for it.
WATCH_PORTION_BYTES = 64 * 1024
#: Changes that those behind are told of in one turn of the reactor, all together.
WATCH_TURN_CHANGES_COUNT = 1000
#: A watcher that does not read a portion within this time is cut off.
WATCH_UNREAD_SECONDS = 30.0
#: One whose machine acknowledges nothing any more is lost after this longer time, so that a slow one is told why.
WATCH_VANISHED_SECONDS = 60.0
#: After such a silence a watcher is told that there is nothing to tell.
WATCH_SILENCE_SECONDS = 15.0
#: How often the two are looked at.
WATCH_LOOK_SECONDS = 1.0

# --- the dashboard -------------------------------------------------------------------------------
#: Pages that are told how the cluster is, and how often.
EVENT_STREAMS_COUNT = 64
EVENTS_INTERVAL_SECONDS = 1.0
#: What happened to a node, the last so many.
HAPPENINGS_COUNT = 200

# --- backups -------------------------------------------------------------------------------------
#: Over HTTP, at a time: each holds the old values of what changes meanwhile.
BACKUPS_COUNT = 2
#: A client that does not read a part within this time is cut off.
BACKUP_UNREAD_SECONDS = 60.0
#: A scheduled backup that failed is tried again after this time, if its interval is not shorter.
BACKUP_RETRY_SECONDS = 60.0
#: How far indexes and revisions of a cluster made of a backup, or of what is left, are ahead of those it goes on from: the
#: old cluster may have given so many ids, fences and revisions since, which are not to be given twice.
NEW_CLUSTER_GAP_COUNT = 1_000_000_000

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

# --- the state machine's own -----------------------------------------------------------------------
# These decide what commands do, so they are the same on every node: changing one is a new version of the store.
LEASES_COUNT = 100_000
LEASE_TTL_SECONDS = 365 * 24 * 3600
#: What one entry may delete, or a transaction read: an entry is carried out in one go, and everybody waits for it.
DELETE_KEYS_COUNT = 20_000
TRANSACTION_KEYS_COUNT = 10_000
TRANSACTION_BYTES = 4 * 1024 * 1024
#: Of each list of a transaction.
TRANSACTION_OPERATIONS_COUNT = 128
#: Changes that watchers can still be told of.
HISTORY_EVENTS_COUNT = 50_000
HISTORY_BYTES = 32 * 1024 * 1024
#: Clients whose writes are done exactly once, the answers that are kept for each, and for all of them together.
SESSIONS_COUNT = 10_000
SESSION_ANSWERS_COUNT = 64
SESSIONS_BYTES = 32 * 1024 * 1024

# --- keys in memory ------------------------------------------------------------------------------
#: Records lie packed in leaves: larger ones cost less memory, but each is searched whole, and copied at each write. So many are a
#: branch.
LEAF_BYTES = 2048
BRANCH_LEAVES_COUNT = 512
#: The record of a longer value is an object of its own.
LARGE_VALUE_BYTES = 512
#: Records that lie about unpacked, as they were used last; and how many are put away at once when there are more.
RECENT_RECORDS_COUNT = 16_384
RECENT_RECORDS_PUT_AWAY_COUNT = 64

# --- the log and its snapshots -------------------------------------------------------------------
SEGMENT_BYTES = 16 * 1024 * 1024
#: Room that the last segment is given ahead of its batches: fdatasync is faster on a file that does not grow.
SEGMENT_PADDING_BYTES = 512 * 1024
SNAPSHOT_ENTRIES_COUNT = 100_000
SNAPSHOT_LOG_BYTES = 64 * 1024 * 1024
KEPT_ENTRIES_COUNT = 10_000
KEPT_BYTES = 16 * 1024 * 1024
SNAPSHOTS_KEPT_COUNT = 2
#: A snapshot is synced this often while it is written, so that the log's own syncs do not wait behind a large one.
SNAPSHOT_SYNC_BYTES = 4 * 1024 * 1024
SNAPSHOT_CHUNK_BYTES = 256 * 1024

# --- peers ---------------------------------------------------------------------------------------
PEER_QUEUE_BYTES = 16 * 1024 * 1024
PEER_FRAME_BYTES = ENTRY_BYTES + APPEND_BYTES + 64 * 1024
PEER_DIAL_TIMEOUT_SECONDS = 2.0
PEER_CONNECTIONS_COUNT = 128
#: Before a hello nobody knows who is speaking, so less is taken and not for long.
PEER_HELLO_BYTES = 16 * 1024
PEER_HELLO_TIMEOUT_SECONDS = 3.0
#: Different refusals that are logged, as a rule within so many seconds: what strangers send must not fill a disk with our log.
PEER_COMPLAINTS_COUNT = 128
PEER_COMPLAINTS_SECONDS = 60.0
#: How many keys a box may have: PEER_FRAME_BYTES in values of 65,535 bytes, and some.
PEER_FRAME_PARTS_COUNT = 256
PEER_RETRY_FIRST_SECONDS = 0.05
PEER_RETRY_LAST_SECONDS = 1.0
PEER_PING_INTERVAL_SECONDS = 0.5
#: A connection on which nothing comes in and nothing goes out for so long is given up.
PEER_SILENCE_SECONDS = 3.0
#: Questions without an answer yet on one connection, in each direction.
PEER_REQUESTS_COUNT = 4096
PEER_ERROR_BYTES = 4096
#: A question of the application's to its leader.
QUESTION_BYTES = 64 * 1024
#: A leader that answers at all has answered by then: also a join, with its dial-back.
FORWARD_TIMEOUT_SECONDS = max(PROPOSE_TIMEOUT_SECONDS, JOIN_TIMEOUT_SECONDS) + PEER_DIAL_TIMEOUT_SECONDS + 1.0
MEMBERS_COUNT = 64
#: Ids of removed members that are known for ever; of more, the first are forgotten.
REMOVED_IDS_COUNT = 1000
#: A voter whose log ends so far behind the leader's does not carry the quorum yet when another is to go.
CAUGHT_UP_ENTRIES_COUNT = 10_000
#: Open files that clients leave: for peers, who have two connections in each direction, for refused clients, and for the disk.
RESERVED_FILES_COUNT = PEER_CONNECTIONS_COUNT + 2 * MEMBERS_COUNT + HTTP_REFUSED_COUNT + 64
#: Open files that a node can make use of.
FILES_COUNT = HTTP_CONNECTIONS_COUNT + RESERVED_FILES_COUNT

# --- TLS -----------------------------------------------------------------------------------------
#: From the connection to the end of the handshake, which takes two ways there and back, and some milliseconds of work.
TLS_HANDSHAKE_TIMEOUT_SECONDS = 10.0
#: How long who dialled waits for the other end to close, too, which TLS wants, and which a process that hangs never does.
TLS_CLOSE_TIMEOUT_SECONDS = 3.0
CERTIFICATE_FILE_BYTES = 1024 * 1024
#: Whether the files have changed is looked at when a connection begins, and not more often.
CERTIFICATE_LOOK_SECONDS = 5.0
#: The same without connections, and whether a certificate ends soon.
CERTIFICATE_EXPIRY_LOOK_SECONDS = 3600.0
CERTIFICATE_WARNING_SECONDS = 14 * 24 * 3600.0
CERTIFICATE_WARNING_INTERVAL_SECONDS = 24 * 3600.0

# --- leases' time --------------------------------------------------------------------------------
#: How many leases one entry ends, and how many are looked at before it is the turn of others.
LEASES_ENDED_COUNT = 1_000
LEASES_LOOKED_AT_COUNT = 5_000
LEASE_RETRY_SECONDS = 0.5

# --- the service ---------------------------------------------------------------------------------
WAITING_PROPOSALS_COUNT = 100_000
READ_TIMEOUT_SECONDS = 5.0
#: Further proposals are refused while this many committed entries still wait to be applied.
APPLY_LAG_ENTRIES_COUNT = 50_000
#: What one turn of the reactor applies at most; whichever is reached first.
APPLY_TURN_ENTRIES_COUNT = 2_000
APPLY_TURN_SECONDS = 0.005
#: Work in the background that needs the interpreter gives way after so much of it, for so many times as long.
BACKGROUND_BURST_SECONDS = 0.001
BACKGROUND_REST_RATIO = 3
#: Never longer: what was had of the processor may have been for somebody else's work in the same thread, which rested itself.
BACKGROUND_REST_SECONDS = 0.5
#: The reactor's thread waits so long for a small save: longer than a fast disk takes, shorter than anybody notices (X2).
THREAD_PATIENCE_SECONDS = 0.0005
#: A save of no more entries is small.
SMALL_SAVE_ENTRIES_COUNT = 2
#: How often is looked at whether the reactor is held up, what counts as that, and what is logged.
STALL_LOOK_SECONDS = 0.02
STALL_SECONDS = 0.05
STALL_TOLD_SECONDS = 0.5
STORAGE_RETRY_SECONDS = 1.0
SNAPSHOT_RETRY_SECONDS = 10.0
#: A chunk that is not answered is sent again after the first, and the transfer is given up after the second.
SNAPSHOT_RESEND_SECONDS = 0.5
SNAPSHOT_TRANSFER_TIMEOUT_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 5.0
#: How long a node that leaves its cluster when it is stopped waits for that.
LEAVE_TIMEOUT_SECONDS = 8.0
#: How often the room on the disk is looked at.
DISK_LOOK_SECONDS = 1.0
#: How often members compare the hashes of their states, and how soon after a leader begins, or after a difference.
CHECK_INTERVAL_SECONDS = 600
CHECK_SOON_SECONDS = 60.0
#: How long is waited for a member that does not answer, and for one that is at work; and how often they are asked meanwhile.
CHECK_PATIENCE_SECONDS = 60.0
CHECK_LONGEST_SECONDS = 900.0
CHECK_ASK_SECONDS = 1.0
#: While there is a difference it is said after each comparison; one that is said no more is forgotten after so long.
CHECK_FORGET_SECONDS = 1800.0
#: Lines of the state that are hashed before other work in the background has its turn.
CHECK_LINES_COUNT = 1000
CHECK_REST_SECONDS = 0.01
#: How long what the leader said of its members is believed; how often a full disk is told to it (for three times as long it
#: is listed), and how much of its reason.
VIEW_FRESH_SECONDS = 3.0
VIEW_REPEAT_SECONDS = 10.0
VIEW_REASON_CHARACTERS = 300
DISK_RESERVE_BYTES = 64 * 1024 * 1024
#: A node is ready while no more committed entries than that wait to be applied, and what it has is not older than that.
READY_LAG_ENTRIES_COUNT = 1000
READY_AGE_SECONDS = 10.0
NODE_ID_CHARACTERS_COUNT = 256
ADDRESS_CHARACTERS_COUNT = 512
#: Kept for a reader of the log who does not read.
LOG_BACKLOG_LINES_COUNT = 1000

# --- the client ----------------------------------------------------------------------------------
CLIENT_TIMEOUT_SECONDS = 10.0
CLIENT_DEADLINE_SECONDS = 30.0
CLIENT_CONNECT_TIMEOUT_SECONDS = 3.0
CLIENT_RETRY_FIRST_SECONDS = 0.05
CLIENT_RETRY_LAST_SECONDS = 1.0
#: With less time than that nothing is tried once more which certainly was not done: nobody would know what became of it, or why.
CLIENT_LAST_TRY_SECONDS = 1.0
CLIENT_CONNECTIONS_COUNT = 16
#: Well below the node's IDLE_CONNECTION_TIMEOUT_SECONDS, or a request goes out on a connection that is just being closed.
CLIENT_IDLE_SECONDS = IDLE_CONNECTION_TIMEOUT_SECONDS / 2
#: A page of 4 MiB whose every byte is escaped, and some.
CLIENT_ANSWER_BYTES = 64 * 1024 * 1024
#: A watch that holds so much unread tells its node to wait.
CLIENT_WATCH_BYTES = 1024 * 1024
#: Three marks of progress that did not come.
CLIENT_WATCH_SILENCE_SECONDS = 45.0
CLIENT_LEASE_TTL_SECONDS = 15

# --- users and their logins ----------------------------------------------------------------------
USERS_COUNT = 1_000
USER_TOKENS_COUNT = 16
USER_RULES_COUNT = 256
USER_FILE_BYTES = 4 * 1024 * 1024
#: An Authorization header that is longer is no login.
LOGIN_BYTES = 2048
#: Logins that were found right, so that a password is not hashed for each request.
LOGINS_KEPT_COUNT = 4096
#: Passwords that wait to be hashed, one after the other, and those of one client among them.
LOGINS_WAITING_COUNT = 64
LOGINS_WAITING_PER_CLIENT_COUNT = 8
#: Wrong logins before one has to wait: for one user from one address, from one address, and from everywhere; and how many
#: seconds give back one of each. Whoever is known to be right never waits.
FAILED_LOGINS_OF_USER_COUNT, FAILED_LOGIN_OF_USER_SECONDS = 10, 6.0
FAILED_LOGINS_OF_ADDRESS_COUNT, FAILED_LOGIN_OF_ADDRESS_SECONDS = 50, 2.0
FAILED_LOGINS_COUNT, FAILED_LOGIN_SECONDS = 500, 0.1
#: Addresses, and users at addresses, whose failures are counted. When there are more the oldest is forgotten.
FAILED_LOGINS_KEPT_COUNT = 8192
#: How often the file of users is looked at.
USER_FILE_LOOK_SECONDS = 2.0
#: Different spellings of Host that were found good.
HOSTS_KEPT_COUNT = 256
