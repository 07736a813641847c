"""An IMAP client that hides nothing: each command's untagged answers, in order, and the tagged one."""

import re
import socket

from wire import PATIENCE


class Answer:
    def __init__(self, lines, tagged):
        self.lines, self.tagged = lines, tagged

    @property
    def ok(self):
        return self.tagged.startswith("OK")

    def all(self, pattern):
        """The groups of every untagged line that matches whole."""
        return [match.groups() for line in self.lines if (match := re.fullmatch(pattern, line, re.S))]

    def one(self, pattern):
        found = self.all(pattern)
        if len(found) != 1:
            raise AssertionError(f"{pattern}: {len(found)} times in {self.lines} {self.tagged}")
        return found[0][0] if found[0] else None

    def __repr__(self):
        return f"{self.lines} {self.tagged}"


class RawImap:
    def __init__(self, port, user, password, enable=""):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60 * PATIENCE)
        self.file = self.socket.makefile("rb")
        self.serial = 0
        self.greeting = self.line()
        self.must(f'LOGIN {user} "{password}"')
        if enable:
            self.must(f"ENABLE {enable}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def line(self):
        """A logical line: literals stand in it as they came, after their marker."""
        line = self.file.readline()
        if not line:
            raise EOFError("the server has closed")
        while match := re.search(rb"\{(\d+)\}\r\n$", line):
            line += self.file.read(int(match.group(1)))
            line += self.file.readline()
        return line.decode("utf-8", "surrogateescape").removesuffix("\r\n")

    def send(self, octets):
        self.socket.sendall(octets if isinstance(octets, bytes) else octets.encode())

    def start(self, command):
        self.serial += 1
        self.send(f"t{self.serial} {command}\r\n")
        return f"t{self.serial}"

    def finish(self, tag):
        lines = []
        while not (line := self.line()).startswith(tag + " "):
            lines.append(line.removeprefix("* "))
        return Answer(lines, line[len(tag) + 1:])

    def do(self, command):
        return self.finish(self.start(command))

    def must(self, command):
        answer = self.do(command)
        if not answer.ok:
            raise AssertionError(f"{command}: {answer}")
        return answer

    def append(self, mailbox, message, flags=""):
        return self.must(f"APPEND {mailbox} ({flags}) {{{len(message)}+}}\r\n" + message.decode())


def numbers(text):
    """'1,4:6' as a list."""
    out = []
    for part in text.split(","):
        first, _, last = part.partition(":")
        first, last = sorted((int(first), int(last or first)))
        out += range(first, last + 1)
    return out
