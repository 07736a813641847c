"""Core is restored from a backup, without a witness, and gives a number once more. Before anybody has found out, a client of
the remote files or expunges what that number means there: no mail is lost by that."""

import os
import shutil
import unittest

from fwmail import CORE_HOST, DOMAIN, REMOTE_HOST, Node, NodeTest, letter, link, ok
from lossy import domain_of
from test_agreement import differences
from wire import SmtpSink, smtp_send, wait_until

ANN = f"ann@{DOMAIN}"


class Collision(NodeTest):
    def setUp(self):
        folder, self.sink, self.passed = self.new_folder(), SmtpSink(), 0
        self.addCleanup(self.sink.stop)
        settings = [("smarthost.address", f"127.0.0.1:{self.sink.port}"), ("smarthost.tls", "none"),
                    ("replicate.resend-after", "2s")]
        self.core, self.remote = [Node(role, os.path.join(folder, role), settings=settings) for role in ("core", "remote")]
        self.core.add_user("ann")
        link(self.core, self.remote)
        for node in (self.core, self.remote):
            self.addCleanup(node.kill9)
            node.start()
        self.ports = {CORE_HOST: self.core.smtp_port, REMOTE_HOST: self.remote.smtp_port}
        wait_until(lambda: self.flow() and self.remote.can_log_in("ann"), 60, "ann can log in at the remote")
        self.deliver("first", 6)
        self.agree()

    def flow(self):
        """Hands over what has been sent, in order."""
        while self.passed < len(self.sink.messages):
            mail = self.sink.messages[self.passed]
            self.passed += 1
            smtp_send(self.ports[domain_of(mail)], mail.sender, mail.recipients[0], mail.data)
        return True

    def agree(self):
        nodes = (self.core, self.remote)
        for _ in range(2):
            wait_until(lambda: self.flow() and not differences(*nodes), 90, "both agree", interval=0.1)
            wait_until(lambda: self.flow() and not any(node.status()["links"][0]["unacknowledged"] for node in nodes), 60,
                       "all is acknowledged", interval=0.1)

    def deliver(self, word, count):
        for number in range(count):
            smtp_send(self.core.smtp_port, "bob@elsewhere.test", ANN, letter(f"{word} {number}")[1])

    def subjects(self):
        return sorted(octets.split(b"Subject: ")[1].split(b"\r\n")[0].decode() for mailbox in ("INBOX", "Archive")
                      for octets in self.core.messages("ann", mailbox).values())

    def collide(self, *deeds):
        """What is at core in the end."""
        self.core.stop()
        shutil.copytree(self.core.data_dir, self.core.directory + ".backup")
        self.core.start()
        self.deliver("later", 3)  # 7, 8 and 9
        self.agree()
        self.core.kill9()
        shutil.rmtree(self.core.data_dir)
        shutil.copytree(self.core.directory + ".backup", self.core.data_dir)
        self.core.start()
        self.deliver("new", 1)  # 7 at core, and nobody has heard of it
        wait_until(lambda: self.core.count("ann") == 7, 60, "core has it")
        with self.remote.imap("ann", "INBOX", readonly=False) as client:
            for command, *arguments in deeds:
                ok(client.uid(command, *arguments))
        self.agree()
        return self.subjects()

    def expected(self, *later):
        return sorted([f"first {number}" for number in range(6)] + [f"later {number}" for number in later] + ["new 0"])

    def test_moved(self):
        self.assertEqual(self.collide(("MOVE", "7", "Archive")), self.expected(0, 1, 2))

    def test_copied(self):
        found = self.collide(("COPY", "7", "Archive"))
        self.assertEqual(sorted(set(found)), self.expected(0, 1, 2))

    def test_expunged(self):
        self.assertEqual(self.collide(("STORE", "7", "+FLAGS", r"(\Deleted)"), ("EXPUNGE", "7")), self.expected(1, 2))


if __name__ == "__main__":
    unittest.main()
