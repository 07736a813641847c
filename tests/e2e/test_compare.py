"""Core and remote see by digests that they agree; where a file was damaged they find that out, and mend it."""

import os
import sqlite3
import subprocess
import unittest

from fwmail import DOMAIN, NodeTest, Pair, letter, ok
from test_agreement import wait_for_agreement
from wire import smtp_send, wait_until

ANN = f"ann@{DOMAIN}"
COUNT = 12
IN_INBOX = "mailbox=(SELECT id FROM mailboxes WHERE name='INBOX')"
TIMEOUT = 90


class Compare(NodeTest):
    def setUp(self):
        self.pair = Pair(os.path.join(self.new_folder(), "pair"), settings=[("replicate.resend-after", "5s")])
        self.addCleanup(self.pair.kill9)
        self.core, self.remote = self.pair.core, self.pair.remote
        self.pair.start()
        for number in range(COUNT):
            smtp_send(self.core.smtp_port, "bob@elsewhere.test", ANN, letter(f"number {number}")[1])
        self.pair.wait_for_same_state(count=COUNT)

    def compare(self, node=None):
        """What fwmail sync says in the end."""
        node = node or self.core
        return subprocess.run([node.binary, "sync", "ann", "--compare", "--wait", f"{TIMEOUT}s", "--config", node.config],
                              capture_output=True, text=True, timeout=2 * TIMEOUT)

    def assert_compared(self, differing):
        done = self.compare()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"of 1 accounts that were compared {differing} were not alike", done.stdout + done.stderr)
        for node in (self.core, self.remote):
            (link,) = node.status()["links"]
            self.assertEqual((link["accounts_compared"], link["accounts_differing"]), (1, differing), node.role)

    def assert_healed(self):
        wait_for_agreement(self.core, self.remote, TIMEOUT)
        self.assert_compared(0)
        self.pair.stop()
        self.pair.check()

    def account_file(self, node):
        folder = os.path.join(node.data_dir, "accounts")
        (name,) = [name for name in os.listdir(folder) if name.endswith(".db") and not name.endswith(".search.db")]
        return os.path.join(folder, name)

    def damage(self, node, statement):
        """As a disk might, or somebody's hand: nothing else in the file tells of it."""
        node.stop()
        with sqlite3.connect(self.account_file(node)) as db:
            self.assertEqual(db.execute(statement).rowcount, 1)
            db.execute("DELETE FROM messages WHERE mailbox NOT IN (SELECT id FROM mailboxes)")
            for table in ("message_texts", "message_keys", "message_headers"):
                db.execute(f"DELETE FROM {table} WHERE id NOT IN (SELECT id FROM messages)")
            db.execute("UPDATE mailboxes AS b SET messages=(SELECT count(*) FROM messages m WHERE m.mailbox=b.id),"
                       "octets=(SELECT coalesce(sum(m.size),0) FROM messages m WHERE m.mailbox=b.id),"
                       "unseen=(SELECT count(*) FROM messages m WHERE m.mailbox=b.id AND m.flags&1=0)")
        db.close()
        node.start()

    def subjects(self):
        with self.core.imap("ann", "INBOX") as client:
            found = ok(client.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
        return sorted(part[1].decode().partition(":")[2].strip() for part in found if isinstance(part, tuple))

    def all_subjects(self):
        return sorted(f"number {number}" for number in range(COUNT))

    def test_alike(self):
        self.assert_compared(0)
        done = self.compare(self.remote)
        self.assertEqual(done.returncode, 1)
        self.assertIn("core compares what it has", done.stderr)
        # By itself a new account is compared as soon as it is at rest.
        self.assertNotIn("not as", self.core.log() + self.remote.log())

    def test_message_lost_outside(self):
        self.damage(self.remote, f"DELETE FROM messages WHERE {IN_INBOX} AND uid=5")
        self.assert_compared(1)
        wait_for_agreement(self.core, self.remote, TIMEOUT)
        self.assertEqual(self.subjects(), self.all_subjects())
        with self.remote.imap("ann", "INBOX") as client:
            self.assertEqual(len(ok(client.uid("SEARCH", "ALL"))[0].split()), COUNT)
            self.assertNotIn(b"5", ok(client.uid("SEARCH", "ALL"))[0].split())
        self.assertIn("1 mailboxes are not as at core", self.remote.log())
        self.assert_healed()

    def test_message_lost_inside(self):
        self.damage(self.core, f"DELETE FROM messages WHERE {IN_INBOX} AND uid=5")
        self.assert_compared(1)
        wait_until(lambda: len(self.subjects()) == COUNT, TIMEOUT, "it has come home", interval=0.5)
        self.assertEqual(self.subjects(), self.all_subjects())
        self.assert_healed()

    def test_flag_lost_outside(self):
        with self.core.imap("ann", "INBOX", readonly=False) as client:
            ok(client.uid("STORE", "3", "+FLAGS", r"(\Flagged)"))
        wait_for_agreement(self.core, self.remote, TIMEOUT)
        self.damage(self.remote, f"UPDATE messages SET flags=flags&~4,stamps=x'' WHERE {IN_INBOX} AND uid=3")
        self.assert_compared(1)
        self.assert_healed()

    def test_mailbox_lost_outside(self):
        with self.core.imap("ann", "INBOX", readonly=False) as client:
            ok(client.create("Work"))
            ok(client.uid("COPY", "1:3", "Work"))
        wait_for_agreement(self.core, self.remote, TIMEOUT)
        self.damage(self.remote, "DELETE FROM mailboxes WHERE name='Work'")
        self.assert_compared(1)
        self.assertIn("all is told and compared", self.remote.log())
        self.assert_healed()

    def test_file_lost_outside(self):
        """All that the remote knew of the account: found out by its numbers, not by digests."""
        with self.core.imap("ann", "INBOX", readonly=False) as client:
            ok(client.create("Work"))
            ok(client.uid("COPY", "1:3", "Work"))
        wait_for_agreement(self.core, self.remote, TIMEOUT)
        self.remote.stop()
        os.unlink(self.account_file(self.remote))
        self.remote.start()
        with self.core.imap("ann", "Work", readonly=False) as client:
            ok(client.uid("STORE", "2", "+FLAGS", r"(\Flagged)"))  # of a mailbox that the remote does not know
        wait_for_agreement(self.core, self.remote, TIMEOUT)
        for node in (self.core, self.remote):
            self.assertEqual(node.count("ann", "Work"), 3, node.role)
        self.assert_healed()


if __name__ == "__main__":
    unittest.main()
