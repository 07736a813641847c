R"sql(
-- system.db, version 1. Times are milliseconds since 1970 UTC; ids are blobs of 16 octets unless said otherwise.
-- schema.cpp compiles this file in as a string literal.

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,          -- the caller's
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE users (
    account BLOB PRIMARY KEY,        -- AccountId; names accounts/<hex>.db
    name    TEXT NOT NULL UNIQUE COLLATE NOCASE,  -- login name
    created INTEGER NOT NULL,
    state   INTEGER NOT NULL,        -- 0 active, 1 removed
    limit_octets   INTEGER,          -- of all mail; 0: none. NULL: the configuration's; so the next one
    limit_messages INTEGER
) WITHOUT ROWID;

CREATE TABLE addresses (
    address TEXT PRIMARY KEY COLLATE NOCASE,      -- whole mail address
    account BLOB NOT NULL REFERENCES users(account)
) WITHOUT ROWID;
CREATE INDEX addresses_by_account ON addresses(account);

CREATE TABLE aliases (
    address TEXT NOT NULL COLLATE NOCASE,  -- whole address, or @domain: all in it that nobody has
    target  TEXT NOT NULL COLLATE NOCASE,  -- address of a user, another alias, or somebody elsewhere
    PRIMARY KEY (address, target)
) WITHOUT ROWID;

CREATE TABLE credentials (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,   -- never used again
    account  BLOB NOT NULL REFERENCES users(account),
    kind     INTEGER NOT NULL,       -- 0 inside, 1 outside
    label    TEXT NOT NULL,          -- the device
    verifier TEXT NOT NULL,          -- password verifier as crypto writes it
    created  INTEGER NOT NULL,
    revoked  INTEGER                 -- when; NULL while it is good
);
CREATE INDEX credentials_by_account ON credentials(account);

CREATE TABLE user_keys (
    account     BLOB NOT NULL REFERENCES users(account),
    fingerprint TEXT NOT NULL,
    certificate BLOB NOT NULL,       -- public key, binary
    secret      BLOB NOT NULL,       -- sealed under the master key; empty: not ours to have
    created     INTEGER NOT NULL,
    retired     INTEGER,             -- when; kept to open old mail. NULL while in use
    reseals     INTEGER NOT NULL DEFAULT 0,  -- 1: what is sealed to the others is being sealed anew to this one
    PRIMARY KEY (account, fingerprint)
) WITHOUT ROWID;

CREATE TABLE links (
    peer             BLOB PRIMARY KEY,   -- NodeId
    name             TEXT NOT NULL UNIQUE COLLATE NOCASE,
    role             TEXT NOT NULL,      -- of the peer
    state            INTEGER NOT NULL,   -- 0 invited, 1 active, 2 revoked
    own_address      TEXT NOT NULL,      -- mail address of this node on this link
    peer_address     TEXT NOT NULL,
    next_hop         TEXT NOT NULL,      -- host:port, or empty
    peer_certificate BLOB NOT NULL,
    own_epoch        BLOB NOT NULL,
    peer_epoch       BLOB NOT NULL,
    created          INTEGER NOT NULL,
    last_sent        INTEGER,            -- when; NULL: never
    last_received    INTEGER,
    mails_sent       INTEGER NOT NULL DEFAULT 0,
    mails_received   INTEGER NOT NULL DEFAULT 0,
    mails_refused    INTEGER NOT NULL DEFAULT 0,
    last_error       TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

CREATE TABLE refusals (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,   -- rising; the newest 1000 rows are kept
    happened INTEGER NOT NULL,
    what     TEXT NOT NULL,
    reason   TEXT NOT NULL
);

CREATE TABLE objects (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,  -- below 2^43, see chunks
    object    BLOB NOT NULL UNIQUE,  -- ObjectId
    size      INTEGER NOT NULL,      -- octets, uncompressed; so far, while not complete
    chunks    INTEGER NOT NULL,      -- how many there are so far
    codec     INTEGER NOT NULL,      -- 0 as is, 1 each chunk is a zstd frame; chosen with chunk 0
    complete  INTEGER NOT NULL,      -- 1: may be read
    created   INTEGER NOT NULL
);
CREATE INDEX objects_by_created ON objects(created);

CREATE TABLE chunks (
    id   INTEGER PRIMARY KEY,        -- objects.id * 2^20 + index: an object's chunks lie together, in order
    data BLOB NOT NULL               -- 256 KiB uncompressed, the last one less
);

CREATE TABLE object_refs (
    object  BLOB NOT NULL REFERENCES objects(object),
    account BLOB NOT NULL,           -- who holds the body; zero: the queue
    hold    BLOB NOT NULL,           -- HoldId of the message row, DeliveryId of the spool row, or QueueId
    PRIMARY KEY (object, account, hold)
) WITHOUT ROWID;
CREATE INDEX object_refs_by_account ON object_refs(account);

CREATE TABLE spool (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of arrival
    delivery        BLOB NOT NULL UNIQUE,
    account         BLOB NOT NULL,
    object          BLOB NOT NULL,
    email           BLOB NOT NULL,   -- EmailId
    mailbox         TEXT NOT NULL,   -- name to deliver to
    received        INTEGER NOT NULL,
    envelope_sender TEXT NOT NULL,
    envelope        TEXT NOT NULL,   -- as IMAP's FETCH answers, computed at arrival; so the next two
    body            TEXT NOT NULL,
    bodystructure   TEXT NOT NULL,
    parts           BLOB NOT NULL,   -- the part tree, as the caller writes it
    keys            BLOB NOT NULL,   -- what SORT and THREAD look at, likewise
    header          BLOB NOT NULL,   -- likewise; empty: not kept
    size            INTEGER NOT NULL,
    flags           TEXT NOT NULL    -- as IMAP writes them
);
CREATE INDEX spool_by_account ON spool(account, id);

CREATE TABLE digests (
    digest BLOB PRIMARY KEY,         -- of envelope and content, 32 octets: the duplicate guard
    seen   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX digests_by_seen ON digests(seen);

CREATE TABLE queue (
    id           BLOB PRIMARY KEY,   -- QueueId
    object       BLOB NOT NULL,
    sender       TEXT NOT NULL,      -- envelope sender, '' for <>
    created      INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    kind         INTEGER NOT NULL,   -- 0 mail, 1 node mail, 2 bounce
    link         BLOB NOT NULL,      -- NodeId, or zero
    priority     INTEGER NOT NULL,   -- greater goes first
    next_attempt INTEGER NOT NULL,
    held         INTEGER NOT NULL,   -- 1: by the operator
    lease_until  INTEGER NOT NULL,   -- being sent until then; 0: not
    skip         INTEGER NOT NULL,   -- octets at the object's start that are for local recipients only
    envid        TEXT NOT NULL,      -- ENVID as given, xtext (RFC 3461 4.4); '' none
    ret          INTEGER NOT NULL,   -- what a notice returns (RFC 3461 4.3): 0 not said, 1 full, 2 headers
    warned       INTEGER NOT NULL,   -- 1: the sender has been told of the delay
    utf8         INTEGER NOT NULL    -- 1: needs a next hop with SMTPUTF8 (RFC 6531)
) WITHOUT ROWID;
CREATE INDEX queue_by_time ON queue(held, next_attempt);
CREATE INDEX queue_by_link ON queue(link, created);

CREATE TABLE queue_recipients (
    queue    BLOB NOT NULL REFERENCES queue(id) ON DELETE CASCADE,
    position INTEGER NOT NULL,       -- order of the envelope
    address  TEXT NOT NULL,
    state    INTEGER NOT NULL,       -- 0 pending, 1 delivered, 2 failed
    attempts INTEGER NOT NULL,
    reply    TEXT NOT NULL,          -- the last one
    notify   INTEGER NOT NULL,       -- NOTIFY (RFC 3461 4.1): 1 never, 2 success, 4 failure, 8 delay; 0 not said
    orcpt    TEXT NOT NULL,          -- ORCPT as given (RFC 3461 4.2); '' none
    PRIMARY KEY (queue, position)
) WITHOUT ROWID;
)sql"
