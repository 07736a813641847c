"""A round of synchronisation when somebody wants it: by command, and by a login (H11-266279, claim 4)."""

import unittest

from fwmail import DOMAIN, CommandFailed, letter, ok
from lossy import LossyPair
from raw_imap import RawImap
from wire import smtp_send, wait_until

ANN = f"ann@{DOMAIN}"


class Sync(LossyPair):
    def sync(self, node, *words):
        return node.command(["sync", *words, "--config", node.config])

    def link(self, node):
        return node.status()["links"][0]

    def deliver(self):
        smtp_send(self.core.smtp_port, "bob@elsewhere.test", ANN, letter("news")[1])

    def waiting(self):
        return self.core.status()["links"][0]["queued_mails"]

    def refuse_for_now(self):
        """A mail that core tries again in some minutes."""
        self.sink.wait_for(1)
        self.settle()
        self.pass_on()
        self.sink.answer = lambda received: "451 4.3.2 later"
        self.deliver()
        wait_until(self.waiting, 30, "a mail waits for the link")
        self.sink.answer = lambda received: None

    def come_through(self):
        self.sink.wait_for(self.passed + 1, 30)
        self.pass_on()
        wait_until(lambda: self.core.state("ann") == self.remote.state("ann") != {}, 30, "the remote has it")

    def test_what_waits_in_the_queue(self):
        self.refuse_for_now()
        self.assertIn("1 mails in the queue", self.core.command(["status", "--config", self.core.config]))
        self.sync(self.core, "ann")
        self.come_through()

    def test_a_login(self):
        self.refuse_for_now()
        RawImap(self.core.imap_port, "ann", self.core.password("ann")).close()
        self.come_through()

    def test_what_was_lost_is_sent_again(self):
        self.sink.wait_for(1)
        self.settle()
        self.pass_on()
        before = len(self.sink.messages)
        self.deliver()
        self.sink.wait_for(before + 1)
        self.settle()
        self.passed = before = len(self.sink.messages)  # what has come is lost
        with self.assertRaises(CommandFailed) as caught:
            self.sync(self.core, "--wait", "1s")
        self.assertIn("after 1 s there are still", str(caught.exception))

        def again():
            self.sync(self.core)
            return len(self.sink.messages) > before

        wait_until(again, 40, "it is sent again once ten seconds have passed", interval=1)
        self.come_through()
        # The acknowledgement that the remote would send later.
        self.sync(self.remote)
        self.sync(self.core, "--wait", "60s")
        self.assertEqual(self.core.status()["links"][0]["unacknowledged"], 0)

    def test_status_tells_what_waits_and_what_was_merged(self):
        self.sink.wait_for(1)
        self.settle()
        self.pass_on()
        self.deliver()
        self.come_through()
        self.settle()
        self.pass_on()
        with self.remote.imap("ann", "INBOX", readonly=False) as client:
            ok(client.uid("COPY", "1", "Archive"))
        self.assertEqual(self.link(self.remote)["unconfirmed"], 1)
        text = self.remote.command(["status", "--config", self.remote.config])
        self.assertIn("waiting: 0 messages for what is still to come, 1 filed here to be confirmed", text)
        # While nothing of core's arrives; and what it says of its flag does not acknowledge the other yet.
        self.settle()
        for node, flag in ((self.core, r"\Flagged"), (self.remote, r"\Answered")):
            before = len(self.sink.messages)
            with node.imap("ann", "INBOX", readonly=False) as client:
                ok(client.uid("STORE", "1", "+FLAGS", f"({flag})"))
            wait_until(lambda node=node: self.link(node)["unacknowledged"], 30, "it is planned")
            if node is self.core:
                wait_until(lambda count=before: len(self.sink.messages) > count, 30, "it is on its way")
        both = {b"\\Flagged", b"\\Answered"}
        wait_until(lambda: set(self.core.state("ann")[1][1]) == both, 30, "core has both flags")

        def agreed():
            self.pass_on()
            return set(self.remote.state("ann")[1][1]) == both and self.link(self.remote)["unconfirmed"] == 0

        wait_until(agreed, 60, "the remote has both flags, and the copy is confirmed", interval=0.5)
        for node in (self.core, self.remote):
            self.assertEqual(self.link(node)["conflicts"], 1, node.role)
        self.assertIn("flags of 1 messages were changed on both sides at once, and merged",
                      self.core.command(["status", "--config", self.core.config]))

    def test_errors(self):
        for words, said in ((["nobody"], "there is no user nobody here"), (["ann", "bob"], "say one user"),
                            (["--wait", "soon"], "--wait: ")):
            with self.assertRaises(CommandFailed) as caught:
                self.sync(self.core, *words)
            self.assertIn(said, str(caught.exception))
        self.core.stop()
        with self.assertRaises(CommandFailed) as caught:
            self.sync(self.core)
        self.assertIn("does not run", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
