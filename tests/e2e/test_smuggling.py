"""A second mail hidden behind what some server takes for the end of data: straight to core, and through a Postfix that
passes on what it gets."""

import os
import socket
import unittest

from fwmail import DOMAIN, Node, NodeTest, wait_for_messages
from peers import Postfix

ANN = f"ann@{DOMAIN}"
# Everything that somebody has once taken for <CRLF>.<CRLF>.
ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r.\n", b"\n.\r", b"\r\n\0.\r\n", b"\r\r\n.\r\r\n",
        b"\r\n.\0\r\n", b"\n.\r\r\n", b"\n\n.\r\n\n"]


def send(port, number, end):
    """What the server says last."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        file = client.makefile("rb")

        def say(octets):
            if octets:
                client.sendall(octets)
            while (line := file.readline())[3:4] == b"-":
                pass
            return line

        say(b"")
        for line in (b"EHLO client.test\r\n", b"MAIL FROM:<bob@elsewhere.test>\r\n", b"RCPT TO:<%s>\r\n" % ANN.encode()):
            say(line)
        answer = say(b"DATA\r\n")
        if not answer.startswith(b"354"):
            raise AssertionError(answer)
        hidden = (b"MAIL FROM:<admin@example.test>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: hidden\r\n\r\nPay at once.\r\n"
                  % ANN.encode())
        return say(b"Subject: seen %d\r\n\r\nA line.%s%s.\r\n" % (number, end, hidden))


class Smuggling(NodeTest):
    def setUp(self):
        self.folder = self.new_folder()
        self.core = Node("core", os.path.join(self.folder, "core"))
        self.core.add_user("ann")
        self.addCleanup(self.core.kill9)
        self.core.start()

    def check(self, count):
        for octets in self.core.messages("ann").values():
            head = octets.split(b"\r\n\r\n")[0]
            self.assertIn(b"Return-Path: <bob@elsewhere.test>", head)
            self.assertNotIn(b"Subject: hidden", head)
        self.assertEqual(self.core.count("ann"), count)

    def test_straight(self):
        taken = 0
        for number, end in enumerate(ENDS):
            with self.subTest(end):
                answer = send(self.core.smtp_port, number, end)
                self.assertRegex(answer, b"250 2|550 5.6.0")
                taken += answer.startswith(b"250")
        self.assertGreater(taken, 0)
        self.assertLess(taken, len(ENDS))
        wait_for_messages(self.core, "ann", taken)
        self.core.restart()  # nothing is on its way any more
        self.check(taken)

    def test_through_postfix(self):
        with Postfix(os.path.join(self.folder, "postfix"), routes={DOMAIN: self.core.smtp_port},
                     smtpd_forbid_bare_newline="no") as postfix:
            taken = sum(send(postfix.port, number, end).startswith(b"250") for number, end in enumerate(ENDS))
            self.assertGreater(taken, 5)
            postfix.wait_for_empty_queue()
            # What Postfix itself takes for an end is a mail more, which it and not core has made of it.
            split = postfix.log().count("from=<admin@example.test>")
            wait_for_messages(self.core, "ann", 1)
            got = list(self.core.messages("ann").values())
            self.assertLessEqual(len(got), taken + split)
            self.assertEqual(sum(b"Return-Path: <admin@example.test>" in octets for octets in got), split)


if __name__ == "__main__":
    unittest.main()
