"""IMAP sessions by seed: valid, borderline and wrong commands in every state.

The generator keeps a rough model of what the server has, so that most commands mean something; it sees no answers,
so that the same octets go to every server. `@{HIGHEST}`, `@{VALIDITY}` and the like stand for what a server has told.
"""

import random
import re

import mails

USES = ("Archive", "Drafts", "Junk", "Sent", "Trash")
NICE = ("one", "Two", "a/b", "a", "a/b/c", "x y", "d/e", "&AOQ-rger", "Entw&APw-rfe", "&ZeVnLIqe-", "INBOX/sub", "q&-a",
        "d", "Sent/old", "z(1)", "it's", "f.g", "one/Two")
ODD_NAMES = ("/a", "a//b", "a/", "a/b/", "INBOX", "inbox", "InBox", "iNBOX/x", "INBOX/", "&", "&AOQ", "&AGE-", "&&-", "&-&-",
             "&AOQ-&APY-", "&2D3eAA-", "&2D0-", "*", "%", "a*", "b%c", "\\", "a\\b", "", "/", "//", "..", "../x", ".",
             "a/../b", "~", "~x", "#news", "nowhere", "no/where", "NIL", "\xe9", "a\tb", "x" * 300, "m\x7f", "]", "a]b",
             "\"", "a\"b", "{3}", "&AAA-", "&AC8-")
FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
KEYWORDS = ("$Forwarded", "$MDNSent", "work", "Work", "$label1", "NonJunk", "k-1")
ODD_FLAGS = ("\\Recent", "\\Unknown", "\\*", "\\seen", "\\DELETED", "()", "a(b", "\"quoted\"", "%", "NIL", "\\", "$", "a]b",
             "x" * 90, "\xe9")
FIELDS = ("Subject", "FROM", "To", "cc", "Date", "Message-ID", "X-Long", "X-Empty", "Received", "Content-Type", "Nothing",
          "References", "Reply-To")
WORDS = ("hello", "WORLD", "text", "plain", "example", "caf", "Gr", "inner", "bob", "ann@", "the", "zzz", "octets", "boundary",
         "digest", "J", "html", "second line", "b2", "routed")


class Step:
    """One thing that a client does. kind: command, raw, pipeline, open, close, idle, done."""

    def __init__(self, conn, kind, name="", parts=(), traits=(), steps=()):
        self.conn, self.kind, self.name = conn, kind, name
        self.parts = list(parts)  # octets; between two of them the server is to say `+`
        self.traits = set(traits)
        self.steps = list(steps)  # of a pipeline
        self.target = None  # the mailbox that SELECT means

    def text(self):
        if self.kind == "pipeline":
            return b" | ".join(step.text() for step in self.steps)
        return b"~".join(self.parts)

    def __repr__(self):
        text = self.text()
        shown = text if len(text) < 300 else text[:200] + b"..." + text[-60:]
        marks = f" {{{','.join(sorted(self.traits))}}}" if self.traits else ""
        return f"{self.conn} {self.kind} {shown!r}{marks}"


class Session:
    def __init__(self, seed, steps):
        self.seed, self.steps = seed, steps


class Model:
    """What the server has, as far as the generator knows."""

    def __init__(self):
        self.mailboxes = {"INBOX": 0} | {name: 0 for name in USES}


class Connection:
    def __init__(self):
        self.authenticated, self.selected, self.read_only = False, None, False
        self.condstore = self.qresync = self.saved = self.dirty = False
        self.gone = False


class Generator:
    def __init__(self, seed, length=None):
        self.random = random.Random(f"fwmail differential {seed}")
        self.seed = seed
        self.model = Model()
        self.connections = [Connection()]
        self.steps = []
        self.length = length or self.random.randint(15, 45)

    # The session as a whole.

    def session(self):
        r = self.random
        self.open(0)
        if r.random() < 0.25:
            for _ in range(r.randint(1, 4)):
                self.before_login(0)
        self.login(0)
        self.fill()
        if r.random() < 0.35:
            self.enable(0)
        if r.random() < 0.9:
            self.select(0, odd=False)
        if r.random() < 0.3:
            self.connections.append(Connection())
            self.open(1)
            self.login(1)
            if r.random() < 0.3:
                self.enable(1)
            self.select(1, odd=False, name=self.connections[0].selected or "INBOX")
        for _ in range(self.length):
            self.step(r.randrange(len(self.connections)))
        self.ending()
        return Session(self.seed, self.steps)

    def step(self, conn):
        r = self.random
        if r.random() < 0.04 and len(self.connections) == 2:
            return self.idle(conn)
        if r.random() < 0.03:
            return self.pipeline(conn)
        if r.random() < 0.015:
            return self.garbage(conn)
        self.any_command(conn)

    def ending(self):
        """Everything there is, in the end, is the same."""
        for conn in range(len(self.connections)):
            self.add(conn, "NOOP", "NOOP", sync=True)
        self.add(0, "LIST", 'LIST "" *')
        self.add(0, "LSUB", 'LSUB "" *')
        for name in sorted(self.model.mailboxes)[:6]:
            self.add(0, "STATUS", f"STATUS {self.quoted(name)} (MESSAGES UIDNEXT UNSEEN)")
        for conn, connection in enumerate(self.connections):
            if connection.selected:
                self.add(conn, "UID FETCH", "UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)")
        self.add(0, "LOGOUT", "LOGOUT")

    # Steps.

    def add(self, conn, name, text, traits=(), sync=False):
        """text: str, or a list of str and ("literal", octets) pieces."""
        # Only who has said that it counts modseqs is sure to be told them.
        if isinstance(text, str) and not self.connections[conn].condstore:
            text = text.replace("@{HIGHEST}", "1000000").replace("@{HIGHEST-}", "1000000")
        traits = set(traits) | ({"sync"} if sync else set())
        step = Step(conn, "command", name, self.parts(text), traits)
        self.steps.append(step)
        return step

    def parts(self, text):
        pieces = text if isinstance(text, list) else [text]
        parts, current = [], b""
        for piece in pieces:
            if isinstance(piece, str):
                current += piece.encode("latin-1")
                continue
            kind, octets = piece
            mark = b"~" if kind.startswith("~") else b""
            if kind.endswith("+"):
                current += mark + b"{%d+}\r\n" % len(octets) + octets
            else:
                parts.append(current + mark + b"{%d}" % len(octets))
                current = octets
        return parts + [current]

    def open(self, conn):
        self.steps.append(Step(conn, "open"))

    def login(self, conn):
        r = self.random
        user, password = "@{USER}", '"@{PASSWORD}"'
        how = r.random()
        if how < 0.05:
            self.add(conn, "LOGIN", f"LOGIN {user} wrong")
        if how < 0.8:
            self.add(conn, "LOGIN", f"LOGIN {user} {password}")
        elif how < 0.9:
            self.add(conn, "LOGIN", f'login "{user}" {password}')
        else:
            self.add(conn, "AUTHENTICATE", "AUTHENTICATE PLAIN @{PLAIN}")
        self.connections[conn].authenticated = True

    def before_login(self, conn):
        r = self.random
        text = r.choice(["CAPABILITY", "NOOP", "SELECT INBOX", "LIST \"\" *", "LOGIN", "LOGIN a", "ENABLE CONDSTORE",
                         "ID NIL", 'ID ("name" "x" "version" NIL)', "FETCH 1 FLAGS", "IDLE", "FROBNICATE", "AUTHENTICATE",
                         "AUTHENTICATE NONSENSE", "LOGIN nobody nothing", "STATUS INBOX (MESSAGES)", "NAMESPACE", "CHECK",
                         "CLOSE", "UID FETCH 1 FLAGS", "UID", "LOGIN \"\" \"\""])
        self.add(conn, text.split(" ")[0], text, {"before-login"})

    def fill(self):
        r = self.random
        for name in r.sample(NICE, r.randint(0, 4)):
            self.create(0, name)
        count = r.choice([0, 1, 2, 3, 3, 4, 5, 6, 8])
        where = r.choice(["INBOX"] * 4 + sorted(self.model.mailboxes))
        for _ in range(count):
            self.append(0, odd=False, name=where)

    def any_command(self, conn):
        r = self.random
        connection = self.connections[conn]
        if connection.dirty and r.random() < 0.7:
            self.news(conn)
        selected = connection.selected and r.random() > 0.04
        commands = SELECTED if selected else AUTHENTICATED
        if r.random() < 0.04:
            commands = SELECTED + AUTHENTICATED
        makers, weights = zip(*commands)
        before = len(self.steps)
        r.choices(makers, weights)[0](self, conn)
        made = self.steps[before:]
        if len(made) == 1 and made[0].kind == "command" and r.random() < 0.06:
            self.mangle(made[0])
        if len(self.connections) == 2:
            other = 1 - conn
            self.connections[other].dirty = True
            # Numbers mean the same to both servers only after the news are out.
            self.news(other)

    def news(self, conn):
        self.add(conn, "NOOP", "NOOP", sync=True)
        self.connections[conn].dirty = False

    def mangle(self, step):
        r = self.random
        text = step.parts[0]
        where = r.randrange(len(text) + 1)
        kind = r.choice(["cut", "double-space", "trailing-space", "trailing-word", "lower", "insert", "drop", "no-arguments",
                         "mixed"])
        if kind == "cut" and len(step.parts) == 1 and b"\r\n" not in text:
            text = text[:where]
        elif kind == "double-space":
            # Never within a literal: its size has been told.
            first = r.random() < 0.5 or b"\r\n" in text
            text = text.replace(b" ", b"  ", 1) if first else b"  ".join(text.rsplit(b" ", 1))
        elif kind == "trailing-space" and len(step.parts) == 1:
            text += b" "
        elif kind == "trailing-word" and len(step.parts) == 1:
            text += r.choice([b" x", b" ()", b" NIL", b")"])
        elif kind in ("lower", "mixed"):
            head = text.split(b" ")[0]
            text = (head.lower() if kind == "lower" else head.capitalize()) + text[len(head):]
            step.parts[0] = text
            return
        elif kind == "insert" and b"\r\n" not in text:
            text = text[:where] + r.choice([b"(", b")", b'"', b"\\", b"{", b"]", b"\x00", b"\xff", b"\t", b"%"]) + text[where:]
        elif kind == "drop" and b"\r\n" not in text:
            text = text[:where] + text[where + 1:]
        elif kind == "no-arguments" and len(step.parts) == 1:
            text = text.split(b" ")[0]
        if text == step.parts[0] or text.endswith(b"}"):
            return
        step.parts[0] = text
        step.traits |= {"mangled", kind}

    def garbage(self, conn):
        r = self.random
        octets = r.choice([b"", b" ", b"tag", b"tag ", b"* NOOP", b"+ NOOP", b"a+b NOOP", b"NOOP", b"\x00\x01\x02", b"(a) NOOP",
                           b"t%g NOOP", b"\xff\xfe NOOP", b"tag  NOOP", b" tag NOOP", b"tag UID", b"tag UID NOOP",
                           b"t]g NOOP", b'"t" NOOP', b"tag NOOP NOOP", b"tag\tNOOP", b"tag LOGIN a b", b"DONE",
                           b"tag AUTHENTICATE PLAIN", b"tag STARTTLS", b"tag NOOP \x00", b"a" * 300 + b" NOOP"])
        self.steps.append(Step(conn, "raw", "garbage", [octets], {"garbage"}))

    def pipeline(self, conn):
        r = self.random
        made, before = [], len(self.steps)
        while len(made) < r.randint(2, 5):
            self.any_of(conn, PIPELINED)
            fresh = self.steps[before:]
            del self.steps[before:]
            made += [step for step in fresh if step.kind == "command" and len(step.parts) == 1]
        # What changes the numbers of messages comes last: a client may not send more before it is answered (RFC 9051 5.5).
        made.sort(key=lambda step: step.name in ("EXPUNGE", "UID EXPUNGE", "MOVE", "UID MOVE"))
        while len(made) > 1 and made[-2].name in ("EXPUNGE", "UID EXPUNGE", "MOVE", "UID MOVE"):
            del made[-2]
        self.steps.append(Step(conn, "pipeline", "pipeline", (), (), made))
        for each in range(len(self.connections)):
            self.news(each)
        self.add(conn, "UID FETCH", "UID FETCH 1:* (FLAGS RFC822.SIZE)")

    def any_of(self, conn, commands):
        makers, weights = zip(*commands)
        self.random.choices(makers, weights)[0](self, conn)

    def idle(self, conn):
        if not self.connections[conn].authenticated or self.connections[conn].gone:
            return
        other = 1 - conn
        self.steps.append(Step(conn, "idle", "IDLE", [b"IDLE"]))
        for _ in range(self.random.randint(0, 2)):
            self.any_of(other, PIPELINED)
        self.steps.append(Step(conn, "done", "IDLE", [self.random.choice([b"DONE", b"DONE", b"done"])]))
        self.news(conn)
        self.news(other)

    # Words.

    def quoted(self, text):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def astring(self, text):
        """One of the ways to write it, as pieces."""
        r = self.random.random()
        atom = re.fullmatch(r"[^\x00-\x20\x7f-\xff(){%*\"\\]+", text)
        if atom and r < 0.6:
            return [text]
        if r < 0.9 and not re.search(r"[\x00\r\n\x80-\xff]", text):
            return [self.quoted(text)]
        return [("literal" + self.random.choice(["", "+", "+"]), text.encode("latin-1"))]

    def mailbox(self, odd=0.12, existing=0.75):
        r = self.random
        if r.random() < odd:
            return r.choice(ODD_NAMES)
        if r.random() < existing:
            return r.choice(sorted(self.model.mailboxes))
        return r.choice(NICE)

    def count(self, conn):
        return self.model.mailboxes.get(self.connections[conn].selected, 0)

    def number(self, conn):
        return self.random.randint(1, max(1, self.count(conn)))

    def sequence(self, conn, odd=0.1):
        r = self.random
        n = self.count(conn)
        if r.random() < odd:
            return r.choice(["*:1", "*", "*:*", "4294967295", "0", "0:1", "1:0", f"{n + 1}", f"{n + 3}:*", "5:2", "1,1,1", "2:1,1:2",
                             "4294967296", "1:4294967295", "99999999999", "1,", ",1", "1:", ":1", "1:2:3", "", "a", "1 2", "-1",
                             "1.5", "+1", "01", "1,*", "*,*:1", "$", "1,$", "1:*,1:*", "1:3,2:4"])
        pick = r.random()
        if pick < 0.3:
            return "1:*"
        if pick < 0.6:
            return str(self.number(conn))
        if pick < 0.8:
            return "{}:{}".format(*sorted((self.number(conn), self.number(conn))))
        if pick < 0.85:
            return "*"
        return ",".join(str(self.number(conn)) for _ in range(r.randint(2, 4)))

    def set(self, conn, odd=0.1):
        """("", sequence set) or ("UID ", UIDs)."""
        if self.random.random() < 0.45:
            return "UID ", self.random.choice([self.sequence(conn, odd), f"1:{self.count(conn) + 5}", "1:*",
                                              str(self.number(conn) + self.random.randint(0, 3))])
        return "", self.sequence(conn, odd)

    def flags(self, odd=0.08):
        r = self.random
        if r.random() < odd:
            return r.choice([r.choice(ODD_FLAGS), f"({r.choice(ODD_FLAGS)})", f"(\\Seen {r.choice(ODD_FLAGS)})", "()", ""])
        flags = r.sample(FLAGS, r.choice([0, 1, 1, 1, 2])) + r.sample(KEYWORDS, r.choice([0, 0, 0, 1, 2]))
        return f"({' '.join(flags)})" if r.random() < 0.85 or not flags else " ".join(flags)

    # Commands, any time.

    def noop(self, conn):
        self.add(conn, "NOOP", self.random.choice(["NOOP", "NOOP", "noop", "CHECK"]), sync=True)

    def simple(self, conn):
        text = self.random.choice(["CAPABILITY", "NAMESPACE", "ID NIL", "ID (\"name\" \"t\")", "ID ()", "ID (\"a\")", "ID", "ID (NIL NIL)",
                                   "ID ((\"a\" \"b\"))"])
        self.add(conn, text.split(" ")[0], text)

    def unknown(self, conn):
        text = self.random.choice(["FROBNICATE", "XYZZY 1", "UID", "UID FROB 1", "UID NOOP", "FETCHX 1 FLAGS", "LOGIN a b",
                                   "AUTHENTICATE PLAIN", "STARTTLS", "", "SEL ECT", "UID UID FETCH 1 FLAGS", "UIDFETCH 1 FLAGS",
                                   "DONE", "GETACL", "X-A-B"])
        self.add(conn, text.split(" ")[0] or "nothing", text)

    def enable(self, conn):
        r = self.random
        names = r.choice(["CONDSTORE", "QRESYNC", "QRESYNC", "CONDSTORE QRESYNC", "qresync", "X-NOTHING", "X-NOTHING CONDSTORE",
                          "", "CONDSTORE CONDSTORE", "(CONDSTORE)"])
        self.add(conn, "ENABLE", "ENABLE" + (" " + names if names else ""))
        connection = self.connections[conn]
        connection.qresync |= "qresync" in names.lower()
        connection.condstore |= "condstore" in names.lower() or connection.qresync

    # Mailboxes.

    def select(self, conn, odd=True, name=None):
        r = self.random
        connection = self.connections[conn]
        name = name or self.mailbox(0.08 if odd else 0, 0.92 if odd else 1)
        verb = "SELECT" if r.random() < 0.8 else "EXAMINE"
        more = ""
        if r.random() < 0.1:
            more = r.choice([" (CONDSTORE)", " (condstore)", " ()", " (UNKNOWN)", " CONDSTORE", " (CONDSTORE CONDSTORE)"])
        if connection.qresync and r.random() < 0.5 or r.random() < 0.02:
            more = r.choice([" (QRESYNC (@{VALIDITY} @{HIGHEST-}))", " (QRESYNC (@{VALIDITY} 1))", " (QRESYNC (1 1))",
                             " (QRESYNC (@{VALIDITY} @{HIGHEST-} 1:3))", " (QRESYNC (@{VALIDITY} 1 1:10 (1,2 1,2)))",
                             " (QRESYNC (@{VALIDITY} @{HIGHEST}))", " (QRESYNC (0 1))", " (QRESYNC (@{VALIDITY}))",
                             " (QRESYNC (@{VALIDITY} 1 *))", " (QRESYNC @{VALIDITY} 1)", " (QRESYNC (@{VALIDITY} 0))",
                             " (QRESYNC (@{VALIDITY} 99999999999999999999))", " (CONDSTORE QRESYNC (@{VALIDITY} @{HIGHEST-}))"])
        known = self.find(name)
        self.add(conn, verb, [verb + " ", *self.astring(name), more]).target = known
        connection.selected = known
        connection.read_only = verb == "EXAMINE"
        connection.condstore |= "CONDSTORE" in more

    def find(self, name):
        name = re.sub(r"^inbox(?=$|/)", "INBOX", name, flags=re.I)
        return name if name in self.model.mailboxes else None

    def leave(self, conn):
        r = self.random
        verb = r.choice(["CLOSE", "UNSELECT"])
        self.add(conn, verb, verb)
        self.connections[conn].selected = None
        if r.random() < 0.8:
            self.select(conn)

    def create(self, conn, name=None):
        r = self.random
        use = ""
        if name is None:
            name = self.mailbox(0.35, 0.1)
            if r.random() < 0.1:
                name += "/" + r.choice(["x", "", "y/z", "INBOX"])
            if r.random() < 0.04:
                use = r.choice([" (USE (\\Archive))", " (USE (\\All))", " (USE ())", " (USE (Sent))", " USE", " ()"])
        # Whether what lies above comes into being by itself differs.
        for at in [at for at, c in enumerate(name) if c == "/" and name in NICE and r.random() < 0.9]:
            if name[:at] not in self.model.mailboxes:
                self.add(conn, "CREATE", ["CREATE ", *self.astring(name[:at])])
                self.model.mailboxes[name[:at]] = 0
        self.add(conn, "CREATE", ["CREATE ", *self.astring(name), use])
        if name in NICE:
            self.model.mailboxes.setdefault(name, 0)

    def delete(self, conn):
        # What someone has selected is left alone: what then happens is no more to be compared.
        name = self.mailbox(0.15, 0.9)
        known = self.find(name)
        if known and (any(c.selected == known for c in self.connections) or known in USES and self.random.random() < 0.9):
            return self.create(conn)
        self.add(conn, "DELETE", ["DELETE ", *self.astring(name)])
        self.model.mailboxes.pop(name, None) if name != "INBOX" else None

    def rename(self, conn):
        source, target = self.mailbox(0.1, 0.9), self.mailbox(0.15, 0.2)
        for connection in self.connections:
            selected = connection.selected or ""
            if (selected + "/").startswith(source + "/") or (selected + "/").startswith(target + "/"):
                return self.create(conn)
        self.add(conn, "RENAME", ["RENAME ", *self.astring(source), " ", *self.astring(target)])
        boxes = self.model.mailboxes
        if source in boxes and target not in boxes and target in NICE:
            for name in [name for name in boxes if name == source or name.startswith(source + "/")]:
                if source == "INBOX":
                    boxes[target], boxes["INBOX"] = boxes["INBOX"], 0
                    break
                boxes[target + name[len(source):]] = boxes.pop(name)

    def subscribe(self, conn):
        verb = self.random.choice(["SUBSCRIBE", "UNSUBSCRIBE"])
        self.add(conn, verb, [verb + " ", *self.astring(self.mailbox())])

    def list(self, conn):
        r = self.random
        reference = r.choice(['""'] * 6 + ["a", "a/", "INBOX", '"%"', "Sent/", "nowhere/", "/", "a/b/", "NIL"])
        patterns = ["*", "%", "*", '"*"', '""', "INBOX", "inbox", "In*", "a/%", "a/*", "%/%", "%/b", "*b", "*/c", "a", "Sent*", "S%t",
                    "/", "%%", "**", "%*", "*%", "a/", "i%", "INBOX/%", "&AOQ-*", "x", "nothing", "%/", "*/", "{3}", "(a)", "/%"]
        pattern = r.choice(patterns)
        if r.random() < 0.25:
            verb = "LSUB"
            return self.add(conn, verb, f"LSUB {reference} {pattern}")
        selection = back = ""
        if r.random() < 0.35:
            selection = r.choice(["(SUBSCRIBED) ", "(SUBSCRIBED RECURSIVEMATCH) ", "(RECURSIVEMATCH) ", "() ", "(SPECIAL-USE) ",
                                  "(REMOTE) ", "(UNKNOWN) ", "(subscribed) ", "(SPECIAL-USE SUBSCRIBED) ",
                                  "(SUBSCRIBED SUBSCRIBED) ", "(REMOTE SUBSCRIBED) "])
        if r.random() < 0.35:
            back = r.choice([" RETURN (CHILDREN)", " RETURN (SUBSCRIBED)", " RETURN ()", " RETURN (SPECIAL-USE)",
                             " RETURN (SUBSCRIBED CHILDREN SPECIAL-USE)", " RETURN (STATUS (MESSAGES UIDNEXT))", " RETURN (UNKNOWN)",
                             " RETURN", " RETURN CHILDREN", " RETURN (STATUS)", " RETURN (STATUS ())",
                             " RETURN (CHILDREN STATUS (UNSEEN))", " return (children)"])
        if r.random() < 0.1:
            pattern = f"({' '.join(r.choice(patterns[:12]) for _ in range(r.randint(1, 3)))})"
        self.add(conn, "LIST", f"LIST {selection}{reference} {pattern}{back}")

    def status(self, conn):
        r = self.random
        items = r.sample(["MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ", "SIZE"], r.randint(1, 5))
        if r.random() < 0.12:
            items = r.choice([[], ["UNKNOWN"], ["messages", "Unseen"], ["MESSAGES", "MESSAGES"], ["MESSAGES", ""], ["DELETED"],
                              ["APPENDLIMIT"], ["MAILBOXID"]])
        self.add(conn, "STATUS", ["STATUS ", *self.astring(self.mailbox()), f" ({' '.join(items)})"])

    # Messages.

    def date(self):
        r = self.random
        return '"%02d-%s-2026 %02d:%02d:%02d %s"' % (r.randint(1, 28), r.choice("Jan Feb Mar Apr".split()), r.randrange(24),
                                                      r.randrange(60), r.randrange(60), r.choice(["+0000", "+0100", "-0800", "+0530"]))

    def append(self, conn, odd=True, name=None):
        r = self.random
        if name is None:
            name = self.mailbox(0.05, 0.95)
        messages = 1 if r.random() < 0.93 else r.randint(2, 3)
        pieces, traits = ["APPEND ", *self.astring(name)], set()
        for _ in range(messages):
            mail = r.choice(sorted(mails.FAITHFUL) if not odd or r.random() < 0.8 else sorted(mails.ODD))
            traits.add("mail:" + mail)
            flags = self.flags(0.03 if odd else 0) if r.random() < 0.5 else ""
            if flags and not flags.startswith("(") and not (odd and r.random() < 0.05):
                flags = f"({flags})"
            date = self.date()
            if odd and r.random() < 0.04:
                date = r.choice(['" 1-Mar-2026 00:00:00 +0000"', '"1-Mar-2026 00:00:00 +0000"', '"31-Feb-2026 00:00:00 +0000"', '""',
                                 '"01-mar-2026 00:00:00 +0000"', '"01-Mar-2026 24:00:00 +0000"', '"01-Mar-26 00:00:00 +0000"',
                                 '"01-Mar-2026 00:00:00 GMT"', '"01-Mar-2026"', "NIL", '"01-Mar-1960 00:00:00 +0000"',
                                 '"01-Mar-2026 00:00:60 +0000"', '"01-Mar-9999 00:00:00 +0000"'])
            pieces.append(f" {flags}{' ' if flags else ''}{date} ")
            octets = mails.MAILS[mail]
            kind = r.choice(["literal", "literal+", "literal+"])
            if b"\0" in octets and r.random() < 0.8 or odd and r.random() < 0.04:
                kind = "~" + kind
            pieces.append((kind, b"" if odd and r.random() < 0.02 else octets))
        self.add(conn, "APPEND", pieces, traits)
        known = self.find(name)
        if known:
            self.model.mailboxes[known] += messages

    def section(self):
        r = self.random
        part = r.choice(["", "", "", "1", "2", "1.1", "2.1", "3", "2.2", "1.2", "2.1.1", "1.1.1"])
        fields = "(" + " ".join(r.sample(FIELDS, r.randint(1, 3))) + ")"
        what = r.choice(["", "", "HEADER", "TEXT", "MIME", f"HEADER.FIELDS {fields}", f"HEADER.FIELDS.NOT {fields}"])
        if r.random() < 0.06:
            return r.choice(["0", "1.0", "99", "1.HEADER.FIELDS", "HEADER.FIELDS ()", "MIME", "1.", ".1", "TEXT.1", "header",
                             "HEADER.FIELDS (\"Subject\" {2+}\r\nTo)", "4294967296", "1..1", "UNKNOWN", "HEADER.FIELDS (Subject",
                             "HEADER.FIELDS Subject", "text", "1.text", "HEADER.FIELDS (X:Y)", "HEADER.FIELDS (\"a b\")"])
        if not part and what == "MIME":
            what = ""
        return part + ("." if part and what else "") + what

    def partial(self):
        r = self.random
        if r.random() < 0.75:
            return ""
        if r.random() < 0.1:
            return r.choice(["<0>", "<0.0>", "<.1>", "<1.>", "<-1.5>", "<0.4294967295>", "<4294967295.4294967295>", "<a.b>", "<1.1",
                             "<0.4294967296>", "<0.18446744073709551616>", "<0,5>", "<5.1.2>"])
        return f"<{r.choice([0, 0, 1, 5, 50, 200, 100000])}.{r.choice([1, 10, 100, 5000])}>"

    def item(self):
        r = self.random
        pick = r.random()
        if pick < 0.45:
            return r.choice(["FLAGS", "UID", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE", "MODSEQ"])
        if pick < 0.8:
            return r.choice(["BODY.PEEK", "BODY.PEEK", "BODY"]) + f"[{self.section()}]{self.partial()}"
        if pick < 0.92:
            part = r.choice(["", "1", "2", "1.1", "2.1", "3", "1.2"])
            kind = r.choice(["BINARY.PEEK", "BINARY", "BINARY.SIZE"])
            return f"{kind}[{part}]{self.partial() if kind != 'BINARY.SIZE' or r.random() < 0.1 else ''}"
        if pick < 0.97:
            return r.choice(["RFC822", "RFC822.HEADER", "RFC822.TEXT", "SAVEDATE", "PREVIEW", "PREVIEW (LAZY)"])
        return r.choice(["UNKNOWN", "BODY.PEEK", "RFC822.FOO", "flags", "body[]", "BINARY[TEXT]", "BINARY.SIZE", "EMAILID", "THREADID",
                         "BODY[", "BODY]", "X-GM-MSGID", "BODY.PEEK []", "PREVIEW (FUZZY)", "RFC822.HEADER.LINES (Subject)"])

    def fetch(self, conn):
        r = self.random
        uid, numbers = self.set(conn)
        pick = r.random()
        if pick < 0.12:
            items = r.choice(["ALL", "FAST", "FULL", "all", "(ALL)", "(FAST FLAGS)", "ALL FLAGS"])
        elif pick < 0.4:
            items = self.item()
        else:
            items = "(" + " ".join(self.item() for _ in range(r.randint(1, 4))) + ")"
        if r.random() < 0.03:
            items = r.choice(["()", "", "(FLAGS", "FLAGS)", "((FLAGS))", "(FLAGS  UID)", "( FLAGS)", "(FLAGS )", "\"FLAGS\""])
        more = ""
        if r.random() < 0.06:
            more = r.choice([" (CHANGEDSINCE @{HIGHEST-})", " (CHANGEDSINCE 1)", " (CHANGEDSINCE 0)", " (CHANGEDSINCE)", " ()",
                             " (CHANGEDSINCE @{HIGHEST-} VANISHED)", " (VANISHED)", " (UNKNOWN)", " (CHANGEDSINCE 99999999999)",
                             " (CHANGEDSINCE 99999999999999999999)", " CHANGEDSINCE 1"])
        self.add(conn, uid + "FETCH", f"{uid}FETCH {numbers} {items}{more}")

    def store(self, conn):
        r = self.random
        uid, numbers = self.set(conn)
        since = ""
        if r.random() < 0.1:
            since = r.choice(["(UNCHANGEDSINCE @{HIGHEST}) ", "(UNCHANGEDSINCE @{HIGHEST-}) ", "(UNCHANGEDSINCE 0) ", "(UNCHANGEDSINCE 1) ",
                              "(UNCHANGEDSINCE) ", "(UNKNOWN 1) ", "() ", "(UNCHANGEDSINCE 99999999999999999999) ",
                              "(unchangedsince 99999999999) "])
        item = r.choice(["FLAGS", "+FLAGS", "-FLAGS"]) + r.choice(["", "", ".SILENT"])
        if r.random() < 0.05:
            item = r.choice(["+flags", "flags.silent", "++FLAGS", "FLAG", "+ FLAGS", "*FLAGS", "FLAGS.LOUD", "ANNOTATION", "+FLAGS.silent"])
        self.add(conn, uid + "STORE", f"{uid}STORE {numbers} {since}{item} {self.flags()}")

    def search_text(self):
        r = self.random
        word = r.choice(WORDS)
        pick = r.random()
        if pick < 0.05:
            return '""'
        if pick < 0.1:
            return "{%d+}\r\n%s" % (len(word), word)
        if " " in word or pick < 0.5:
            return self.quoted(word)
        return word

    def day(self):
        r = self.random
        if r.random() < 0.1:
            return r.choice(['"1-Mar-2026"', "01-mar-2026", "1-Mar-26", "31-Feb-2026", "0-Mar-2026", "1-Foo-2026", '" 1-Mar-2026"', "1-3-2026",
                             "1-Mar-1969", "1-Mar-9999", '""', "1-MAR-2026", "001-Mar-2026"])
        return f"{r.randint(1, 28)}-{r.choice('Jan Feb Mar Apr'.split())}-2026"

    def key(self, conn, depth=0):
        r = self.random
        pick = r.random()
        if pick < 0.2:
            return r.choice(["ALL", "ANSWERED", "DELETED", "DRAFT", "FLAGGED", "SEEN", "UNANSWERED", "UNDELETED", "UNDRAFT", "UNFLAGGED", "UNSEEN",
                             "NOT SEEN"])
        if pick < 0.3:
            return self.sequence(conn, 0.15)
        if pick < 0.36:
            return "UID " + self.sequence(conn, 0.15)
        if pick < 0.42:
            return r.choice(["KEYWORD", "UNKEYWORD"]) + " " + r.choice(KEYWORDS + ("nothing", "\\Seen", "$label1"))
        if pick < 0.5:
            return r.choice(["BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"]) + " " + self.day()
        if pick < 0.54:
            return r.choice(["LARGER", "SMALLER"]) + " " + r.choice(["0", "100", "500", "1000", "4294967295", "4294967296", "-1", "x", ""])
        if pick < 0.7:
            return r.choice(["FROM", "TO", "CC", "BCC", "SUBJECT"]) + " " + self.search_text()
        if pick < 0.76:
            return f"HEADER {r.choice(FIELDS)} {self.search_text()}"
        if pick < 0.86:
            return r.choice(["BODY", "TEXT"]) + " " + self.search_text()
        if pick < 0.88:
            return r.choice(["OLDER", "YOUNGER"]) + " " + r.choice(["1", "100000", "0", "4294967295", "1000000000"])
        if pick < 0.9:
            return "MODSEQ " + r.choice(["1", "@{HIGHEST-}", "0", "99999999999", '"/flags/\\\\Seen" all 1', '"/flags/\\\\Seen" priv 1', "x"])
        if pick < 0.92:
            return r.choice(["UNKNOWN", "$", "SAVEDON 1-Mar-2020", "()", "(", "NOT", "OR SEEN", "EMAILID x", "SAVEDATESUPPORTED", "FROM", "(SEEN",
                             "UID", "SUBJECT", "HEADER", "HEADER Subject", "INTHREAD", "seen", "Not seen"])
        if depth > 2:
            return "ALL"
        if pick < 0.95:
            return "NOT " + self.key(conn, depth + 1)
        if pick < 0.98:
            return f"OR {self.key(conn, depth + 1)} {self.key(conn, depth + 1)}"
        return "(" + " ".join(self.key(conn, depth + 1) for _ in range(r.randint(1, 3))) + ")"

    def search(self, conn):
        r = self.random
        uid = "UID " if r.random() < 0.4 else ""
        charset = ""
        if r.random() < 0.08:
            charset = r.choice(["CHARSET UTF-8 ", "CHARSET US-ASCII ", "CHARSET X-NO-SUCH ", "charset utf-8 ", "CHARSET \"UTF-8\" ", "CHARSET ",
                                "CHARSET ISO-8859-1 ", "CHARSET \"\" "])
        keys = " ".join(self.key(conn) for _ in range(r.choice([1, 1, 1, 2, 3])))
        if r.random() < 0.04:
            charset, keys = "CHARSET UTF-8 ", r.choice(["TEXT {6+}\r\nK\xc3\xb6ln\x20", "SUBJECT {5+}\r\nCAF\xc3\x89", "BODY {7+}\r\ncaf\xc3\xa9 p",
                                                        "FROM {7+}\r\nJ\xc3\xbcrgen", "SUBJECT {8+}\r\nGR\xc3\xbc\xc3\x9fe", "TEXT {1+}\r\n\xff"])
        back = ""
        if r.random() < 0.25:
            back = r.choice(["RETURN (ALL) ", "RETURN (MIN MAX) ", "RETURN (COUNT) ", "RETURN () ", "RETURN (MIN MAX ALL COUNT) ", "RETURN (SAVE) ",
                             "RETURN (SAVE COUNT) ", "RETURN (UNKNOWN) ", "RETURN ", "RETURN (MIN MIN) ", "RETURN ALL ", "return (all) ",
                             "RETURN (SAVE MIN) ", "RETURN (SAVE) "])
        self.add(conn, uid + "SEARCH", f"{uid}SEARCH {back}{charset}{keys}")

    def copy(self, conn):
        verb = self.random.choice(["COPY", "COPY", "MOVE"])
        uid, numbers = self.set(conn, 0.06)
        self.add(conn, uid + verb, [f"{uid}{verb} {numbers} ", *self.astring(self.mailbox(0.06, 0.95))])

    def expunge(self, conn):
        r = self.random
        if r.random() < 0.7:
            self.add(conn, "EXPUNGE", "EXPUNGE")
        else:
            self.add(conn, "UID EXPUNGE", "UID EXPUNGE " + r.choice([self.sequence(conn), "1:*", "1:4", "*"]))


AUTHENTICATED = [(Generator.noop, 2), (Generator.simple, 3), (Generator.unknown, 2), (Generator.enable, 2), (Generator.select, 25),
                 (Generator.create, 10), (Generator.delete, 6), (Generator.rename, 6), (Generator.subscribe, 5),
                 (Generator.list, 15), (Generator.status, 8), (Generator.append, 10), (Generator.fetch, 1), (Generator.store, 1),
                 (Generator.search, 1), (Generator.copy, 1), (Generator.expunge, 1), (Generator.leave, 1)]
SELECTED = [(Generator.fetch, 40), (Generator.store, 20), (Generator.search, 22), (Generator.copy, 9), (Generator.expunge, 6),
            (Generator.leave, 2), (Generator.select, 4), (Generator.append, 7), (Generator.noop, 3), (Generator.simple, 1),
            (Generator.unknown, 1), (Generator.enable, 1), (Generator.create, 2), (Generator.delete, 1), (Generator.rename, 1),
            (Generator.subscribe, 1), (Generator.list, 4), (Generator.status, 3)]
PIPELINED = [(Generator.store, 10), (Generator.fetch, 10), (Generator.search, 6), (Generator.status, 2), (Generator.copy, 3),
             (Generator.expunge, 3), (Generator.append, 3)]


def session_of(seed):
    return Generator(seed).session()
