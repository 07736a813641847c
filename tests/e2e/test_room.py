"""The room of what was expunged is used again, at core and at the remote: a mailbox that keeps its size keeps its disk."""

import base64
import contextlib
import os
import sqlite3
import unittest

from fwmail import Node, NodeTest, letter, link
from wire import wait_until

MESSAGES, OCTETS, ROUNDS = 10, 100_000, 4


class Room(NodeTest):
    @classmethod
    def setUpClass(cls):
        folder = cls.new_folder()
        settings = [("limits.keep-expunged", "2s")]
        cls.core = Node("core", os.path.join(folder, "core"), settings=settings)
        cls.remote = Node("remote", os.path.join(folder, "remote"), settings=settings)
        cls.core.add_user("ann")
        link(cls.core, cls.remote)
        for node in (cls.core, cls.remote):
            node.start()
            cls.addClassCleanup(node.kill9)
        wait_until(lambda: cls.remote.can_log_in("ann"), 60, "ann can log in at the remote")

    def bodies(self, node):
        path = os.path.join(node.data_dir, "system.db")
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
            return store.execute("SELECT count(*), coalesce(sum(size), 0) FROM objects").fetchone()

    def pages(self, node):
        """Octets of the file as its last commit says, with what still lies in the WAL."""
        path = os.path.join(node.data_dir, "system.db")
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
            return store.execute("PRAGMA page_count").fetchone()[0] * 4096

    def test_used_again(self):
        sizes = {"core": [], "remote": []}
        for _ in range(ROUNDS):
            for _ in range(MESSAGES):
                body = base64.encodebytes(os.urandom(OCTETS)).replace(b"\n", b"\r\n").decode()
                self.core.append("ann", letter("large", body)[1])
            wait_until(lambda: self.remote.count("ann") == MESSAGES, 60, "all at the remote")
            for node in (self.core, self.remote):
                self.assertGreaterEqual(self.bodies(node)[1], MESSAGES * OCTETS)
                sizes[node.role].append(self.pages(node))
            with self.core.imap("ann", "INBOX", readonly=False) as client:
                client.uid("STORE", "1:*", "+FLAGS.SILENT", "(\\Deleted)")
                client.expunge()
            for node in (self.core, self.remote):
                wait_until(lambda node=node: self.bodies(node)[0] == 0, 60,
                           lambda node=node: f"the bodies to go at {node.role}: {self.bodies(node)}")
        for role, of_role in sizes.items():
            self.assertLess(max(of_role), of_role[0] * 1.1, f"{role}: {of_role}")


if __name__ == "__main__":
    unittest.main()
