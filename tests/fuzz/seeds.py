#!/usr/bin/env python3
"""Writes first inputs for a fuzz target: `seeds.py TARGET DIRECTORY`. From the transcripts, the awkward messages, the frozen
frames, and what gpg makes."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parent.parent


def unescape(line):
    """Octets of a transcript's line, and whether it ends as it stands."""
    def one(match):
        word = match.group(1)
        return {"r": "\r", "n": "\n", "0": "\0", "\\": "\\"}.get(word) or chr(int(word[1:], 16))
    bare = line.endswith("\\c")
    text = re.sub(r"\\(r|n|0|\\|x[0-9a-fA-F]{2})", one, line.removesuffix("\\c"))
    octets = b"".join(c.encode("latin-1") if ord(c) < 256 else c.encode() for c in text)
    return octets + (b"" if bare else b"\r\n")


def dialogue(folder, side, prefix=""):
    for path in sorted((TESTS / "transcripts" / folder).glob(prefix + "*.txt")):
        octets = b""
        for line in path.read_text(errors="surrogateescape").splitlines():
            kind, _, rest = line.partition(": ")
            if kind in side:
                octets += unescape(rest.encode("utf-8", "surrogateescape").decode("latin-1"))
        if octets:
            yield path.stem, octets


def messages(most):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, TESTS / "messages/generate.py", "--small", "--canary", "walrus", folder], check=True)
        for path in sorted(pathlib.Path(folder).glob("*.eml")):
            if path.stat().st_size <= most:
                yield path.stem, path.read_bytes()


def openpgp():
    """Keys and messages of gpg: what is inside of a message, too, as the target looks at that without a key."""
    if not shutil.which("gpg"):
        return
    with tempfile.TemporaryDirectory() as home:
        def gpg(*arguments, stdin=b""):
            return subprocess.run(["gpg", "--homedir", home, "--batch", "--quiet", "--no-tty", "--trust-model", "always",
                                   "--pinentry-mode", "loopback", "--passphrase", "", *arguments],
                                  input=stdin, capture_output=True).stdout
        for name, algorithm in (("curve", "future-default"), ("rsa", "rsa2048")):
            user = f"{name} <{name}@example.org>"
            gpg("--quick-generate-key", user, algorithm, "default", "never")
            yield f"{name}-public", gpg("--export", user)
            yield f"{name}-public-armor", gpg("--armor", "--export", user)
            yield f"{name}-secret", gpg("--export-secret-keys", user)
            yield f"{name}-sealed", gpg("--encrypt", "-r", user, stdin=b"to be read by one")
        text = b"Subject: x\r\n\r\nsome text, some text, some text\r\n"
        for level in ("0", "6"):
            for how in ("zip", "zlib", "none"):
                flags = ["--compress-level", level, "--compress-algo", how]
                yield f"stored-{how}-{level}", gpg("--store", *flags, stdin=text)
                yield f"signed-{how}-{level}", gpg("--sign", *flags, stdin=text)
        yield "clearsigned", gpg("--clearsign", stdin=text)
        yield "detached", gpg("--armor", "--detach-sign", stdin=text)
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], capture_output=True)


def node_mail():
    import base64
    body = base64.encodebytes(bytes(range(200))).replace(b"\n", b"\r\n")
    yield "mail", (b"From: a@core.example\r\nTo: b@remote.example\r\nMessage-ID: <x@core.example>\r\nSubject: fwmail\r\n"
                   b"Auto-Submitted: auto-generated\r\nFWMail-Id: 00112233445566778899aabbccddeeff\r\nMIME-Version: 1.0\r\n"
                   b"Content-Type: application/vnd.fwmail.frame\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body)


def frames():
    for path in sorted((TESTS / "sync").glob("*.hex")):
        octets = bytes.fromhex("".join(line.partition("#")[0] for line in path.read_text().splitlines()))
        yield path.stem, octets
        for at in (1, 20, 60):
            yield f"{path.stem}-{at}", octets[at:]


def dialled():
    some = bytes(range(32))
    yield "line-challenge", b"\x01" + some
    yield "line-hello", b"\x02" + some + some
    yield "line-proof", b"\x03\xac\x02\x03abc"
    yield "line-open", b"\x04"
    yield "line-frame", b"\x05\xac\x02sealed"
    for verdict in range(4):
        yield f"line-answer-{verdict}", b"\x06\x01" + bytes([verdict]) + b"\x05caf\xc3\xa9"


def charsets():
    samples = {"utf-8": "Grüße 会議 😀", "iso-2022-jp": "会議の件 ｶﾀｶﾅ", "shift_jis": "会議の件 ｶﾀｶﾅ", "euc-jp": "会議の件",
               "gb18030": "会议 😀", "hz": "会议 a", "big5": "會議", "euc-kr": "회의", "iso-2022-kr": "회의 a", "utf-7": "会議+ä",
               "utf-16": "会議😀", "utf-16le": "会議😀", "koi8-r": "Привет", "windows-1251": "Привет", "iso-8859-2": "Łódź",
               "windows-1255": "שלום", "windows-1256": "سلام", "tis-620": "สวัสดี", "iso-8859-7": "Γειά"}
    for name, text in samples.items():
        yield name, name.encode() + b"\n" + text.encode(name, "replace")
    yield "mailbox", "Entwürfe/&AOQA9g-&-x".encode()


def searches():
    for path in sorted((TESTS / "transcripts/imap").glob("*search*.txt")):
        for number, line in enumerate(path.read_text(errors="replace").splitlines()):
            found = re.match(r"C: \S+ (?:UID )?SEARCH (.*)", line)
            if found:
                yield f"{path.stem}-{number}", found.group(1).encode()
    for number, pattern in enumerate(("*", "%", "a/%", "INBOX*", "%/%", "*a*b*")):
        yield f"pattern-{number}", pattern.encode() + b"\nINBOX\nArchive/2024\nArchive/2025/a\na/b\nSent\n"
    yield "grams", "会議の資料を送ります。 The minutes of the meeting, Grüße".encode()


SEEDS = {
    "imap_server": lambda: dialogue("imap", "CNL"),
    "imap_client": lambda: dialogue("imap_client", "S"),
    "smtp_server": lambda: dialogue("smtp", "C", "server-"),
    "smtp_client": lambda: dialogue("smtp", "S", "client-"),
    "pop3_server": lambda: dialogue("pop3", "C", "server-"),
    "pop3_client": lambda: dialogue("pop3", "S", "client-"),
    "mime": lambda: messages(8000),
    "openpgp": openpgp,
    "charset": charsets,
    "search": searches,
    "sync": lambda: [*frames(), *node_mail(), *dialled()],
}


def main():
    target, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name, octets in SEEDS[target]():
        (folder / f"seed-{name}").write_bytes(octets)


if __name__ == "__main__":
    main()
