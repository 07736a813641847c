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
        # What is not acknowledged would be said again in any case.
        for node in (self.core, self.remote):
            wait_until(lambda: node.status()["links"][0]["unacknowledged"] == 0, TIMEOUT, "all is acknowledged", interval=0.5)

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

    def live_on(self, node, other):
        """Since its backup a node has seen mail come, and a flag; on the other side a message was expunged."""
        self.back_up(node)
        self.deliver("later", 3)
        self.change(node, "2", r"\Flagged")
        self.settle(9)
        self.expunge(other, "1")
        self.settle(8)
        return self.subjects(self.core)

    def come_back(self, node, before):
        self.restore(node)
        self.deliver("new", 2)  # under numbers that core has given to others, where it has lost that
        self.settle(10)
        after = self.subjects(self.core)
        self.assertEqual(sorted(after.values()), sorted(list(before.values()) + ["new 0", "new 1"]))
        with node.imap("ann", "INBOX") as client:
            self.assertIn(rb"\Flagged", ok(client.uid("FETCH", "2", "(FLAGS)"))[0])
        if self.witness:
            self.assertIn("a backup was restored", node.log())
        else:  # whichever of the two finds it out first
            self.assertRegex(self.core.log() + self.remote.log(),
                             "it has lost what it knew|it acknowledges numbers that we have not given")
        return after

    def test_core(self):
        before = self.live_on(self.core, self.remote)
        shown = self.remote.messages("ann")
        after = self.come_back(self.core, before)
        for uid, octets in self.remote.messages("ann").items():  # one number, one message
            if uid in shown:
                self.assertEqual(octets, shown[uid], uid)
        if self.witness:
            self.assertEqual({uid for uid in after if uid in before and after[uid] != before[uid]}, set())
        self.end()

    def test_remote(self):
        before = self.live_on(self.remote, self.core)
        shown = self.remote.messages("ann")
        self.come_back(self.remote, before)
        for uid, octets in self.remote.messages("ann").items():
            if uid in shown:
                self.assertEqual(octets, shown[uid], uid)
        self.end()


class Witnessed(Restored):
    witness = True


if __name__ == "__main__":
    unittest.main()
