"""Plays a session at one server and keeps what it answered."""

import base64
import hashlib
import hmac
import re
import socket
import zlib

import parse

TIMEOUT = 30


class Result:
    """What one step brought: status is OK, NO, BAD, BYE (closed), TIMEOUT, or DEAD (closed before)."""

    def __init__(self, status="", code=("", ""), text=b""):
        self.status, self.code, self.text = status, code, text
        self.responses, self.results = [], []
        self.raw = []
        self.exists, self.flags = None, []

    def of(self, *kinds):
        return [response for response in self.responses if response.kind in kinds]


class Closed(Exception):
    pass


class Inflated:
    """What a socket brings under COMPRESS=DEFLATE (RFC 4978): raw DEFLATE, flushed at each answer."""

    def __init__(self, file):
        self.file, self.inflate, self.ready = file, zlib.decompressobj(-15), b""

    def more(self):
        octets = self.file.read1(65536)
        if octets:
            self.ready += self.inflate.decompress(octets)
        return bool(octets)

    def readline(self):
        while b"\n" not in self.ready:
            if not self.more():
                return b""
        line, _, self.ready = self.ready.partition(b"\n")
        return line + b"\n"

    def read(self, count):
        while len(self.ready) < count:
            if not self.more():
                return b""
        octets, self.ready = self.ready[:count], self.ready[count:]
        return octets

    def close(self):
        self.file.close()


class Wire:
    """One connection, and what a client would know from it."""

    def __init__(self, port, log=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        self.log = log
        self.serial = 0
        self.exists, self.flags = None, []  # of the selected mailbox, by number
        self.highest = 1
        self.marks = {}  # mailbox -> (UIDVALIDITY, HIGHESTMODSEQ) when it was last selected
        self.selecting = self.current = None
        self.dead = False
        self.sent = b""
        self.deflate = None
        self.root = ""  # of quotas

    def compress(self):
        self.deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        self.file = Inflated(self.file)

    def send(self, octets):
        if self.log is not None:
            self.log.append(b"C: " + octets)
        self.sent = octets
        try:
            if self.deflate:
                octets = self.deflate.compress(octets) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
            self.socket.sendall(octets)
        except OSError:
            raise Closed from None

    def line(self):
        """A logical line, literals inline."""
        try:
            line = self.file.readline()
            while match := re.search(rb"\{(\d+)\}\r?\n$", line):
                line += self.file.read(int(match.group(1)))
                line += self.file.readline()
        except ConnectionError:
            line = b""
        if self.log is not None:
            self.log.append(b"S: " + line)
        if not line:
            raise Closed
        return re.sub(rb"\r?\n$", b"", line)

    def untagged(self, line, result):
        try:
            response = parse.parse_untagged(line[2:])
        except (parse.Malformed, IndexError, ValueError, TypeError) as error:
            response = parse.Response("MALFORMED", f"{error}: {line[:200]!r}")
        result.responses.append(response)
        self.learn(response)

    def learn(self, response):
        kind, number = response.kind, response.number
        if kind == "EXISTS":
            self.exists = number
            self.flags += [None] * (number - len(self.flags))
            del self.flags[number:]
        elif kind == "EXPUNGE" and self.exists:
            self.exists -= 1
            del self.flags[number - 1:number]
        elif kind == "VANISHED" and self.exists:
            self.exists -= len(response.value)
            self.flags = [None] * max(0, self.exists)
        elif kind == "FETCH":
            flags = response.value.get("FLAGS")
            if flags is not None and number <= len(self.flags):
                self.flags[number - 1] = frozenset(str(flag).lower() for flag in flags) - {"\\recent"}
            if modseq := response.value.get("MODSEQ"):
                self.highest = max(self.highest, int(modseq[0]))
        elif kind == "QUOTAROOT" and len(response.value) > 1:
            self.root = response.value[1].decode("latin-1")
        elif kind == "OK":
            code, value = response.value
            validity, highest = self.marks.get(self.selecting, (1, 1))
            if code == "HIGHESTMODSEQ":
                self.highest = int(value)
                if self.selecting:
                    self.marks[self.selecting] = (validity, int(value))
            elif code == "UIDVALIDITY" and self.selecting:
                self.marks[self.selecting] = (int(value), highest)

    def fill(self, octets, step, user, password):
        if b"@{" not in octets:
            return octets
        validity, before = self.marks.get(step.target or self.current, (1, 1))
        plain = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        for name, value in {"USER": user, "PASSWORD": password, "PLAIN": plain, "ROOT": self.root, "VALIDITY": validity,
                            "HIGHEST-": before,
                            "HIGHEST": self.highest}.items():
            octets = octets.replace(b"@{%s}" % name.encode(), str(value).encode())
        return octets

    def tagged(self, line, tag):
        """A Result when this line ends the command of that tag."""
        if not line.startswith(tag + b" "):
            return None
        rest = line[len(tag) + 1:]
        status = rest.split(b" ")[0].decode("latin-1").upper()
        return Result(status, parse.code_of(rest[len(status) + 1:]), rest)

    def whatever(self):
        """More was wanted than the command has: octets for a literal, or what ends IDLE and AUTHENTICATE."""
        literal = re.search(rb"\{(\d+)\}\r\n$", self.sent)
        return b"x" * min(int(literal.group(1)), 100_000) if literal else b"DONE"

    def until(self, tag, parts, step, result):
        """Reads until the tagged answer; each `+` gets the next part."""
        while True:
            line = self.line()
            if line.startswith(b"+"):
                self.send((parts.pop(0) if parts else self.whatever()) + b"\r\n")
            elif line.startswith(b"* "):
                self.untagged(line, result)
            elif done := self.tagged(line, tag):
                result.status, result.code, result.text = done.status, done.code, done.text
                return
            else:
                result.responses.append(parse.Response("STRAY", line[:200]))


class Player:
    """One session at one server."""

    def __init__(self, server, session, log=None):
        self.server, self.session, self.log = server, session, log
        self.user, self.password = server.new_user(session.seed)
        self.wires = {}
        self.idling = {}

    def play(self):
        """A Result for each step."""
        try:
            return [self.step(step) for step in self.session.steps]
        finally:
            for wire in self.wires.values():
                wire.file.close()
                wire.socket.close()

    def step(self, step):
        result = Result()
        if self.log is not None:
            self.log.append(f"-- {step!r}".encode())
        wire = self.wires.get(step.conn)
        if step.kind == "open":
            wire = self.wires[step.conn] = Wire(self.server.port, self.log)
            wire.root = self.server.quota_root
        if wire.dead:
            result.status = "DEAD"
            return result
        try:
            getattr(self, step.kind)(wire, step, result)
        except Closed:
            wire.dead = True
            result.status = result.status or "BYE"
        except TimeoutError:
            wire.dead = True
            result.status = "TIMEOUT"
        result.exists, result.flags = wire.exists, list(wire.flags)
        return result

    def open(self, wire, step, result):
        result.status = wire.line().split(b" ")[1].decode()

    def tag(self, wire):
        wire.serial += 1
        return b"t%d" % wire.serial

    def before(self, wire, step):
        if step.name in ("SELECT", "EXAMINE"):
            wire.selecting = step.target or "?"
            wire.exists, wire.flags = None, []

    def after(self, wire, step, result):
        if b".SILENT" in step.text().upper():  # a client knows what it has set; we do not
            wire.flags = [None] * len(wire.flags)
        if step.name in ("SELECT", "EXAMINE", "CLOSE", "UNSELECT"):
            wire.current, wire.selecting = wire.selecting, None
            if result.status != "OK" or step.name in ("CLOSE", "UNSELECT"):
                wire.exists, wire.flags = None, []

    def command(self, wire, step, result):
        tag = self.tag(wire)
        parts = [wire.fill(part, step, self.user, self.password) for part in step.parts]
        self.before(wire, step)
        wire.send(tag + b" " + parts.pop(0) + b"\r\n")
        wire.until(tag, parts, step, result)
        self.after(wire, step, result)
        if step.name == "COMPRESS" and result.status == "OK":
            wire.compress()

    def scram(self, wire, step, result):
        """RFC 5802, 7677; `how`: what is wrong with it."""
        tag, how = self.tag(wire), next(iter(step.traits)).partition(":")[2]
        password = "wrong" if how == "wrong-password" else self.password
        user = self.user
        header = {"authzid": f"n,a={user},", "y": "y,,", "binding-claimed": "p=tls-exporter,,"}.get(how, "n,,")
        bare = f"n={user},r=rOprNGfwEbeRWgbNEkqO{wire.serial}"
        first = base64.b64encode((header + bare).encode())
        initial = b" " + first if how == "initial" else b" =" if how == "empty" else b""
        wire.send(tag + b" AUTHENTICATE SCRAM-SHA-256" + initial + b"\r\n")
        signature = None

        def reply(challenge):
            nonlocal signature
            if how == "cancelled":
                return b"*"
            if how == "no-base64":
                return b"n,,%"
            if not challenge:
                return first
            words = dict(word.split("=", 1) for word in challenge.decode("latin-1").split(","))
            if "v" in words:
                if words["v"] != signature:
                    result.responses.append(parse.Response("STRAY", b"wrong signature"))
                return b""
            if "r" not in words:
                return b"*"
            binding = "Zm9v" if how == "wrong-binding" else base64.b64encode(header.encode()).decode()
            final = f"c={binding},r={words['r']}" + ("x" if how == "wrong-nonce" else "")
            salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(words["s"]), int(words["i"]))
            client = hmac.digest(salted, b"Client Key", "sha256")
            signed = f"{bare},{challenge.decode('latin-1')},{final}".encode()
            proof = bytes(a ^ b for a, b in zip(client, hmac.digest(hashlib.sha256(client).digest(), signed, "sha256")))
            server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
            signature = base64.b64encode(server).decode()
            if how == "wrong-proof":
                proof = bytes(32)
            return base64.b64encode(f"{final},p={base64.b64encode(proof).decode()}".encode())

        while True:
            line = wire.line()
            if line.startswith(b"+"):
                wire.send(reply(base64.b64decode(line[1:].strip())) + b"\r\n")
            elif line.startswith(b"* "):
                wire.untagged(line, result)
            elif done := wire.tagged(line, tag):
                result.status, result.code, result.text = done.status, done.code, done.text
                return

    def pipeline(self, wire, step, result):
        tags = [self.tag(wire) for _ in step.steps]
        wire.send(b"".join(tag + b" " + wire.fill(one.parts[0], one, self.user, self.password) + b"\r\n"
                           for tag, one in zip(tags, step.steps)))
        if b".SILENT" in step.text().upper():
            wire.flags = []
        result.status = "OK"
        result.results = [Result() for _ in tags]
        left = dict(zip(tags, result.results))
        # A server may answer commands that do not hang on each other in any order (RFC 9051 5.5).
        while left:
            line = wire.line()
            tag = line.split(b" ")[0]
            if line.startswith(b"* "):
                wire.untagged(line, result)
            elif done := tag in left and wire.tagged(line, tag):
                part = left.pop(tag)
                part.status, part.code, part.text = done.status, done.code, done.text
            else:
                result.responses.append(parse.Response("STRAY", line[:200]))

    def raw(self, wire, step, result):
        sync = b"sync%d" % wire.serial
        wire.serial += 1
        wire.send(step.parts[0] + b"\r\n" + sync + b" NOOP\r\n")
        wire.until(sync, [], step, result)

    def idle(self, wire, step, result):
        tag = self.tag(wire)
        wire.send(tag + b" IDLE\r\n")
        while True:
            line = wire.line()
            if line.startswith(b"+"):
                result.status = "OK"
                self.idling[step.conn] = tag
                return
            if done := wire.tagged(line, tag):
                result.status = done.status
                return
            wire.untagged(line, result)

    def done(self, wire, step, result):
        tag = self.idling.pop(step.conn, None)
        if not tag:
            result.status = "NONE"
            return
        wire.send(step.parts[0] + b"\r\n")
        wire.until(tag, [], step, result)
