"""IMAP responses as values. Takes what servers send, not only what they should."""

import re


class Atom(str):
    """Neither quoted nor a literal: numbers, flags, names of items."""

    def __repr__(self):
        return str(self)


class Malformed(Exception):
    pass


LITERAL = re.compile(rb"~?\{(\d+)\+?\}\r\n")
QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.S)
ATOM_END = b" ()\r\n"


class Reader:
    """Values of one logical line, literals inline: bytes for strings, Atom, None for NIL, list."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def more(self):
        return self.at < len(self.data)

    def peek(self):
        return self.data[self.at:self.at + 1]

    def skip_spaces(self):
        while self.peek() == b" ":
            self.at += 1

    def value(self):
        c = self.peek()
        if c == b"(":
            return self.list()
        if c == b'"':
            match = QUOTED.match(self.data, self.at)
            if not match:
                raise Malformed(f"quoted string without end: {self.data[self.at:][:60]!r}")
            self.at = match.end()
            return re.sub(rb"\\(.)", rb"\1", match.group(1), flags=re.S)
        if match := LITERAL.match(self.data, self.at):
            start = match.end()
            self.at = start + int(match.group(1))
            return self.data[start:self.at]
        return self.atom()

    def list(self):
        self.at += 1
        out = []
        while True:
            self.skip_spaces()
            if not self.more():
                raise Malformed(f"list without end: {self.data[:80]!r}")
            if self.peek() == b")":
                self.at += 1
                return out
            out.append(self.value())

    def atom(self):
        """An atom; brackets in it (BODY[HEADER.FIELDS ("A" B)]<0>) hold what they like."""
        start, depth = self.at, 0
        while self.more():
            c = self.peek()
            if c == b"[":
                depth += 1
            elif c == b"]" and depth:
                depth -= 1
            elif depth and c == b'"':
                match = QUOTED.match(self.data, self.at)
                if match:
                    self.at = match.end()
                    continue
            elif depth and (match := LITERAL.match(self.data, self.at)):
                self.at = match.end() + int(match.group(1))
                continue
            elif not depth and c in (b" ", b"(", b")"):
                break
            self.at += 1
        if self.at == start:
            raise Malformed(f"a value is missing: {self.data[max(0, start - 40):start + 20]!r}")
        text = self.data[start:self.at].decode("latin-1")
        return None if text.upper() == "NIL" else Atom(text)

    def values(self):
        out = []
        while True:
            self.skip_spaces()
            if not self.more():
                return out
            out.append(self.value())


def values(data):
    return Reader(data).values()


def item_name(name):
    """BODY[HEADER.FIELDS ("to" CC)]<0> as BODY[HEADER.FIELDS (TO CC)]<0>."""
    return re.sub(r'"([^"]*)"', r"\1", name).upper()


def pairs(items):
    """[name, value, name, value] as a dictionary."""
    if len(items) % 2:
        raise Malformed(f"an odd number of items: {items!r}")
    return {item_name(str(name)): value for name, value in zip(items[::2], items[1::2])}


def code_of(text):
    """(code, the rest in it) of `[CODE args] text`, or ("", "")."""
    match = re.match(rb"\[([A-Za-z0-9.-]+)(?: ([^\]]*))?\]", text)
    return (match.group(1).decode().upper(), (match.group(2) or b"").decode("latin-1")) if match else ("", "")


def numbers(text):
    """'1,4:6' as a list."""
    out = []
    for part in text.split(","):
        first, _, last = part.partition(":")
        first, last = sorted((int(first), int(last or first)))
        if last - first > 100_000:
            raise Malformed(f"a set that long: {text[:60]}")
        out += range(first, last + 1)
    return out


class Response:
    """One untagged response: kind, number (of a message) and value."""

    def __init__(self, kind, value=None, number=None):
        self.kind, self.value, self.number = kind, value, number

    def __repr__(self):
        return f"{self.number or ''} {self.kind} {self.value!r}"


def parse_search(rest):
    found, modseq = [], False
    for value in values(rest):
        if isinstance(value, list):
            modseq = True
        else:
            found.append(int(value))
    return found, modseq


def parse_esearch(rest):
    items, out = values(rest), {}
    if items and isinstance(items[0], list):
        out["TAG"] = items.pop(0)[1]
    if items and str(items[0]).upper() == "UID":
        out["UID"] = True
        items.pop(0)
    out.update(pairs(items))
    if "ALL" in out:
        out["ALL"] = numbers(out["ALL"])
    if "PARTIAL" in out:
        window, found = out["PARTIAL"]
        out["PARTIAL"] = [window, numbers(found) if found else None]
    return out


def threads(rest):
    """Each thread as a nested list of numbers."""
    out, stack = [], []
    for token in re.findall(rb"[()]|\d+| |.", rest, re.S):
        if token == b"(":
            stack.append(out)
            out = []
        elif token == b")":
            if not stack:
                raise Malformed(f"a parenthesis too many: {rest[:80]!r}")
            out, inner = stack.pop(), out
            out.append(inner)
        elif token.isdigit() and stack:
            out.append(int(token))
        elif token != b" ":
            raise Malformed(f"no threads: {rest[:80]!r}")
    if stack:
        raise Malformed(f"a thread without end: {rest[:80]!r}")
    return out


def parse_untagged(line):
    """`line` behind '* ', without its end."""
    match = re.match(rb"(\d+) ([A-Za-z]+) ?", line)
    if match:
        number, kind, rest = int(match.group(1)), match.group(2).decode().upper(), line[match.end():]
        if kind in ("FETCH", "UIDFETCH"):
            return Response(kind, pairs(values(rest)[0]), number)
        return Response(kind, None, number)
    match = re.match(rb"([A-Za-z0-9-]+) ?", line)
    if not match:
        raise Malformed(f"an untagged line of no kind: {line[:80]!r}")
    kind, rest = match.group(1).decode().upper(), line[match.end():]
    if kind in ("OK", "NO", "BAD", "BYE", "PREAUTH"):
        return Response(kind, code_of(rest))
    if kind == "SORT":
        return Response(kind, [int(number) for number in re.sub(rb" \(MODSEQ \d+\)$", b"", rest).split()])
    if kind == "THREAD":
        return Response(kind, threads(rest))
    if kind == "QUOTA":
        root, items = values(rest)
        return Response(kind, (name_of(root), {str(name): (int(usage), int(limit)) for name, usage, limit
                                               in zip(items[::3], items[1::3], items[2::3])}))
    if kind == "QUOTAROOT":
        return Response(kind, [name_of(name) for name in values(rest)])
    if kind == "SEARCH":
        return Response(kind, parse_search(rest))
    if kind == "ESEARCH":
        return Response(kind, parse_esearch(rest))
    if kind == "VANISHED":
        earlier = rest.upper().startswith(b"(EARLIER) ")
        return Response("VANISHED EARLIER" if earlier else kind, numbers(rest.split()[-1].decode()))
    if kind in ("CAPABILITY", "ENABLED"):
        return Response(kind, sorted(rest.decode().upper().split()))
    if kind == "STATUS":
        items = values(rest)
        return Response(kind, (name_of(items[0]), pairs(items[1])))
    if kind in ("LIST", "LSUB"):
        items = values(rest)
        return Response(kind, (name_of(items[2]), sorted(str(flag).lower() for flag in items[0]), items[1], items[3:]))
    return Response(kind, values(rest))


def name_of(value):
    return value if isinstance(value, bytes) else str("NIL" if value is None else value).encode("latin-1")
