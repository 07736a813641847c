"""What a session is made of."""

from words import USES


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
