#!/usr/bin/env python3
"""Holds the includes of src/ against the layer table (README.md of src, HACKING.md).

    layering_test.py [SOURCE-DIRECTORY]

First it tests itself on a planted tree. Prints `file:line: what is wrong`; exit status 1 on any violation.
"""

import pathlib
import re
import sys
import tempfile

PURE_PROTOCOL = {"base", "mime", "sasl"}
BELOW_SERVICE = {"base", "mime", "sasl", "imap", "smtp", "pop3", "crypto", "sync", "line", "store", "net", "config"}

# What a folder may include beside itself.
MAY_INCLUDE = {
    "base": set(),
    "mime": {"base"},
    "crypto": {"base"},
    "sasl": {"base", "mime", "crypto"},
    "config": {"base"},
    "sync": {"base"},
    "line": {"base", "imap", "pop3"},
    "imap": PURE_PROTOCOL,
    "smtp": PURE_PROTOCOL,
    "pop3": PURE_PROTOCOL,
    "store": {"base", "sync"},
    "net": {"base", "config"},
    "service": BELOW_SERVICE,  # net only as interfaces: see check_net_is_interface()
    "http": {"base", "config", "net", "service"},
    "roles": BELOW_SERVICE | {"http", "service"},
}

# Foreign headers, and where alone they may be seen. The first pattern that fits decides.
FOREIGN = [
    (re.compile(r"^sqlite3"), "SQLite", {"store"}),
    (re.compile(r"^(cryptopp|crypto\+\+)/"), "Crypto++", {"crypto"}),
    (re.compile(r"^boost/beast"), "Beast", {"net", "http"}),
    (re.compile(r"^(openssl/|boost/asio/ssl)"), "OpenSSL", {"net", "http"}),
    (re.compile(r"^boost/asio"), "Asio", {"net", "http", "service", "roles"}),
    (re.compile(r"^ares"), "c-ares", {"net"}),
    (re.compile(r"^zstd"), "zstd", {"base"}),
    (re.compile(r"^zlib"), "zlib", {"base"}),
    (re.compile(r"^unicode/"), "ICU", {"mime"}),
    (re.compile(r"^(sys/socket\.h|sys/un\.h|netdb\.h|netinet/|arpa/)"), "sockets", {"net", "http", "service", "roles"}),
    (re.compile(r"^boost/program_options"), "Boost.Program_options", {"config", "roles"}),
]
# What makes a net header more than an interface.
HEAVY = re.compile(r"^(openssl/|boost/asio/ssl|boost/beast|ares)")

ROLES = {"core", "remote", "smtp_proxy", "mobile", "dock_sync", "access_proxy", "server_proxy", "client_proxy"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes_of(path):
    """(line number, quoted, name) of each include; what stands in comments is passed over."""
    text = path.read_text(encoding="utf-8", errors="replace")
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.S)
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1) == '"', match.group(2)


def begins_with_pragma_once(path):
    text = path.read_text(encoding="utf-8", errors="replace")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("//"):
            return line.strip() == "#pragma once"
    return False


def role_of(relative):
    """The role that a path under roles/ belongs to, or None: a part that roles share."""
    parts = pathlib.PurePosixPath(relative).parts
    if len(parts) < 2 or parts[0] != "roles":
        return None
    name = pathlib.PurePosixPath(parts[1]).stem
    return name if name in ROLES else None


class Tree:
    def __init__(self, src):
        self.src = src
        self.violations = []
        self.heavy = {}  # header -> why it is no interface, or None

    def report(self, relative, line, text):
        self.violations.append((relative, line, text))

    def check(self):
        files = sorted(p for p in self.src.rglob("*") if p.suffix in (".hpp", ".cpp", ".h", ".cc", ".ipp"))
        for path in files:
            relative = path.relative_to(self.src).as_posix()
            folder = relative.split("/")[0] if "/" in relative else None
            if path.suffix in (".hpp", ".h") and not begins_with_pragma_once(path):
                self.report(relative, 1, "does not begin with #pragma once")
            if folder is not None and folder not in MAY_INCLUDE:
                self.report(relative, 1, f"the folder {folder} is not in the layer table")
                continue
            for line, quoted, name in includes_of(path):
                self.check_include(relative, folder, line, quoted, name)
        return files

    def check_include(self, relative, folder, line, quoted, name):
        target = name.split("/")[0] if "/" in name else None
        if ".." in name.split("/"):
            self.report(relative, line, f'"{name}" climbs out of its folder: name it from src/')
        elif target in MAY_INCLUDE and (quoted or (self.src / name).exists()):
            if folder is None:
                return  # main.cpp puts everything together
            if target != folder and target not in MAY_INCLUDE[folder]:
                self.report(relative, line, f'{folder} may not include {target}: "{name}"')
            if target == "roles":
                mine, other = role_of(relative), role_of(name)
                if mine and other and mine != other:
                    self.report(relative, line, f'the role {mine} includes the role {other}: "{name}"')
            if folder == "service" and target == "net":
                self.check_net_is_interface(relative, line, name)
        elif quoted:
            self.report(relative, line, f'"{name}" does not begin with a folder of src/')
        else:
            self.check_foreign(relative, folder, line, name)

    def check_foreign(self, relative, folder, line, name):
        for pattern, what, allowed in FOREIGN:
            if pattern.match(name):
                if folder not in allowed:
                    self.report(relative, line, f"<{name}>: {what} belongs in {', '.join(sorted(allowed))} only")
                return

    def check_net_is_interface(self, relative, line, name):
        why = self.why_heavy(name)
        if why:
            self.report(relative, line, f'service sees net as interfaces only, but "{name}" brings in <{why}>')

    def why_heavy(self, name):
        if name in self.heavy:
            return self.heavy[name]
        self.heavy[name] = None  # ends circles
        path = self.src / name
        if path.exists():
            for _, quoted, inner in includes_of(path):
                if not quoted and HEAVY.match(inner):
                    self.heavy[name] = inner
                elif inner.startswith("net/"):
                    self.heavy[name] = self.heavy[name] or self.why_heavy(inner)
        return self.heavy[name]


GOOD = {
    "main.cpp": '#include "roles/core.hpp"\n#include "base/log.hpp"\n',
    "base/log.hpp": "// A comment,\n/* and\nanother. */\n#pragma once\n#include <string>\n",
    "smtp/reply.hpp": '#pragma once\n#include "base/log.hpp"\n#include "mime/part.hpp"\n// #include "store/x.hpp"\n',
    "store/db.cpp": '#include <sqlite3.h>\n#include "sync/entry.hpp"\n',
    "crypto/seal.cpp": "#include <cryptopp/aes.h>\n",
    "net/tls.cpp": "#include <openssl/ssl.h>\n#include <boost/asio/ssl/stream.hpp>\n",
    "net/stream.hpp": "#pragma once\n#include <boost/asio/awaitable.hpp>\n",
    "http/page.cpp": '#include <boost/beast/http.hpp>\n#include "service/queue.hpp"\n',
    "service/queue.cpp": '#include "net/stream.hpp"\n#include "smtp/reply.hpp"\n#include <boost/asio/post.hpp>\n',
    "line/replica.hpp": '#pragma once\n#include "imap/types.hpp"\n#include "pop3/types.hpp"\n',
    "roles/core.hpp": '#pragma once\n#include "roles/parts.hpp"\n#include "http/page.hpp"\n',
}
# file -> (content, part of the message that it must give)
BAD = {
    "base/up.hpp": ('#pragma once\n#include "mime/part.hpp"\n', "base may not include mime"),
    "base/late.hpp": ("#include <string>\n#pragma once\n", "#pragma once"),
    "base/without.hpp": ("// only a comment\n", "#pragma once"),
    "smtp/up.cpp": ('#include "service/queue.hpp"\n', "smtp may not include service"),
    "smtp/side.cpp": ('#include "imap/types.hpp"\n', "smtp may not include imap"),
    "smtp/time.cpp": ("#include <boost/asio/steady_timer.hpp>\n", "Asio belongs in"),
    "smtp/sock.cpp": ("#include <sys/socket.h>\n", "sockets belongs in"),
    "imap/sql.cpp": ("  #  include <sqlite3.h>\n", "SQLite belongs in"),
    "store/seal.cpp": ("#include <cryptopp/aes.h>\n", "Crypto++ belongs in"),
    "imap/fold.cpp": ("#include <unicode/uchar.h>\n", "ICU belongs in"),
    "store/mail.cpp": ('#include "mime/part.hpp"\n', "store may not include mime"),
    "service/tls.cpp": ("#include <openssl/ssl.h>\n", "OpenSSL belongs in"),
    "service/tls2.cpp": ("#include <boost/asio/ssl.hpp>\n", "OpenSSL belongs in"),
    "service/beast.cpp": ("#include <boost/beast.hpp>\n", "Beast belongs in"),
    "service/heavy.cpp": ('#include "net/outer.hpp"\n', "interfaces only"),
    "net/up.cpp": ('#include "store/db.hpp"\n', "net may not include store"),
    "net/angle.cpp": ("#include <base/../store/db.hpp>\n", "climbs out"),
    "sync/near.cpp": ('#include "entry.hpp"\n', "does not begin with a folder"),
    "roles/core.cpp": ('#include "roles/remote.hpp"\n', "the role core includes the role remote"),
    "roles/mobile/run.cpp": ('#include "roles/core/run.hpp"\n', "the role mobile includes the role core"),
    "extra/new.cpp": ("int x;\n", "not in the layer table"),
}
SUPPORT = {
    "net/outer.hpp": '#pragma once\n#include "net/inner.hpp"\n',
    "net/inner.hpp": "#pragma once\n#include <openssl/ssl.h>\n",
}


def plant(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def self_test():
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        plant(root, GOOD | SUPPORT)
        tree = Tree(root)
        tree.check()
        wrong = [f"good tree: {v}" for v in tree.violations]
        plant(root, {file: content for file, (content, _) in BAD.items()})
        tree = Tree(root)
        tree.check()
        for file, (_, message) in BAD.items():
            found = [text for where, _, text in tree.violations if where == file]
            if len(found) != 1 or message not in found[0]:
                wrong.append(f"planted {file}: expected one '{message}', found {found}")
        wrong += [f"not planted: {v}" for v in tree.violations if v[0] not in BAD]
    for line in wrong:
        print("layering self-test:", line)
    return not wrong


def main():
    if not self_test():
        return 1
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
    tree = Tree(root / "src")
    files = tree.check()
    if not files:
        print(f"layering: no sources under {root / 'src'}")
        return 1
    for relative, line, text in tree.violations:
        print(f"src/{relative}:{line}: {text}")
    print(f"layering: {len(files)} files, {len(tree.violations)} violations")
    return 1 if tree.violations else 0


if __name__ == "__main__":
    sys.exit(main())
