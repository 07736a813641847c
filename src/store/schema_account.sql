R"sql(
-- accounts/<hex>.db, version 1. Times are milliseconds since 1970 UTC; ids are blobs of 16 octets unless said
-- otherwise. schema.cpp compiles this file in as a string literal.

CREATE TABLE meta (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    account        BLOB NOT NULL,     -- AccountId, must be the file's name
    highest_modseq INTEGER NOT NULL,  -- last one given; every change of a row takes a new one
    first_modseq   INTEGER NOT NULL,  -- before the first: the time when the file was made
    uidvalidity    INTEGER NOT NULL,  -- last one given; starts from the time in seconds
    last_row       INTEGER NOT NULL,  -- last messages.id given
    clock          INTEGER NOT NULL DEFAULT 0  -- latest time of a stamp given or seen: milliseconds << 16 | counter
);

CREATE TABLE vals (
    name  TEXT PRIMARY KEY,           -- the caller's
    value BLOB NOT NULL
) WITHOUT ROWID;

-- What import has taken up and export has handed out, so that either can be interrupted and repeated.
CREATE TABLE transferred (
    key BLOB PRIMARY KEY              -- 16 octets: the caller's, from the other end's name and the message's there
) WITHOUT ROWID;

CREATE TABLE mailboxes (
    id                 INTEGER PRIMARY KEY,  -- of this file only
    mailbox            BLOB NOT NULL UNIQUE, -- MailboxId
    name               TEXT NOT NULL,        -- UTF-8
    special_use        TEXT NOT NULL,        -- RFC 6154, or ''
    uidvalidity        INTEGER NOT NULL,     -- of the plain view
    sealed_uidvalidity INTEGER NOT NULL,     -- of the sealed view
    uidnext            INTEGER NOT NULL,
    created            INTEGER NOT NULL,
    modseq             INTEGER NOT NULL,     -- of the attributes of this row
    highest_modseq     INTEGER NOT NULL,     -- of anything in the mailbox
    deleted            INTEGER NOT NULL,     -- 1: the id is kept, the mailbox is gone; 2: likewise, at a remote, by core's word
    read_only          INTEGER NOT NULL,
    recent_from        INTEGER NOT NULL,     -- first UID that no read-write SELECT has seen
    visible            INTEGER NOT NULL,     -- last UID of core that was shown here (receiving side)
    messages           INTEGER NOT NULL,     -- how many rows; kept up with every change, so are the next four
    unseen             INTEGER NOT NULL,     -- without \Seen
    deleted_messages   INTEGER NOT NULL,     -- with \Deleted
    octets             INTEGER NOT NULL,     -- sum of sizes
    deleted_octets     INTEGER NOT NULL,     -- of those with \Deleted
    wanted             TEXT NOT NULL,        -- the name that it is to have: at a remote another one may have it still
    name_time          INTEGER NOT NULL DEFAULT 0,  -- stamp of the name: when it was renamed; 0: never
    name_origin        INTEGER NOT NULL DEFAULT 0,
    use_time           INTEGER NOT NULL DEFAULT 0,  -- likewise, of the special use
    use_origin         INTEGER NOT NULL DEFAULT 0,
    told_by            INTEGER NOT NULL DEFAULT 0,  -- as in messages
    became             BLOB NOT NULL DEFAULT x'',   -- MailboxId: of that one's name when it came, so merged into it; or none
    next_validity      INTEGER NOT NULL DEFAULT 0   -- at a remote: sealed_uidvalidity when all that was sealed anew is here; or 0
);
CREATE UNIQUE INDEX mailboxes_by_name ON mailboxes(name) WHERE deleted = 0;
CREATE INDEX mailboxes_by_modseq ON mailboxes(modseq);

-- Names that clients have subscribed or unsubscribed, whether there are mailboxes or not.
CREATE TABLE subscriptions (
    name       TEXT PRIMARY KEY,
    subscribed INTEGER NOT NULL,
    time       INTEGER NOT NULL,        -- these two: the stamp
    origin     INTEGER NOT NULL,
    modseq     INTEGER NOT NULL,
    told_by    INTEGER NOT NULL         -- as in messages
) WITHOUT ROWID;
CREATE INDEX subscriptions_by_modseq ON subscriptions(modseq);

-- Every keyword that a client has ever given to a message here: their number is limited.
CREATE TABLE keywords (
    word TEXT PRIMARY KEY COLLATE NOCASE
) WITHOUT ROWID;

-- Small rows only, so that listing a mailbox reads few pages; the texts lie in message_texts.
CREATE TABLE messages (
    mailbox        INTEGER NOT NULL REFERENCES mailboxes(id),
    uid            INTEGER NOT NULL,
    flags          INTEGER NOT NULL,   -- bits of FlagSet::System
    keywords       TEXT NOT NULL,      -- sorted, a space between
    modseq         INTEGER NOT NULL,
    created_modseq INTEGER NOT NULL,   -- when the row came here; a moved row is a new one
    id             INTEGER NOT NULL,   -- storage id: never used again, and key of message_texts
    email          BLOB NOT NULL,      -- EmailId
    object         BLOB NOT NULL,      -- ObjectId of the body, in system.db
    hold           BLOB NOT NULL,      -- HoldId: the reference's name there
    size           INTEGER NOT NULL,   -- octets of the body as served here
    date           INTEGER NOT NULL,   -- INTERNALDATE
    zone           INTEGER NOT NULL,   -- minutes east of UTC
    saved_at       INTEGER NOT NULL,   -- SAVEDATE (RFC 8514)
    seal_state     INTEGER NOT NULL DEFAULT 0,   -- 0 not looked at, 1 sealed, 2 withheld
    seal_seed      BLOB NOT NULL DEFAULT x'',    -- 32 octets of seed and one for the outer style, from which sealing again gives the same octets; or none
    seal_size      INTEGER NOT NULL DEFAULT 0,   -- of the sealed octets
    seal_sha256    BLOB NOT NULL DEFAULT x'',    -- of the sealed octets; 32, or none
    seal_reason    TEXT NOT NULL DEFAULT '',     -- why withheld
    stamps         BLOB NOT NULL DEFAULT x'',    -- of the flags that were changed since the message came: sync's registers
    told_by        INTEGER NOT NULL DEFAULT 0,   -- peers.id: its word made the last change, and it knows all; 0: no peer
    placed_time    INTEGER NOT NULL DEFAULT 0,   -- stamp of the mailbox: when the message was moved here; 0: never moved
    placed_origin  INTEGER NOT NULL DEFAULT 0,
    elsewhere_since INTEGER NOT NULL DEFAULT 0,  -- at a remote: core says that it is elsewhere, where it is not seen yet; 0: it does not
    PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
CREATE UNIQUE INDEX messages_by_id ON messages(id);
CREATE INDEX messages_by_modseq ON messages(modseq, created_modseq);
CREATE INDEX messages_by_mailbox_modseq ON messages(mailbox, modseq);
CREATE INDEX messages_by_email ON messages(email);
CREATE INDEX messages_elsewhere ON messages(email) WHERE elsewhere_since>0;

CREATE TABLE message_texts (
    id            INTEGER PRIMARY KEY,  -- messages.id
    envelope      TEXT NOT NULL,        -- as IMAP's FETCH answers, computed once; so the next two
    body          TEXT NOT NULL,
    bodystructure TEXT NOT NULL,
    parts         BLOB NOT NULL         -- the part tree, as the caller writes it
);

-- Read for every message of a mailbox at once, so apart from the texts, which are large.
CREATE TABLE message_keys (
    id   INTEGER PRIMARY KEY,           -- messages.id
    keys BLOB NOT NULL                  -- what SORT and THREAD look at, as the caller writes it
);

-- The headers of most messages, so that the body need not be read and unpacked for them; of large ones there is none.
CREATE TABLE message_headers (
    id     INTEGER PRIMARY KEY,         -- messages.id
    header BLOB NOT NULL                -- as the caller writes it
);

CREATE TABLE expunged (
    mailbox        INTEGER NOT NULL REFERENCES mailboxes(id),
    uid            INTEGER NOT NULL,
    modseq         INTEGER NOT NULL,    -- of the expunge
    created_modseq INTEGER NOT NULL,    -- of the message
    told_by        INTEGER NOT NULL DEFAULT 0,  -- as in messages
    became_mailbox INTEGER NOT NULL DEFAULT 0,  -- mailboxes.id: it was moved there, or given a new number; 0: it was expunged
    became_uid     INTEGER NOT NULL DEFAULT 0,   -- not 0, without a mailbox: at a remote, core says that it is elsewhere
    email          BLOB NOT NULL DEFAULT x'',    -- EmailId
    PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
CREATE INDEX expunged_by_modseq ON expunged(modseq, created_modseq);
CREATE INDEX expunged_by_mailbox_modseq ON expunged(mailbox, modseq);
CREATE INDEX expunged_by_became ON expunged(became_mailbox, became_uid) WHERE became_mailbox<>0;

-- Expunged from outside: no client sees them any more, but they can be put back for a while.
CREATE TABLE hidden (
    id            INTEGER PRIMARY KEY,
    mailbox       BLOB NOT NULL,        -- MailboxId
    uid           INTEGER NOT NULL,     -- that it had
    peer          BLOB NOT NULL,        -- NodeId of the remote that said so
    since         INTEGER NOT NULL,
    flags         INTEGER NOT NULL,     -- these, as in messages and message_texts
    keywords      TEXT NOT NULL,
    email         BLOB NOT NULL,
    object        BLOB NOT NULL,
    hold          BLOB NOT NULL,
    size          INTEGER NOT NULL,
    date          INTEGER NOT NULL,
    zone          INTEGER NOT NULL,
    envelope      TEXT NOT NULL,
    body          TEXT NOT NULL,
    bodystructure TEXT NOT NULL,
    parts         BLOB NOT NULL,
    keys          BLOB NOT NULL,        -- as in message_keys
    header        BLOB NOT NULL         -- as in message_headers; empty: none there
);
CREATE INDEX hidden_by_time ON hidden(since);

-- Expunges from outside that are more than may be in a day: they wait for the operator.
CREATE TABLE held_expunges (
    id      INTEGER PRIMARY KEY,
    peer    BLOB NOT NULL,              -- NodeId
    mailbox BLOB NOT NULL,              -- MailboxId
    uids    BLOB NOT NULL,              -- a set, as sync writes it
    count   INTEGER NOT NULL,           -- of the messages that were there
    since   INTEGER NOT NULL,
    deletes INTEGER NOT NULL DEFAULT 0  -- 1: the mailbox was deleted
);

CREATE TABLE applied_deliveries (
    delivery BLOB PRIMARY KEY,          -- DeliveryId; kept until its spool row is gone
    mailbox  BLOB NOT NULL,             -- MailboxId
    uid      INTEGER NOT NULL           -- that it got
) WITHOUT ROWID;

CREATE TABLE released (
    object BLOB NOT NULL,               -- ObjectId: its reference in system.db is to be given back
    hold   BLOB NOT NULL,               -- HoldId
    since  INTEGER,                     -- when it was first seen here; NULL: not yet
    PRIMARY KEY (hold, object)
) WITHOUT ROWID;

-- Replication, sending side.

CREATE TABLE peers (
    id          INTEGER PRIMARY KEY,    -- of this file only
    peer        BLOB NOT NULL UNIQUE,   -- NodeId
    cursor      INTEGER NOT NULL,       -- last modseq of this account that was planned for the peer
    next_number INTEGER NOT NULL,       -- EntryNumber of the next outbox row
    -- Epochs: a counter, and 8 random octets. Without one it is the link's.
    own_counter  INTEGER NOT NULL DEFAULT 0,
    own_random   INTEGER NOT NULL DEFAULT 0,
    peer_counter INTEGER NOT NULL DEFAULT 0,
    peer_random  INTEGER NOT NULL DEFAULT 0,
    heard        INTEGER NOT NULL DEFAULT 0,    -- 1: the peer has named our own
    lost         INTEGER NOT NULL DEFAULT 0,    -- 1: the peer does not know any more what it knew, and has not heard of that
    life_start   INTEGER NOT NULL DEFAULT 0,    -- the latest life that the peer has told of
    life_random  INTEGER NOT NULL DEFAULT 0,
    given_start  INTEGER NOT NULL DEFAULT 0,    -- our own life in which the last number was given
    given_random INTEGER NOT NULL DEFAULT 0,
    given_first  INTEGER NOT NULL DEFAULT 1,    -- the first number that was given in it
    awaits_state INTEGER NOT NULL DEFAULT 0     -- at core: nothing is planned until the peer's entries up to this number have told
                                                -- what it has; 0: nothing is waited for
);

CREATE TABLE outbox (
    peer       INTEGER NOT NULL REFERENCES peers(id) ON DELETE CASCADE,
    number     INTEGER NOT NULL,        -- EntryNumber; the row goes when it is acknowledged
    kind       INTEGER NOT NULL,        -- sync's
    mailbox    BLOB NOT NULL,           -- MailboxId, or zero
    uid        INTEGER NOT NULL,        -- or 0
    prev_uid   INTEGER NOT NULL,        -- the UID before it in the sealed view, or 0
    object     BLOB NOT NULL,           -- ObjectId, or zero
    email      BLOB NOT NULL,           -- EmailId, or zero
    offset     INTEGER NOT NULL,        -- of a chunk in its body
    length     INTEGER NOT NULL,
    payload    BLOB NOT NULL,           -- small
    state      INTEGER NOT NULL,        -- 0 queued, 1 sent, 2 void
    attempts   INTEGER NOT NULL,
    first_sent INTEGER,                 -- NULL: never
    last_sent  INTEGER,
    due        INTEGER NOT NULL,        -- to be sent (again) from then on
    replaces   INTEGER NOT NULL DEFAULT 0,  -- 1: voids earlier rows of its kind, mailbox and uid
    PRIMARY KEY (peer, number)
) WITHOUT ROWID;
CREATE INDEX outbox_replacing ON outbox(peer, kind, mailbox, uid) WHERE replaces=1;
CREATE INDEX outbox_by_due ON outbox(peer, due, number);

CREATE TABLE planned (
    peer    INTEGER NOT NULL REFERENCES peers(id) ON DELETE CASCADE,
    mailbox BLOB NOT NULL,              -- MailboxId
    last    INTEGER NOT NULL,           -- last UID of it that was planned for the peer
    chained INTEGER NOT NULL,           -- last one of these that was not withheld: the next message's prev_uid
    PRIMARY KEY (peer, mailbox)
) WITHOUT ROWID;

-- At core: numbers that a remote gave to messages, and what has become of them.
CREATE TABLE outside_numbers (
    peer        INTEGER NOT NULL REFERENCES peers(id) ON DELETE CASCADE,
    mailbox     BLOB NOT NULL,          -- MailboxId
    uid         INTEGER NOT NULL,
    now_mailbox BLOB NOT NULL,          -- MailboxId: where the message was filed
    now_uid     INTEGER NOT NULL,       -- 0: it was not
    stale       INTEGER NOT NULL DEFAULT 0,     -- 1: an epoch has begun since: whether the peer has the message it says itself
    asked       BLOB NOT NULL DEFAULT x'',      -- EmailId: nothing was known here of the message: the peer is asked for it
    PRIMARY KEY (peer, mailbox, uid)
) WITHOUT ROWID;
CREATE INDEX outside_numbers_by_now ON outside_numbers(now_mailbox, now_uid);

-- At core: expunged at one remote, of what is not known here. It is hidden if another remote brings it home.
CREATE TABLE expunged_unknown (
    mailbox BLOB NOT NULL,              -- MailboxId
    uid     INTEGER NOT NULL,           -- that it has there
    email   BLOB NOT NULL,              -- EmailId
    PRIMARY KEY (mailbox, uid, email)
) WITHOUT ROWID;

-- At a remote: numbers that it gave itself, until core has confirmed them; and for a while those that were given up.
CREATE TABLE provisional (
    mailbox     BLOB NOT NULL,          -- MailboxId
    uid         INTEGER NOT NULL,
    email       BLOB NOT NULL,          -- EmailId
    object      BLOB NOT NULL,          -- ObjectId of what is to go home, or zero
    hold        BLOB NOT NULL,          -- HoldId of that
    since       INTEGER NOT NULL,       -- when it was given, or given up
    now_mailbox BLOB NOT NULL,          -- MailboxId: given up, the message is there; zero: not confirmed yet
    now_uid     INTEGER NOT NULL,
    expunged    INTEGER NOT NULL DEFAULT 0,     -- 1: a client has, before core had confirmed the number; core is to hear that then
    from_mailbox BLOB NOT NULL DEFAULT x'',     -- MailboxId: copied from a number that was not confirmed then
    from_uid    INTEGER NOT NULL DEFAULT 0,
    request     BLOB NOT NULL DEFAULT x'',      -- what goes home once that is
    PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
CREATE INDEX provisional_by_email ON provisional(email);
CREATE INDEX provisional_by_from ON provisional(from_mailbox, from_uid) WHERE from_uid>0;

-- Replication, receiving side.

CREATE TABLE applied (
    peer  INTEGER NOT NULL REFERENCES peers(id) ON DELETE CASCADE,
    first INTEGER NOT NULL,             -- entry numbers first..last have been applied; intervals never touch
    last  INTEGER NOT NULL,
    PRIMARY KEY (peer, first)
) WITHOUT ROWID;

CREATE TABLE pending (
    mailbox       INTEGER NOT NULL REFERENCES mailboxes(id),
    uid           INTEGER NOT NULL,     -- core's; above mailboxes.visible
    prev_uid      INTEGER,              -- the UID before it in the sealed view; NULL: not known yet
    email         BLOB NOT NULL,        -- EmailId; zero: expunged before it was announced
    size          INTEGER NOT NULL,
    sha256        BLOB NOT NULL,        -- of the sealed octets
    date          INTEGER NOT NULL,
    zone          INTEGER NOT NULL,
    flags         TEXT NOT NULL,        -- as IMAP writes them
    stamps        BLOB NOT NULL DEFAULT x'',  -- as in messages
    arrived       INTEGER NOT NULL,
    state         INTEGER NOT NULL,     -- of the body: 0 missing, 1 ready, 2 stub, 3 gone
    object        BLOB NOT NULL,        -- ObjectId, zero while missing
    hold          BLOB NOT NULL,        -- HoldId, becomes the message's
    envelope      TEXT NOT NULL,        -- these six: as in message_texts and the next two, once the body is there
    body          TEXT NOT NULL,
    bodystructure TEXT NOT NULL,
    parts         BLOB NOT NULL,
    keys          BLOB NOT NULL,
    header        BLOB NOT NULL,        -- empty: none
    reseals       INTEGER NOT NULL DEFAULT 0,   -- 1: it is in messages, sealed otherwise, and takes that one's place
    PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
CREATE INDEX pending_by_email ON pending(email);
CREATE INDEX pending_by_state ON pending(state, arrived);
CREATE INDEX pending_resealed ON pending(mailbox) WHERE reseals=1;

CREATE TABLE pieces (
    id    INTEGER PRIMARY KEY,
    email BLOB NOT NULL,                -- EmailId of the message whose sealed object this is a piece of
    sha256 BLOB NOT NULL,               -- of that object as served: a message may be sealed more than once
    start INTEGER NOT NULL,             -- offset of the first octet
    total INTEGER NOT NULL,             -- size of the whole object
    length INTEGER NOT NULL,            -- of data: coverage is found without reading it
    data  BLOB NOT NULL,
    stray INTEGER,                      -- when it was first seen that no message waits for it; NULL: not seen
    UNIQUE (email, sha256, start)
);
)sql"
