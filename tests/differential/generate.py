"""IMAP sessions by seed: valid, borderline and wrong commands in every state.

The generator keeps a rough model of what the server has, so that most commands mean something; it sees no answers,
so that the same octets go to every server. `@{HIGHEST}`, `@{VALIDITY}` and the like stand for what a server has told.
"""

import random

from commands import Commands
from session import Connection, Model, Session, Step
from words import NICE

AUTHENTICATED = [(Commands.noop, 2), (Commands.simple, 3), (Commands.unknown, 2), (Commands.enable, 2),
                 (Commands.select, 25),
                 (Commands.create, 10), (Commands.delete, 6), (Commands.rename, 6), (Commands.subscribe, 5),
                 (Commands.list, 15), (Commands.status, 8), (Commands.append, 10), (Commands.fetch, 1),
                 (Commands.store, 1),
                 (Commands.search, 1), (Commands.copy, 1), (Commands.expunge, 1), (Commands.leave, 1),
                 (Commands.sort, 1), (Commands.thread, 1), (Commands.quota, 5), (Commands.compress, 2)]
SELECTED = [(Commands.fetch, 40), (Commands.store, 20), (Commands.search, 22), (Commands.copy, 9),
            (Commands.expunge, 6),
            (Commands.leave, 2), (Commands.select, 4), (Commands.append, 7), (Commands.noop, 3), (Commands.simple,
                1),
            (Commands.unknown, 1), (Commands.enable, 1), (Commands.create, 2), (Commands.delete, 1),
            (Commands.rename, 1),
            (Commands.subscribe, 1), (Commands.list, 4), (Commands.status, 3),
            (Commands.sort, 9), (Commands.thread, 5), (Commands.saved, 4), (Commands.quota, 1), (Commands.compress, 1)]
MANY = "900000000000000000"  # above any modseq, also of a server whose modseqs begin with the time
PIPELINED = [(Commands.store, 10), (Commands.fetch, 10), (Commands.search, 6), (Commands.status, 2),
             (Commands.copy, 3),
             (Commands.expunge, 3), (Commands.append, 3), (Commands.sort, 2), (Commands.thread, 1)]


class Generator(Commands):
    def __init__(self, seed, length=None):
        self.random = random.Random(f"fwmail differential {seed}")
        self.seed = seed
        self.model = Model()
        self.connections = [Connection()]
        self.steps = []
        self.length = length or self.random.randint(15, 45)

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

    def add(self, conn, name, text, traits=(), sync=False):
        """text: str, or a list of str and ("literal", octets) pieces."""
        # Only who has said that it counts modseqs is sure to be told them.
        if isinstance(text, str) and not self.connections[conn].condstore:
            text = text.replace("@{HIGHEST}", MANY).replace("@{HIGHEST-}", MANY)
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
        if r.random() < 0.06:
            self.scram(conn, r.choice(["wrong-password", "wrong-nonce", "wrong-proof", "wrong-binding", "cancelled", "no-base64",
                                       "empty", "binding-claimed"]))
        if r.random() < 0.1:
            self.scram(conn, r.choice(["", "", "initial", "initial", "authzid", "y"]))
        elif how < 0.75:
            self.add(conn, "LOGIN", f"LOGIN {user} {password}")
        elif how < 0.9:
            self.add(conn, "LOGIN", f'login "{user}" {password}')
        else:
            self.add(conn, "AUTHENTICATE", "AUTHENTICATE PLAIN @{PLAIN}")
        self.connections[conn].authenticated = True

    def scram(self, conn, how):
        self.steps.append(Step(conn, "scram", "AUTHENTICATE", [b"AUTHENTICATE SCRAM-SHA-256 " + how.encode()], {"scram:" + how}))

    def before_login(self, conn):
        r = self.random
        text = r.choice(["CAPABILITY", "NOOP", "SELECT INBOX", "LIST \"\" *", "LOGIN", "LOGIN a", "ENABLE CONDSTORE",
                         "ID NIL", 'ID ("name" "x" "version" NIL)', "FETCH 1 FLAGS", "IDLE", "FROBNICATE",
                         "AUTHENTICATE",
                         "AUTHENTICATE NONSENSE", "LOGIN nobody nothing", "STATUS INBOX (MESSAGES)", "NAMESPACE",
                         "CHECK",
                         "CLOSE", "UID FETCH 1 FLAGS", "UID", "LOGIN \"\" \"\"", "COMPRESS DEFLATE", "SORT (DATE) UTF-8 ALL",
                         "GETQUOTAROOT INBOX", "AUTHENTICATE SCRAM-SHA-256 ====", "UNSELECT", "THREAD REFERENCES UTF-8 ALL"])
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
        kind = r.choice(["cut", "double-space", "trailing-space", "trailing-word", "lower", "insert", "drop",
                         "no-arguments",
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
            text = text[:where] + r.choice([b"(", b")", b'"', b"\\", b"{", b"]", b"\x00", b"\xff", b"\t",
                                            b"%"]) + text[where:]
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
        octets = r.choice([b"", b" ", b"tag", b"tag ", b"* NOOP", b"+ NOOP", b"a+b NOOP", b"NOOP", b"\x00\x01\x02",
                           b"(a) NOOP",
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
        # What adds messages comes late, and what changes their numbers last: more may not be sent before it is
        # answered (RFC 9051 5.5).
        late = {"APPEND": 1, "COPY": 1, "UID COPY": 1, "EXPUNGE": 2, "UID EXPUNGE": 2, "MOVE": 2, "UID MOVE": 2}
        made.sort(key=lambda step: late.get(step.name, 0))
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


def session_of(seed):
    return Generator(seed).session()
