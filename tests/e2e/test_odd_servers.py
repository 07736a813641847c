"""fwmail import from servers that others are: everything below INBOX, '.' between levels, mailboxes of others beside
ours, lines that are cut at any octet."""

import imaplib
import os
import random
import socket
import threading
import unittest

from fwmail import CommandFailed, Node, NodeTest, letter, ok, quoted
from peers import Cyrus, Dovecot

BELOW_INBOX = """
namespace inbox {{
  prefix = INBOX.
  separator = .
}}
namespace notices {{
  type = public
  prefix = Public.
  separator = .
  location = maildir:{directory}/public
  subscriptions = no
}}
"""


class CuttingRelay:
    """Passes octets on, and resets each connection after so many of the server's as `cuts` says next."""

    def __init__(self, target, cuts):
        self.target, self.cuts, self.done = target, list(cuts), 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            limit = self.cuts.pop(0) if self.cuts else None
            threading.Thread(target=self.pump, args=(client, server, None), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, limit), daemon=True).start()

    def pump(self, source, sink, left):
        try:
            while got := source.recv(4096 if left is None else min(4096, left)):
                sink.sendall(got)
                if left is not None and (left := left - len(got)) == 0:
                    self.done += 1
                    break
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class OddServers(NodeTest):
    def setUp(self):
        self.folder = self.new_folder()
        self.core = Node("core", os.path.join(self.folder, "core"))
        self.core.add_user("ann")
        self.addCleanup(self.core.kill9)
        self.core.start()
        self.password = os.path.join(self.folder, "password")
        with open(self.password, "w") as file:
            file.write("secret\n")

    def take(self, port, user="dora"):
        return self.core.command(["import", "ann", f"imap://{user}@127.0.0.1:{port}", "--config", self.core.config,
                                  "--password-file", self.password])

    def mailboxes(self):
        with self.core.imap("ann") as client:
            return {row.rsplit(b' "/" ', 1)[1].strip(b'"').decode() for row in ok(client.list())}

    def test_below_inbox_and_cut_anywhere(self):
        folder = os.path.join(self.folder, "dovecot")
        with Dovecot(folder, {"dora": "secret"}, settings=BELOW_INBOX.format(directory=folder)) as dovecot:
            os.makedirs(f"{folder}/public", exist_ok=True)
            os.chmod(f"{folder}/public", 0o1777)
            texts = [letter(f"mail {n}", f"line {n}\r\n" * (1 + 3000 * (n % 3 == 0)))[1] for n in range(24)]
            with imaplib.IMAP4("127.0.0.1", dovecot.imap_port, timeout=60) as client:
                client.login("dora", "secret")
                for name in ("INBOX.Sent", "INBOX.Alt.2020", "Public.Notices", "INBOX.b &- c"):
                    ok(client.create(quoted(name)))
                for n, text in enumerate(texts):
                    name = ("INBOX", "INBOX.Sent", "INBOX.Alt.2020", "INBOX.b &- c")[n % 4]
                    ok(client.append(quoted(name), None, None, text))
                ok(client.append("Public.Notices", None, None, letter("not dora's")[1]))
            seed = int(os.environ.get("FWMAIL_SEED", random.randrange(10**9)))
            dice = random.Random(seed)
            print(f"seed {seed}")
            # Each connection first gets as far as its first body, or nearly.
            relay = CuttingRelay(dovecot.imap_port, [dice.randrange(2_500, 60_000) for _ in range(4)])
            said = self.take(relay.port)
            self.assertGreater(relay.done, 0)
            self.assertIn("imported 24 messages", said)
            got = {name: sorted(self.core.messages("ann", name).values()) for name in ("INBOX", "Sent", "Alt/2020", "b &- c")}
            for number, name in enumerate(got):
                self.assertEqual(got[name], sorted(texts[number::4]), name)
            self.assertFalse([name for name in self.mailboxes() if "Public" in name or "INBOX" in name[1:]])
            self.assertRegex(self.take(relay.port), "imported 0 messages.*24 were there already")

    def test_cyrus(self):
        with Cyrus(os.path.join(self.folder, "cyrus"), "secret") as cyrus:
            with imaplib.IMAP4("127.0.0.1", cyrus.imap_port, timeout=60) as admin:
                admin.login("admin", "secret")
                for name in ("user.dora", "user.dora.Sent", "user.dora.R&-D.2025", "user.ben", "user.ben.Plans", "notices"):
                    ok(admin.create(quoted(name)))
                for name in ("user.ben", "user.ben.Plans", "notices"):
                    ok(admin.setacl(quoted(name), "dora", "lrsi"))
            own = ("INBOX", "INBOX.Sent", "INBOX.R&-D.2025")
            texts = [letter(f"mail {n}")[1] for n in range(9)]
            with imaplib.IMAP4("127.0.0.1", cyrus.imap_port, timeout=60) as client:
                client.login("dora", "secret")
                for n, text in enumerate(texts):
                    ok(client.append(quoted(own[n % 3]), r"(\Seen)", None, text))
                for name in ("user.ben.Plans", "notices"):
                    ok(client.append(quoted(name), None, None, letter("another's")[1]))
                listed = b" ".join(ok(client.list()))
            for name in (b"user.ben.Plans", b"notices", b"INBOX.Sent"):
                self.assertIn(name, listed)
            self.assertIn("imported 9 messages", self.take(cyrus.imap_port))
            for number, name in enumerate(("INBOX", "Sent", "R&-D/2025")):
                self.assertEqual(sorted(self.core.messages("ann", name).values()), sorted(texts[number::3]))
            self.assertFalse([name for name in self.mailboxes() if "Plans" in name or "notices" in name])
            # One that may be seen but not read holds up no other.
            with imaplib.IMAP4("127.0.0.1", cyrus.imap_port, timeout=60) as admin:
                admin.login("admin", "secret")
                ok(admin.create("user.dora.Locked"))
                ok(admin.setacl("user.dora.Locked", "dora", "l"))
            with imaplib.IMAP4("127.0.0.1", cyrus.imap_port, timeout=60) as client:
                client.login("dora", "secret")
                ok(client.append("INBOX.Sent", None, None, letter("one more")[1]))
            with self.assertRaisesRegex(CommandFailed, "(?s)exit 1.*Locked is not given: Permission denied"):
                self.take(cyrus.imap_port)
            self.assertEqual(self.core.count("ann", "Sent"), 4)

    def test_refused_for_now_or_for_good(self):
        folder = os.path.join(self.folder, "dovecot")
        dovecot = Dovecot(folder, {"dora": "secret"})
        with open(f"{folder}/mail/dora", "w"):
            pass  # where her folder should be
        with dovecot:
            with self.assertRaisesRegex(CommandFailed, "(?s)exit 1.*Internal error.*try again later"):
                self.take(dovecot.imap_port)
            with open(self.password, "w") as file:
                file.write("wrong\n")
            with self.assertRaisesRegex(CommandFailed, "(?s)exit 1(?!.*try again later).*Authentication failed"):
                self.take(dovecot.imap_port)

    def test_a_line_that_is_always_cut(self):
        folder = os.path.join(self.folder, "dovecot")
        with Dovecot(folder, {"dora": "secret"}) as dovecot:
            with imaplib.IMAP4("127.0.0.1", dovecot.imap_port, timeout=60) as client:
                client.login("dora", "secret")
                ok(client.append("INBOX", None, None, letter("long", "0123456789\r\n" * 10_000)[1]))
            relay = CuttingRelay(dovecot.imap_port, [20_000] * 100)
            with self.assertRaisesRegex(CommandFailed, "(?s)exit 1.*try again later"):
                self.take(relay.port)
            self.assertEqual(relay.done, 5)
            self.assertEqual(self.core.count("ann"), 0)
            self.assertIn("imported 1 messages", self.take(dovecot.imap_port))


if __name__ == "__main__":
    unittest.main()
