"""A node that wakes up with yesterday's backup: what it has lost comes back from the other, and no number means two things."""

import os
import shutil
import unittest

from fwmail import DOMAIN, NodeTest, Pair, letter, ok
from test_agreement import wait_for_agreement
from wire import smtp_send, wait_until

ANN = f"ann@{DOMAIN}"
TIMEOUT = 90


class Restored(NodeTest):
    witness = False

    def setUp(self):
        folder = self.new_folder()
        self.pair = Pair(os.path.join(folder, "pair"), settings=[("replicate.resend-after", "5s")])
        self.addCleanup(self.pair.kill9)
        self.core, self.remote = self.pair.core, self.pair.remote
        if self.witness:
            for node in (self.core, self.remote):
                with open(node.config, encoding="utf-8") as file:
                    text = file.read()
                with open(node.config, "w", encoding="utf-8") as file:  # options without a section stand first
                    file.write(f"witness = {os.path.join(folder, node.role + '.witness')}\n" + text)
        self.pair.start()
        self.deliver("first", 6)
        self.pair.wait_for_same_state(count=6)

    def deliver(self, word, count):
        for number in range(count):
            smtp_send(self.core.smtp_port, "bob@elsewhere.test", ANN, letter(f"{word} {number}")[1])

    def back_up(self, node):
        node.stop()
        shutil.copytree(node.data_dir, node.directory + ".backup")
        node.start()

    def restore(self, node):
        node.kill9()
        shutil.rmtree(node.data_dir)
        shutil.copytree(node.directory + ".backup", node.data_dir)
        node.start()

    def settle(self, count):
        def take_up():
            self.pair.postfix.take_up_skipped()  # it has tried while a node was down
            return True

        wait_until(take_up, 5, "the queue runs")
        self.pair.wait_for_same_state(count=count, timeout=TIMEOUT)
        wait_for_agreement(self.core, self.remote, TIMEOUT)

    def subjects(self, node):
        """{uid: subject} at core, whose clients see what was delivered."""
        with node.imap("ann", "INBOX") as client:
            found = {}
            for part in ok(client.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")):
                if isinstance(part, tuple):
                    uid = int(part[0].split(b"UID ")[1].split()[0])
                    found[uid] = part[1].decode().partition(":")[2].strip()
            return found

    def change(self, node, uids, flag):
        with node.imap("ann", "INBOX", readonly=False) as client:
            ok(client.uid("STORE", uids, "+FLAGS", f"({flag})"))

    def expunge(self, node, uid):
        self.change(node, uid, r"\Deleted")
        with node.imap("ann", "INBOX", readonly=False) as client:
            ok(client.uid("EXPUNGE", uid))

    def end(self):
        self.pair.stop()
        self.pair.check()

    def test_core(self):
        self.back_up(self.core)
        self.deliver("later", 3)
        self.change(self.core, "2", r"\Flagged")
        self.settle(9)
        self.expunge(self.remote, "1")
        self.settle(8)
        before = self.subjects(self.core)
        shown = {uid: octets for uid, octets in self.remote.messages("ann").items()}

        self.restore(self.core)
        self.deliver("new", 2)  # under numbers that were given to others
        self.settle(10)
        after = self.subjects(self.core)
        self.assertEqual(sorted(after.values()), sorted(list(before.values()) + ["new 0", "new 1"]))
        with self.core.imap("ann", "INBOX") as client:
            flags = ok(client.uid("FETCH", "2", "(FLAGS)"))[0]
        self.assertIn(rb"\Flagged", flags)
        for uid, octets in self.remote.messages("ann").items():  # one number, one message
            if uid in shown:
                self.assertEqual(octets, shown[uid], uid)
        self.assertIn("begun epoch" if self.witness else "epoch", self.remote.log() + self.core.log())
        if self.witness:
            self.assertIn("a backup was restored", self.core.log())
            reused = {uid for uid in after if uid in before and after[uid] != before[uid]}
            self.assertEqual(reused, set())
        self.end()

    def test_remote(self):
        self.back_up(self.remote)
        self.deliver("later", 3)
        self.change(self.remote, "2", r"\Flagged")
        self.settle(9)
        self.expunge(self.core, "1")
        self.settle(8)
        before = self.subjects(self.core)
        self.restore(self.remote)
        self.deliver("new", 2)
        self.settle(10)
        self.assertEqual(sorted(self.subjects(self.core).values()), sorted(list(before.values()) + ["new 0", "new 1"]))
        with self.remote.imap("ann", "INBOX") as client:
            flags = ok(client.uid("FETCH", "2", "(FLAGS)"))[0]
        self.assertIn(rb"\Flagged", flags)
        self.end()


class Witnessed(Restored):
    witness = True


if __name__ == "__main__":
    unittest.main()
