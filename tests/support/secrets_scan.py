"""Looks for words that must not be there: in a folder of files, inside SQLite and zstd, and in a process's memory."""

import base64
import contextlib
import ctypes
import ctypes.util
import os
import shutil
import sqlite3
import tempfile

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def forms_of(word):
    """The word as it may lie somewhere: plain, in base64 at each of the three alignments, in hexadecimal."""
    yield word
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + word)
        # Without the characters at either end that neighbours have a share in.
        yield encoded[(0, 2, 3)[shift]: len(encoded) - 4]
    yield word.hex().encode()
    yield word.hex().upper().encode()


def find_in_octets(octets, words):
    found = [word for word in words for form in forms_of(word) if form in octets]
    start = octets.find(ZSTD_MAGIC)
    while start >= 0:
        # The store packs chunks of at most 256 KiB; slicing more would cost the square of a large file.
        found += [word for word in words if word in unzstd(octets[start: start + (1 << 20)])]
        start = octets.find(ZSTD_MAGIC, start + 4)
    return found


def find_in_folder(folder, words):
    """(place, word) of each find. Databases are read as such too, since long values are split over pages."""
    found = []
    for path, _, files in os.walk(folder):
        for name in files:
            file = os.path.join(path, name)
            if not os.path.isfile(file):
                continue
            with open(file, "rb") as stream:
                octets = stream.read()
            found += [(file, word) for word in find_in_octets(octets, words)]
            if octets.startswith(b"SQLite format 3\0"):
                found += find_in_database(file, words)
    return found


def find_in_database(file, words):
    """On a copy: looking must not change what the node has open."""
    found = []
    with tempfile.TemporaryDirectory(prefix="fw-") as folder:
        for suffix in ("", "-wal"):
            if os.path.exists(file + suffix):
                shutil.copy(file + suffix, os.path.join(folder, "copy.db" + suffix))
        with contextlib.closing(sqlite3.connect(os.path.join(folder, "copy.db"))) as db:
            db.text_factory = bytes
            # A virtual table's content lies in ordinary ones beside it.
            tables = [row[0].decode() for row in db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'")]
            for table in tables:
                for row in db.execute(f'SELECT * FROM "{table}"'):
                    for value in row:
                        if isinstance(value, bytes):
                            found += [(f"{file}: {table}", word) for word in find_in_octets(value, words)]
    return found


def find_in_memory(pid, words):
    """Reads what the process may write; needs the right to trace it."""
    found = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            try:
                memory.seek(start)
                octets = memory.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue
            found += [(line.strip(), word) for word in words if word in octets]
    return found


_zstd = None


def unzstd(octets, limit=64 << 20):
    """What the zstd frame at the start holds, or nothing. Python 3.11 has no zstd; libzstd is everywhere."""
    global _zstd
    if _zstd is None:
        _zstd = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
        _zstd.ZSTD_findFrameCompressedSize.restype = ctypes.c_size_t
        _zstd.ZSTD_decompress.restype = ctypes.c_size_t
        _zstd.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
    length = _zstd.ZSTD_findFrameCompressedSize(octets, ctypes.c_size_t(len(octets)))
    if _zstd.ZSTD_isError(ctypes.c_size_t(length)):
        return b""
    size = _zstd.ZSTD_getFrameContentSize(octets, ctypes.c_size_t(length))
    size = size if size < limit else 8 << 20
    target = ctypes.create_string_buffer(max(size, 1))
    got = _zstd.ZSTD_decompress(target, ctypes.c_size_t(size), octets, ctypes.c_size_t(length))
    return b"" if _zstd.ZSTD_isError(ctypes.c_size_t(got)) else target.raw[:got]


def secret_scalars(armored):
    """The secret numbers in an unprotected OpenPGP key (Ed25519 and Curve25519): what the remote
    must not hold, in both orders."""
    body = armored.split("\n\n", 1)[1] if "\n\n" in armored else armored.split("\r\n\r\n", 1)[1]
    octets = base64.b64decode("".join(line.strip() for line in body.split("-----")[0].splitlines()
                                      if not line.startswith("=")))
    scalars, at = [], 0
    while at < len(octets):
        tag, at, length = packet(octets, at)
        if tag in (5, 7):
            scalar = scalar_of(octets[at: at + length])
            # Curve25519's stands in the packet the other way round than programs hold it (RFC 6637 errata).
            scalars += [scalar, scalar[::-1]]
        at += length
    return scalars


def packet(octets, at):
    head = octets[at]
    if not head & 0x40:
        size = 1 << (head & 3)
        return head >> 2 & 15, at + 1 + size, int.from_bytes(octets[at + 1: at + 1 + size], "big")
    first = octets[at + 1]
    if first < 192:
        return head & 63, at + 2, first
    if first < 224:
        return head & 63, at + 3, (first - 192 << 8) + octets[at + 2] + 192
    return head & 63, at + 6, int.from_bytes(octets[at + 2: at + 6], "big")


def scalar_of(key):
    algorithm, at = key[5], 6
    at += 1 + key[at]
    at += 2 + (int.from_bytes(key[at: at + 2], "big") + 7) // 8
    if algorithm == 18:
        at += 1 + key[at]
    assert key[at] == 0, "the key was exported under a passphrase"
    return key[at + 3: at + 3 + (int.from_bytes(key[at + 1: at + 3], "big") + 7) // 8]
