"""Mail programs at core: swaks, msmtp and curl log in and send; a Postfix hands over by LMTP."""

import email
import os
import smtplib
import subprocess
import time

from fwmail import DOMAIN, Node, NodeTest, letter, ok, wait_for_messages
from peers import Postfix
from wire import SmtpClient, SmtpReply, SmtpSink, free_port, is_open, smtp_send, wait_until

ANN = f"ann@{DOMAIN}"
BEN = f"ben@{DOMAIN}"
BOB = "bob@elsewhere.test"
PASSWORD = "inside secret"


class CoreTest(NodeTest):
    """A core with all listeners, users ann and ben, and a sink as its smart host."""

    def make(self, *settings):
        self.folder = self.new_folder()
        self.sink = SmtpSink()
        self.addCleanup(self.sink.stop)
        self.submission, self.submissions, self.lmtp = free_port(), free_port(), free_port()
        self.core = Node("core", os.path.join(self.folder, "core"), settings=[
            ("submission.listen", f"127.0.0.1:{self.submission}"),
            ("submission.listen-tls", f"127.0.0.1:{self.submissions}"),
            ("lmtp.listen", f"127.0.0.1:{self.lmtp}"),
            ("smarthost.address", f"127.0.0.1:{self.sink.port}"), *settings])
        for user in ("ann", "ben"):
            self.core.add_user(user)
        self.addCleanup(lambda: self.core.process and self.core.kill9())

    def start(self):
        self.core.start()
        wait_until(lambda: all(map(is_open, (self.submission, self.submissions, self.lmtp))), 10, "all ports")

    def stop_and_check(self):
        wait_until(lambda: self.core.status()["queue"]["mails"] == 0, 30, lambda: self.core.log()[-3000:])
        self.core.stop()
        self.core.check()
        self.assertNotIn(PASSWORD, self.core.log())

    def inbox(self, user, count=1):
        wait_for_messages(self.core, user, count)
        return [email.message_from_bytes(octets) for _, octets in sorted(self.core.messages(user).items())]


class Submission(CoreTest):
    def swaks(self, *words, sender=ANN, to=BOB, good=True):
        done = subprocess.run(["swaks", "--from", sender, "--to", to, "--auth-user", "ann", "--auth-password", PASSWORD,
                               *words], capture_output=True, text=True)
        self.assertEqual(done.returncode == 0, good, done.stdout + done.stderr)
        return done.stdout

    def test_swaks_with_starttls(self):
        self.make()
        self.start()
        for mechanism in ("PLAIN", "LOGIN"):
            self.swaks("--server", f"127.0.0.1:{self.submission}", "-tls", "--auth", mechanism, "--h-Subject",
                       mechanism)
        self.swaks("--server", f"127.0.0.1:{self.submissions}", "-tlsc", "--auth", "PLAIN", "--to", f"{BEN},{BOB}")
        mails = [email.message_from_bytes(mail.data) for mail in self.sink.wait_for(3)]
        self.assertEqual([mail["Subject"] for mail in mails[:2]], ["PLAIN", "LOGIN"])
        for mail in mails:
            self.assertIn("with ESMTPSA", mail.get_all("Received")[0])
            self.assertNotIn("Return-Path", mail)
        self.assertEqual(self.sink.messages[2].recipients, [BOB])
        self.assertEqual(self.inbox("ben")[0]["Return-Path"], f"<{ANN}>")
        self.stop_and_check()

    def test_msmtp_and_curl(self):
        self.make()
        self.start()
        config = os.path.join(self.folder, "msmtprc")
        with open(config, "w", opener=lambda file, flags: os.open(file, flags, 0o600)) as file:
            file.write(f"account default\nhost 127.0.0.1\nport {self.submission}\nfrom {ANN}\nauth on\nuser {ANN}\n"
                       f"password {PASSWORD}\ntls on\ntls_starttls on\ntls_certcheck off\n")
        text = f"From: {ANN}\nTo: {BOB}\nBcc: {BEN}\nSubject: by msmtp\n\nhi\n"
        for _ in range(2):  # the same text twice is two mails: it has no Message-ID
            subprocess.run(["msmtp", "-C", config, "--remove-bcc-headers=off", "--set-date-header=off",
                            "--set-msgid-header=off", BOB, BEN], input=text, text=True, check=True)
        mails = [email.message_from_bytes(mail.data) for mail in self.sink.wait_for(2)]
        self.assertNotEqual(mails[0]["Message-ID"], mails[1]["Message-ID"])
        for mail in [*mails, *self.inbox("ben", 2)]:
            self.assertRegex(mail["Message-ID"], r"^<[0-9a-f]{32}@core\.test>$")
            self.assertTrue(email.utils.parsedate_to_datetime(mail["Date"]))
            self.assertNotIn("Bcc", mail)
            self.assertEqual(mail.get_payload(), "hi\r\n")
        file = os.path.join(self.folder, "curl.eml")
        with open(file, "wb") as out:
            identity, message = letter(sender=ANN, to=BEN)
            out.write(message)
        subprocess.run(["curl", "--silent", "--show-error", "--insecure", f"smtps://127.0.0.1:{self.submissions}",
                        "--user", f"ann:{PASSWORD}", "--mail-from", ANN, "--mail-rcpt", BEN, "--upload-file", file],
                       check=True)
        got = self.inbox("ben", 3)[2]
        self.assertEqual((got["Message-ID"].encode(), got["Date"]), (identity, "Sat, 21 Nov 2026 12:00:00 +0000"))
        self.stop_and_check()

    def test_who_may_send_what(self):
        self.make()
        self.start()
        plain = ["--server", f"127.0.0.1:{self.submission}", "-tls", "--auth", "PLAIN"]
        self.assertIn("550 5.7.1", self.swaks(*plain, sender=BEN, good=False))
        self.assertIn("550 5.7.1", self.swaks(*plain, sender="ann@elsewhere.test", good=False))
        self.assertIn("550 5.1.1", self.swaks(*plain, to=f"nobody@{DOMAIN}", good=False))
        self.assertIn("535 5.7.8", self.swaks(*plain, "--auth-password", "wrong", good=False))
        self.assertIn("535 5.7.8", self.swaks(*plain, "--auth-user", "nobody", good=False))
        self.swaks(*plain, sender="<>")  # a receipt
        with SmtpClient(self.submission) as client:
            client.ehlo()
            client.command(f"MAIL FROM:<{ANN}>", 530)
        with SmtpClient(self.core.smtp_port) as client:  # no login where other servers come
            client.ehlo()
            self.assertNotIn("AUTH", " ".join(client.extensions))
            client.command("AUTH PLAIN AGFubgBpbnNpZGUgc2VjcmV0", 502)
        self.sink.wait_for(1)
        self.assertEqual((len(self.sink.messages), self.sink.messages[0].sender), (1, ""))
        self.stop_and_check()

    def test_failed_logins_are_slowed_and_then_refused_for_every_protocol(self):
        self.make(("limits.failed-logins", "4"))
        self.start()
        began = time.monotonic()
        for _ in range(4):
            with SmtpClient(self.submission) as client, self.assertRaises(SmtpReply) as refused:
                client.ehlo()
                client.auth_plain("ann", "wrong")
            self.assertEqual(refused.exception.code, 535)
        self.assertGreater(time.monotonic() - began, 4)
        with SmtpClient(self.submission) as client, self.assertRaises(SmtpReply) as refused:
            client.ehlo()
            client.auth_plain("ann", PASSWORD)
        self.assertEqual(refused.exception.code, 421)
        self.assertFalse(self.core.can_log_in("ann"))
        self.assertEqual(self.core.log().count("too many failed logins from 127.0.0.1"), 1)
        # Who comes from elsewhere gets in.
        with smtplib.SMTP("127.0.0.1", self.submission, timeout=60, source_address=("127.0.0.2", 0)) as client:
            self.assertEqual(client.login("ann", PASSWORD)[0], 235)
        self.stop_and_check()


    def test_no_more_mails_and_recipients_than_an_hour_allows(self):
        self.make(("submission.mails-per-hour", "3"), ("submission.recipients-per-hour", "4"),
                  ("smtp.mails-per-hour", "2"))
        self.start()
        with SmtpClient(self.submission) as client:
            client.ehlo()
            client.auth_plain("ann", PASSWORD)
            client.send(ANN, [BEN, BOB], letter()[1])
            client.command(f"MAIL FROM:<{ANN}>")
            client.command(f"RCPT TO:<{BEN}>")
            client.command(f"RCPT TO:<{BOB}>")
            client.command("RCPT TO:<eve@elsewhere.test>", 450)
            client.command("RSET")
            client.command(f"MAIL FROM:<{ANN}>")
            client.command("RSET")
            client.command(f"MAIL FROM:<{ANN}>", 450)
        smtp_send(self.submission, BEN, ANN, letter()[1], auth=("ben", PASSWORD))  # another user's are counted apart
        for _ in range(2):
            smtp_send(self.core.smtp_port, BOB, ANN, letter()[1])
        with self.assertRaises(SmtpReply) as refused:
            smtp_send(self.core.smtp_port, BOB, ANN, letter()[1])
        self.assertEqual(refused.exception.code, 450)
        wait_for_messages(self.core, "ann", 3)
        self.stop_and_check()

    def test_an_octet_now_and_then_does_not_hold_a_connection(self):
        self.make(("smtp.message-time", "3s"))
        self.start()
        with SmtpClient(self.core.smtp_port) as client:
            client.ehlo()
            client.command("MAIL FROM:<>")
            client.command(f"RCPT TO:<{ANN}>")
            client.command("DATA", 354)
            began = time.monotonic()
            client.sock.settimeout(0.2)
            while time.monotonic() - began < 20:
                client.sock.sendall(b"x")
                try:
                    if client.sock.recv(100).startswith(b"421"):
                        break
                except TimeoutError:
                    pass
            self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(self.core.count("ann"), 0)
        self.stop_and_check()


class Lmtp(CoreTest):
    def test_postfix_hands_over_by_lmtp(self):
        self.make()
        postfix = Postfix(os.path.join(self.folder, "postfix"), transport_maps=f"inline:{{ {{ {DOMAIN} = "
                          f"lmtp:inet:127.0.0.1:{self.lmtp} }}, {{ away.test = smtp:[127.0.0.1]:{self.sink.port} }} }}")
        self.start()
        with postfix:
            identity, message = letter(body="one\r\n.\r\n..two\r\n")
            smtp_send(postfix.port, "bob@away.test", [ANN, f"nobody@{DOMAIN}", BEN], message)
            for user in ("ann", "ben"):
                self.assertEqual([found for found, _ in wait_for_messages(self.core, user, 1).values()], [identity])
            self.assertIn("with LMTP ", self.inbox("ann")[0].get_all("Received")[0])
            bounce = self.sink.wait_for(1)[0]
            self.assertIn(b"550 5.1.1", bounce.data)
            postfix.wait_for_empty_queue()
        self.stop_and_check()

    def test_each_recipient_is_answered_and_nothing_is_relayed(self):
        self.make(("smtp.relay-from", "127.0.0.1"), ("smtp.max-message-size", "100k"))
        self.start()
        with SmtpClient(self.lmtp) as client:
            client.command("EHLO x", 500)
            client.command("LHLO gateway.test")
            for body, code in (("x\r\n", 250), (("x" * 70 + "\r\n") * 3000, 552)):
                client.command("MAIL FROM:<x@away.test>")
                client.command(f"RCPT TO:<{ANN}>")
                client.command(f"RCPT TO:<{BOB}>", 550)
                client.command(f"RCPT TO:<{BEN}>")
                client.command("DATA", 354)
                client.sock.sendall(letter(body=body)[1] + b".\r\n")
                for _ in (ANN, BEN):
                    client.expect("end of data", code)
            client.quit()
        for user in ("ann", "ben"):
            self.inbox(user)
        self.assertEqual(self.sink.messages, [])
        self.stop_and_check()


if __name__ == "__main__":
    import unittest
    unittest.main()
