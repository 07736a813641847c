"""Mail to the nodes that is not from their peer: refused with 550 5.7.1, answered to nobody, and without effect."""

import base64
import email
import email.policy
import os
import random
import re
import unittest

from fwmail import CORE_HOST, DOMAIN, REMOTE_HOST, NodeTest, Pair, letter
from wire import SmtpReply, SmtpSink, smtp_send, wait_until

ANN = f"ann@{DOMAIN}"


class Captured:
    """A genuine node mail as it passed the tap."""

    def __init__(self, received):
        self.data = received.data
        head = email.message_from_bytes(received.data, policy=email.policy.default)
        self.sender = address(head["From"])
        self.recipient = address(head["To"])
        self.header, self.body = received.data.split(b"\r\n\r\n", 1)


def address(field):
    return re.search(r"[^<>\s]+@[^<>\s]+", field or "").group() if field else ""


class Hostile(NodeTest):
    @classmethod
    def setUpClass(cls):
        cls.pairs, cls.taps = [], []
        for _ in range(2):
            tap = SmtpSink()
            cls.addClassCleanup(tap.stop)
            pair = Pair(cls.new_folder(), tap_port=tap.port)
            cls.addClassCleanup(pair.kill9)
            pair.start()
            for number in range(3):
                smtp_send(pair.core.smtp_port, "bob@elsewhere.test", ANN, letter(f"number {number}")[1])
            pair.wait_for_same_state(count=3)
            cls.pairs.append(pair)
            cls.taps.append(tap)
        cls.pair, cls.stranger = cls.pairs
        cls.to_remote, cls.to_core = cls.captured(cls.taps[0], REMOTE_HOST), cls.captured(cls.taps[0], CORE_HOST)
        cls.of_stranger = cls.captured(cls.taps[1], REMOTE_HOST)
        cls.random = random.Random(int(os.environ.get("FWMAIL_SEED", "1")))

    @classmethod
    def captured(cls, tap, host):
        def find():
            return [mail for mail in map(Captured, list(tap.messages)) if mail.recipient.endswith("@" + host)]

        # Frames first, acknowledgements last: the largest carries a message.
        return max(wait_until(find, 60, f"node mail to {host}"), key=lambda mail: len(mail.data))

    def setUp(self):
        self.before = [node.state("ann") for node in (self.pair.core, self.pair.remote)]

    def tearDown(self):
        """Whatever was sent: both show the same as before, and work on."""
        self.assertEqual([node.state("ann") for node in (self.pair.core, self.pair.remote)], self.before)
        self.assertTrue(self.pair.core.is_running() and self.pair.remote.is_running())

    def refuse(self, node, recipient, message, sender="mallory@evil.test"):
        with self.assertRaises(SmtpReply) as refused:
            smtp_send(node.smtp_port, sender, recipient, message)
        self.assertEqual(refused.exception.code, 550, refused.exception)
        self.assertRegex(refused.exception.text, r"^5\.7\.1 ")

    def test_unsealed_mail(self):
        for sender in ("mallory@evil.test", self.to_remote.sender):
            self.refuse(self.pair.remote, self.to_remote.recipient, letter("in clear")[1], sender)

    def test_mail_for_a_user_is_not_taken_at_remote(self):
        with self.assertRaises(SmtpReply) as refused:
            smtp_send(self.pair.remote.smtp_port, "bob@elsewhere.test", ANN, letter("in clear")[1])
        self.assertEqual(refused.exception.code // 100, 5)

    def test_altered_mail(self):
        """One character of the body changed, at many places; and pieces cut off or put on."""
        body = self.to_remote.body
        for _ in range(20):
            place = self.random.choice([at for at in range(len(body)) if body[at:at + 1].isalnum()])
            other = b"A" if body[place:place + 1] != b"A" else b"B"
            altered = body[:place] + other + body[place + 1:]
            if decoded(altered) == decoded(body):
                continue  # the last character's unused bits
            with self.subTest(place=place):
                self.refuse(self.pair.remote, self.to_remote.recipient,
                            self.to_remote.header + b"\r\n\r\n" + altered, self.to_remote.sender)
        for other in (body[: len(body) // 2 // 78 * 78], body + body, b""):
            self.refuse(self.pair.remote, self.to_remote.recipient, self.to_remote.header + b"\r\n\r\n" + other,
                        self.to_remote.sender)

    def test_forged_mail(self):
        """The right header and something else inside."""
        for inside in (b"", self.random.randbytes(3000), b"\xc1\x5e" + self.random.randbytes(500)):
            body = base64.encodebytes(inside).replace(b"\n", b"\r\n")
            self.refuse(self.pair.remote, self.to_remote.recipient, self.to_remote.header + b"\r\n\r\n" + body,
                        self.to_remote.sender)
            self.refuse(self.pair.core, self.to_core.recipient, self.to_core.header + b"\r\n\r\n" + body,
                        self.to_core.sender)

    def test_misdirected_mail(self):
        """Genuine, but for the other end, or of another pair."""
        self.refuse(self.pair.remote, self.to_remote.recipient, self.to_core.data, self.to_core.sender)
        self.refuse(self.pair.core, self.to_core.recipient, self.to_remote.data, self.to_remote.sender)
        self.refuse(self.pair.remote, self.to_remote.recipient, self.of_stranger.data, self.of_stranger.sender)

    def test_replayed_mail(self):
        """A repeat may be an MTA's doubt about a lost answer, so it need not be refused; it must do nothing."""
        with self.pair.core.imap("ann", "INBOX", readonly=False) as client:
            client.uid("STORE", "1:*", "+FLAGS", r"(\Answered)")
        self.before[:] = [self.pair.wait_for_same_state(count=len(self.before[0]))] * 2
        for node, mail in ((self.pair.remote, self.to_remote), (self.pair.core, self.to_core)):
            for data in (mail.data, b"Received: from x by y; Sat, 21 Nov 2026 12:00:00 +0000\r\n" + mail.data):
                for _ in range(3):
                    try:
                        smtp_send(node.smtp_port, mail.sender, mail.recipient, data)
                    except SmtpReply as refused:
                        self.assertEqual(refused.code, 550)
        for node in (self.pair.core, self.pair.remote):
            node.restart()

    def test_nothing_is_answered(self):
        """To forgers neither node writes, not even a bounce."""
        _, message = letter("answer me")
        for node, mail in ((self.pair.remote, self.to_remote), (self.pair.core, self.to_core)):
            self.refuse(node, mail.recipient, message)
        # A later mail has come through: what would have been answered would have passed too.
        _, later = letter("later")
        smtp_send(self.pair.core.smtp_port, "bob@elsewhere.test", ANN, later)
        self.before[:] = [self.pair.wait_for_same_state(count=len(self.before[0]) + 1)] * 2
        for received in self.taps[0].messages:
            head = email.message_from_bytes(received.data, policy=email.policy.default)
            self.assertNotIn("evil.test", head["To"] or "")


def decoded(body):
    return base64.b64decode(body)


if __name__ == "__main__":
    unittest.main()
