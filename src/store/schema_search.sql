R"sql(
-- accounts/<hex>.search.db, version 1: the search index. All of it is derived from mail, and the file may be deleted
-- at any time. Not part of a backup.

CREATE TABLE meta (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    rules INTEGER NOT NULL,   -- how texts were read and cut: what other rules wrote is thrown away
    epoch BLOB NOT NULL,      -- 16 random octets: another file, or one that was emptied
    last  INTEGER NOT NULL    -- messages.id of the account's file: all up to here were looked at
);

CREATE TABLE docs (
    id     INTEGER PRIMARY KEY,  -- messages.id of the account's file
    object BLOB NOT NULL,        -- ObjectId of the body that was read: a restored backup may give an id twice
    whole  INTEGER NOT NULL,     -- 0: too large or not to be read; no text and no grams
    day    INTEGER               -- days since 1970 of the Date field, in its own zone; NULL: none
);

-- Apart from docs, so that going through those reads few pages.
CREATE TABLE texts (
    id   INTEGER PRIMARY KEY,    -- docs.id
    head BLOB NOT NULL,          -- the text as the caller writes it; this much of it for questions about the header; zstd
    rest BLOB NOT NULL           -- zstd
);

-- Which texts have a gram (grams.hpp). It keeps no text, and rowid is docs.id.
CREATE VIRTUAL TABLE grams USING fts5(text, content='', columnsize=0, detail=none, tokenize='fwmail_grams');
)sql"
