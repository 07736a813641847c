"""What real mail clients said to fwmail, recorded through a relay, kept as text, and said again without them.

A capture (tests/captures/NAME.txt) has one line a line on the wire, in the order in which they came:

    protocol: imap        or pop3, smtp
    C1: TEXT              the client's, on its first connection; \\r \\n \\\\ \\xNN are escapes, CRLF is added unless it
                          ends with \\c
    S1: TEXT              the server's
    H1: 2345 0123abcd     octets of a literal or of a POP3 message: how many, and how their SHA-256 begins
    X1: client            who closed the connection
    E: append INBOX new   what happened meanwhile: another client put the fixture's message `new` there

Names in «» stand for what no two runs have in common, dates of today, UIDVALIDITYs, object ids, mod-sequences: they are
bound where the server first says them, and must be the same from then on, in what the client says too. Not compared: the
words behind a status, and what is offered (CAPABILITY, ID, EHLO, CAPA), which grows.
"""

import hashlib
import os
import re
import socket
import threading
import time

from fwmail import TOP

FOLDER = os.path.join(TOP, "tests", "captures")
PASSWORD = "fixture-secret"
LONG_LITERAL = 160
DATE = "21-Nov-2025"


# The mailbox that every capture begins with.

def message(name, subject, body, sender="Bob <bob@elsewhere.test>", kind="text/plain; charset=utf-8", more=""):
    return (f"From: {sender}\r\nTo: Ann <ann@example.test>\r\nSubject: {subject}\r\n"
            f"Date: Fri, 21 Nov 2025 12:00:00 +0000\r\nMessage-ID: <{name}@elsewhere.test>\r\nMIME-Version: 1.0\r\n"
            f"{more}Content-Type: {kind}\r\n\r\n{body}").encode()


ALTERNATIVE = ("--=_1\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
               "Gr=FC=DFe aus K=F6ln\r\n--=_1\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
               "<p>Gr\xfc\xdfe aus <b>K\xf6ln</b></p>\r\n--=_1--\r\n")
ATTACHED = ("--=_2\r\nContent-Type: text/plain\r\n\r\nThe plan is attached.\r\n--=_2\r\nContent-Type: application/pdf; "
            "name=\"plan.pdf\"\r\nContent-Disposition: attachment; filename=\"plan.pdf\"\r\nContent-Transfer-Encoding: "
            "base64\r\n\r\n" + "JVBERi0xLjQKJcOkw7zDtsOfCjIgMCBvYmoKPDwvTGVuZ3RoIDMgMCBSL0ZpbHRlci9GbGF0\r\n" * 900 +
            "--=_2--\r\n")
NESTED = message("inner", "inner", "A letter in a letter.\r\n").decode()

MESSAGES = {
    "plain": message("plain", "A plain one", "Hello Ann,\r\n\r\nlunch at noon?\r\n\r\n.\r\n..dots\r\nFrom here on.\r\n"),
    "words": message("words", "=?utf-8?q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=", ALTERNATIVE,
                     "=?utf-8?b?SsO8cmdlbg==?= <juergen@elsewhere.test>", "multipart/alternative; boundary=\"=_1\""),
    "attached": message("attached", "Plan attached", ATTACHED, kind="multipart/mixed; boundary=\"=_2\""),
    "nested": message("nested", "Fwd: inner", f"--=_3\r\nContent-Type: message/rfc822\r\n\r\n{NESTED}--=_3--\r\n",
                      kind="multipart/mixed; boundary=\"=_3\"", more="References: <plain@elsewhere.test>\r\n"),
    "bare": b"Subject: no more than this\r\n\r\n",
    "reply": message("reply", "Re: A plain one", "At one.\r\n", more="In-Reply-To: <plain@elsewhere.test>\r\n"),
    "filed": message("filed", "Filed long ago", "Nothing new.\r\n"),
    "new": message("new", "It comes meanwhile", "Tick.\r\n"),
    "newer": message("newer", "It comes later", "Tock.\r\n"),
}
MAILBOXES = {
    "INBOX": [("plain", ""), ("words", "\\Seen"), ("attached", ""), ("nested", "\\Seen \\Answered"), ("bare", ""),
              ("reply", "\\Flagged $Work")],
    "Projects": [("filed", "\\Seen")],
    "Projects/2025": [],
    "Gr&APwA3w-e": [("filed", "")],
}


def add_account(core, user):
    """A user with the fixture's mailboxes."""
    file = os.path.join(core.directory, "fixture.password")
    with open(file, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as stream:
        stream.write(PASSWORD)
    core.command(["user", "add", user, "--config", core.config, "--address", f"{user}@example.test", "--password-file",
                  file])
    core.users[user] = (PASSWORD, PASSWORD)
    with core.imap(user) as client:
        for mailbox, rows in MAILBOXES.items():
            if mailbox != "INBOX":
                client.create(f'"{mailbox}"')
                client.subscribe(f'"{mailbox}"')
            for name, flags in rows:
                append(client, mailbox, name, flags)


def append(client, mailbox, name, flags=""):
    client.send(b'ap APPEND "%s" (%s) "%s 12:00:00 +0000" {%d+}\r\n%s\r\n' % (
        mailbox.encode(), flags.encode(), DATE.encode(), len(MESSAGES[name]), MESSAGES[name]))
    while not (line := client.readline()).startswith(b"ap "):
        pass
    if not line.startswith(b"ap OK"):
        raise AssertionError(f"the fixture cannot be made: {line}")


def perform(core, user, event):
    verb, *words = event.split(" ")
    if verb != "append":
        raise AssertionError(f"no event is named {verb}")
    with core.imap(user) as client:
        append(client, *words)


# Octets into items.

class Lines:
    """A server's octets as ("S", line) and ("H", octets); what is said of a message's content is kept short."""

    def __init__(self, protocol):
        self.protocol = protocol
        self.buffer = b""
        self.literal = 0       # octets still to come of one that is shown
        self.hidden = None     # length of one that is not
        self.commands = []     # POP3: those without an answer
        self.body = None       # POP3: lines of a message that is coming

    def asked(self, line):
        if self.protocol == "pop3":
            self.commands.append(line.split(b" ")[0].strip().upper())

    def feed(self, octets):
        self.buffer += octets
        items = []
        while (item := self.next()) is not None:
            items.extend(item)
        return items

    def next(self):
        if self.hidden is not None:
            if len(self.buffer) < self.hidden:
                return None
            content, self.buffer, self.hidden = self.buffer[:self.hidden], self.buffer[self.hidden:], None
            return [("H", content)]
        end = self.buffer.find(b"\n") + 1
        if not end:
            return None
        line, self.buffer = self.buffer[:end], self.buffer[end:]
        if self.protocol == "pop3":
            return self.pop3(line)
        begins = self.literal <= 0
        if not begins:
            self.literal -= len(line)
            begins = self.literal < 0  # the line that goes on behind the literal
        size = re.search(rb"\{(\d+)\}\r\n$", line) if begins and self.protocol == "imap" else None
        if size and int(size.group(1)) > LONG_LITERAL:
            self.hidden = int(size.group(1))
        elif size:
            self.literal = int(size.group(1))
        return [("S", line)]

    def pop3(self, line):
        if self.body is not None:
            if line != b".\r\n":
                self.body.append(line)
                return []
            content, self.body = b"".join(self.body), None
            return [("H", content), ("S", line)]
        if line.startswith((b"+OK", b"-ERR", b"+ ")):
            command = self.commands.pop(0) if self.commands else b""
            if command in (b"RETR", b"TOP", b"CAPA") and line.startswith(b"+OK"):
                self.body = []
        return [("S", line)]


# Text.

def escaped(line):
    text = "".join(chr(c) if 32 <= c < 127 and c != 92 else {92: "\\\\", 13: "\\r", 10: "\\n"}.get(c, f"\\x{c:02x}")
                   for c in line)
    return text[:-4] if text.endswith("\\r\\n") else text + "\\c"


def octets(text):
    end = b"" if text.endswith("\\c") else b"\r\n"
    text = text[:-2] if text.endswith("\\c") else text
    return re.sub(r"\\(x..|.)", lambda m: {"r": "\r", "n": "\n", "\\": "\\"}.get(m[1]) or chr(int(m[1][1:], 16)),
                  text).encode("latin-1") + end


# What differs from run to run: the group is named by its letter.
VOLATILE = [
    ("v", r"(?:UIDVALIDITY|APPENDUID|COPYUID) (\d+)"),  # and in UIDLs
    ("m", r"(?:HIGHESTMODSEQ|MODSEQ) \(?(\d+)"),
    ("i", r"(?:MAILBOXID|EMAILID|THREADID) \(([^)]+)\)"),
    ("d", r'(?:INTERNALDATE|SAVEDATE) "(?!21-Nov-2025)([^"]+)"'),
]
ASKED = [
    ("v", r"QRESYNC \((\d+)"),
    ("m", r"(?:QRESYNC \(\d+|CHANGEDSINCE|UNCHANGEDSINCE) (\d+)"),
]


class Names:
    """Gives names to what is volatile, for the recorder."""

    def __init__(self, protocol):
        self.names = {}
        self.uidls = protocol == "pop3"

    def apply(self, text, patterns):
        for letter, pattern in patterns:
            spans = [match.span(1) for match in re.finditer(pattern, text)]
            for begin, end in reversed(spans):
                key = (letter, text[begin:end])
                number = sum(1 for known, _ in self.names if known == letter) + 1
                name = self.names.setdefault(key, f"«{letter}{number}»")
                text = text[:begin] + name + text[end:]
        return text

    def server(self, text):
        if self.uidls:
            return self.apply(text, [("v", r"^(?:\+OK )?\d+ (\d{9,})-\d+$")])
        return self.apply(text, VOLATILE)

    def client(self, text):
        return self.apply(text, ASKED)


class Bound:
    """What the names stand for in this run."""

    def __init__(self):
        self.values = {}

    def match(self, expected, got):
        pattern, names = "", []
        for part in re.split(r"(«\w+»)", expected):
            if not part.startswith("«"):
                pattern += re.escape(part)
            elif part in self.values:
                pattern += re.escape(self.values[part])
            elif part in names:
                pattern += f"(?P={part[1:-1]})"
            else:
                names.append(part)
                pattern += f"(?P<{part[1:-1]}>[^\" ()]+)" if part[1] != "d" else f'(?P<{part[1:-1]}>[^"]+)'
        found = re.fullmatch(pattern, got)
        if found:
            self.values.update((f"«{name}»", value) for name, value in found.groupdict().items())
        return bool(found)

    def fill(self, text):
        return re.sub(r"«\w+»", lambda name: self.values[name[0]], text)


def essence(protocol, text):
    """What of a server's line is compared; None: nothing, whether it is there or not."""
    if protocol == "smtp":
        reply = re.match(r"(\d{3})([ -])(?:(\d\.\d+\.\d+)\b)?", text)
        return None if reply and reply[2] == "-" else f"{reply[1]} {reply[3] or ''}" if reply else text
    if protocol == "pop3":
        status = re.match(r"(\+OK|-ERR)(?: (\[[^]]*\]|\d+ \d+$|\d+ (?:«\w+»|\d+)-\d+$))?", text)
        return f"{status[1]} {status[2] or ''}" if status else text
    if re.match(r"\* (CAPABILITY|ID)\b", text):
        return text.split(" ")[1]
    status = re.match(r"(\S+) (OK|NO|BAD|BYE|PREAUTH)(?: \[(?:(CAPABILITY) [^]]*|([^]]*))\])?(?= |$)", text)
    return " ".join(filter(None, status.groups())) if status else "+" if text.startswith("+") else text


class Capture:
    """(kind, connection, text) in order; kind is C, S, H, X or E."""

    def __init__(self, path):
        self.name = os.path.basename(path)[:-4]
        self.rows = []
        with open(path, encoding="utf-8") as file:
            for line in file:
                line = line.rstrip("\n")
                if not line or line.startswith("#"):
                    continue
                kind, text = line.split(": ", 1) if ": " in line else (line.rstrip(":"), "")
                if kind == "protocol":
                    self.protocol = text
                else:
                    self.rows.append((kind[0], int(kind[1:] or 0), text))

    @property
    def user(self):
        return self.name.split("-")[0]


class Replay:
    """Says what the client said, each line when all has come that came before it; gives what the server says otherwise."""

    def __init__(self, capture, core, ports, user, patience=60):
        self.capture, self.core, self.user, self.patience = capture, core, user, patience
        self.port = ports[capture.protocol]
        self.connections, self.bound, self.differences = {}, Bound(), []

    def run(self):
        try:
            for number, (kind, connection, text) in enumerate(self.capture.rows, 1):
                self.where = f"{self.capture.name}, row {number}"
                getattr(self, {"C": "say", "S": "expect", "H": "expect_content", "X": "closed", "E": "event"}[kind])(
                    connection, text)
                if self.differences:
                    break
        finally:
            for connection in self.connections.values():
                connection.close()
        return self.differences

    def connection(self, number):
        if number not in self.connections:
            self.connections[number] = Connection(self.port, self.capture.protocol, self.patience)
        return self.connections[number]

    def say(self, number, text):
        self.connection(number).say(octets(self.bound.fill(text)))

    def expect(self, number, text):
        wanted = essence(self.capture.protocol, text)
        if wanted is None:
            return
        while True:
            kind, got = self.connection(number).next()
            text = escaped(got) if kind == "S" else content_text(got)
            found = essence(self.capture.protocol, text) if kind == "S" else text
            if found is not None:
                break
        if not self.bound.match(wanted, found):
            self.differences.append(f"{self.where}: connection {number}\n  wanted {wanted}\n  got    {found}")

    def expect_content(self, number, text):
        kind, got = self.connection(number).next()
        if self.capture.protocol == "pop3" and b"\r\nPIPELINING\r\n" in got:
            return  # CAPA
        found = content_text(got) if kind == "H" else escaped(got)
        if found != text:
            self.differences.append(f"{self.where}: connection {number}\n  wanted {text}\n  got    {found}")

    def closed(self, number, who):
        if who == "server":
            rest = self.connection(number).until_closed()
            if rest:
                self.differences.append(f"{self.where}: more was said: {rest}")
        else:
            self.connection(number).close()

    def event(self, _, text):
        perform(self.core, self.user, text)


def content_text(content):
    return f"{len(content)} {hashlib.sha256(content).hexdigest()[:16]}"


class Connection:
    def __init__(self, port, protocol, patience):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=patience)
        self.lines, self.items = Lines(protocol), []

    def say(self, octets):
        self.lines.asked(octets)
        self.socket.sendall(octets)

    def next(self):
        while not self.items:
            if not self.read():
                return "S", b"(closed)\r\n"
        return self.items.pop(0)

    def read(self):
        try:
            got = self.socket.recv(65536)
        except TimeoutError:
            got = b""
            self.items.append(("S", b"(silence)\r\n"))
        self.items.extend(self.lines.feed(got))
        return got or self.items

    def until_closed(self):
        while not self.items and self.read():
            pass
        return self.items

    def close(self):
        self.socket.close()


# Recording.

class Relay:
    """Passes a client's connections on to fwmail, and keeps what is said."""

    def __init__(self, target):
        self.target, self.log, self.lock, self.count = target, [], threading.Lock(), 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.count += 1
            self.open += 1
            server = socket.create_connection(("127.0.0.1", self.target))
            for kind, source, sink in (("C", client, server), ("S", server, client)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self.pump, args=(kind, self.count, source, sink), daemon=True).start()

    def pump(self, kind, number, source, sink):
        while True:
            try:
                got = source.recv(65536)
            except OSError:
                got = b""
            self.note(kind, number, got)
            try:
                if not got:
                    sink.shutdown(socket.SHUT_WR)
                    break
                sink.sendall(got)
            except OSError:
                break
        if kind == "S":
            self.open -= 1

    def note(self, kind, number, octets):
        with self.lock:
            self.log.append((kind, number, octets))

    def settle(self, quiet=1.5, timeout=60):
        """Until nobody has said anything for a while."""
        deadline, count = time.monotonic() + timeout, -1
        while count != len(self.log) and time.monotonic() < deadline:
            count = len(self.log)
            time.sleep(quiet)

    def write(self, protocol, comment):
        """The capture's text."""
        names, rows, lines, said, closed = Names(protocol), [], {}, {}, set()
        for kind, number, got in list(self.log):
            if kind == "E":
                rows += [f"E: {got.decode()}"] if protocol != "smtp" else []
            elif not got:
                if number not in closed:
                    closed.add(number)
                    rows.append(f"X{number}: {'client' if kind == 'C' else 'server'}")
            elif number in closed:
                continue
            elif kind == "S":
                for what, octets in lines.setdefault(number, Lines(protocol)).feed(got):
                    text = names.server(escaped(octets)) if what == "S" else content_text(octets)
                    rows.append(f"{what}{number}: {text}")
            else:
                *whole, said[number] = (said.get(number, b"") + got).split(b"\n")
                for line in whole:
                    lines.setdefault(number, Lines(protocol)).asked(line)
                    rows.append(f"C{number}: " + names.client(escaped(line + b"\n")))
        return "\n".join([f"# {comment}", f"protocol: {protocol}", *rows]) + "\n"
