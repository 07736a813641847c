"""The foreign servers themselves: what they are trusted with in the other tests is shown here without fwmail."""

import imaplib
import os
import smtplib
import subprocess
import tempfile
import unittest

from peers import Dovecot, Postfix
from wire import SmtpSink, smtp_send

MESSAGE = (b"From: a@one.test\r\nTo: b@two.test\r\nSubject: hello\r\n"
           b"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@one.test>\r\n\r\none\r\n.\r\n..two\r\n tail\r\n")


class Peers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="fw-", ignore_cleanup_errors=True)
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.sink = SmtpSink()
        self.addCleanup(self.sink.stop)

    def test_mail_passes_two_postfixes_unchanged(self):
        second = Postfix(os.path.join(self.folder, "b"), routes={"two.test": self.sink.port})
        first = Postfix(os.path.join(self.folder, "a"), relay_port=second.port)
        with first, second:
            smtp_send(first.port, "a@one.test", "b@two.test", MESSAGE)
            subprocess.run(["swaks", "--server", f"127.0.0.1:{first.port}", "--from", "a@one.test", "--to",
                            "c@two.test", "--body", "by swaks", "--silent", "2"], check=True)
            got = {message.recipients[0]: message for message in self.sink.wait_for(2)}
        self.assertEqual(set(got), {"b@two.test", "c@two.test"})
        self.assertTrue(got["b@two.test"].data.endswith(MESSAGE))
        self.assertEqual(got["b@two.test"].data.count(b"\nReceived:") + 1, 2)
        self.assertIn(b"by swaks", got["c@two.test"].data)

    def test_postfix_killed_keeps_its_queue(self):
        target = SmtpSink(answer=lambda _: "451 4.3.0 later")
        postfix = Postfix(os.path.join(self.folder, "p"), routes={"two.test": target.port})
        with postfix:
            for _ in range(5):
                smtp_send(postfix.port, "a@one.test", "b@two.test", MESSAGE)
            self.assertEqual(target.messages, [])
            postfix.kill9()
            self.assertEqual(postfix.queue_size(), 5)
            target.answer = lambda _: None
            postfix.start()
            target.wait_for(5)
            postfix.wait_for_empty_queue()
        target.stop()
        self.assertEqual(len(target.messages), 5)

    def test_postfix_copies_to_a_tap_and_obeys_its_size_limit(self):
        tap = SmtpSink()
        self.addCleanup(tap.stop)
        postfix = Postfix(os.path.join(self.folder, "p"), message_size_limit=20000, always_bcc="tap@tap.test",
                          routes={"two.test": self.sink.port, "tap.test": tap.port})
        with postfix:
            smtp_send(postfix.port, "a@one.test", "b@two.test", MESSAGE)
            self.sink.wait_for(1)
            self.assertEqual(tap.wait_for(1)[0].data[-len(MESSAGE):], MESSAGE)
            with self.assertRaisesRegex(Exception, "552|552 5.3.4"):
                smtp_send(postfix.port, "a@one.test", "b@two.test", MESSAGE + b"x" * 30000)

    def test_dovecot_takes_by_lmtp_and_serves_by_imap(self):
        dovecot = Dovecot(os.path.join(self.folder, "d"), users={"ann": "secret"})
        with dovecot:
            with smtplib.LMTP("127.0.0.1", dovecot.lmtp_port) as lmtp:
                lmtp.sendmail("a@one.test", ["ann@two.test"], MESSAGE)
            for _ in range(2):
                imap = imaplib.IMAP4("127.0.0.1", dovecot.imap_port)
                imap.login("ann", "secret")
                self.assertEqual(imap.select("INBOX"), ("OK", [b"1"]))
                self.assertTrue(imap.fetch("1", "(BODY.PEEK[])")[1][0][1].endswith(MESSAGE))
                imap.logout()
                dovecot.kill9()
                dovecot.start()
            with imaplib.IMAP4("127.0.0.1", dovecot.imap_port) as imap:
                with self.assertRaises(imaplib.IMAP4.error):
                    imap.login("ann", "wrong")


if __name__ == "__main__":
    unittest.main()
