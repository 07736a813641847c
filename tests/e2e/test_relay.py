"""Mail to the world: clients inside, core, a real Postfix as smart host, a sink behind it."""

import email
import email.policy
import os
import smtplib
import subprocess
import threading

from fwmail import DOMAIN, Node, NodeTest, letter, wait_for_messages
from peers import Dovecot, Postfix
from wire import SmtpReply, SmtpSink, free_port, smtp_send, wait_until

ANN = f"ann@{DOMAIN}"
BOB = "bob@elsewhere.test"
REFUSAL = "550 5.1.1 nobody of this name works here"


class Relay(NodeTest):
    def setUp(self):
        self.folder = self.new_folder()
        self.sink = SmtpSink()
        self.addCleanup(self.sink.stop)
        self.postfix_port = free_port()

    def make(self, settings=(), host="127.0.0.1", postfix=None):
        """Core and its smart host, which refuses refused@ and is slow for slow@."""
        routes = {domain: self.sink.port for domain in ("elsewhere.test", "away.test", DOMAIN)}
        directory = os.path.join(self.folder, "postfix")
        self.postfix = Postfix(directory, routes=routes, port=self.postfix_port, **{
            "smtpd_restriction_classes": "slow", "slow": "sleep 4",
            "smtpd_recipient_restrictions": f"check_recipient_access texthash:{directory}/access, permit_mynetworks, "
                                            "permit_sasl_authenticated, reject",
            **(postfix or {})})
        self.postfix.write("access", f"refused@elsewhere.test {REFUSAL}\nslow@elsewhere.test slow\n")
        self.core = Node("core", os.path.join(self.folder, "core"), settings=[
            ("smtp.relay-from", "127.0.0.1"), ("smarthost.address", f"{host}:{self.postfix_port}"), *settings])
        self.core.add_user("ann")
        self.addCleanup(self.end)

    def start(self):
        self.postfix.start()
        self.core.start()

    def end(self):
        for part in (self.core, self.postfix):
            if part.process:
                part.kill9()

    def send(self, recipients=BOB, sender=ANN, message=None):
        identity, plain = letter(sender=sender, to=BOB)
        smtp_send(self.core.smtp_port, sender, recipients, message or plain)
        return identity

    def queued(self):
        return self.core.status()["queue"]["mails"]

    def wait_for_empty_queue(self, timeout=30):
        wait_until(lambda: self.queued() == 0, timeout, lambda: f"an empty queue\n{self.core.log()[-3000:]}", 0.2)

    def stop_and_check(self):
        self.core.stop()
        self.core.check()

    def identities(self):
        return [email.message_from_bytes(mail.data)["Message-ID"].encode() for mail in self.sink.messages]

    # The way to the smart host.

    def test_in_clear(self):
        self.make([("smarthost.tls", "none")])
        self.start()
        identity, message = letter(body="one\r\n.\r\n..two\r\n tail  \r\n", sender=ANN, to=BOB)
        smtp_send(self.core.smtp_port, ANN, [BOB, "eve@away.test"], message)
        mail = self.sink.wait_for(1)[0]  # Postfix keeps the recipients of one next hop together
        self.assertEqual((mail.sender, set(mail.recipients)), (ANN, {BOB, "eve@away.test"}))
        self.assertTrue(mail.data.endswith(message))
        self.assertNotIn(b"Return-Path", mail.data)
        self.assertEqual(self.identities(), [identity])
        self.assertNotIn("STARTTLS", self.postfix.log())
        self.wait_for_empty_queue()
        self.assertEqual(self.core.count("ann"), 0)
        self.stop_and_check()

    def test_local_and_foreign_recipients_of_one_mail(self):
        self.make()
        self.start()
        identity = self.send([ANN, BOB])
        self.sink.wait_for(1)
        self.assertEqual(self.sink.messages[0].recipients, [BOB])
        self.assertEqual([found for found, _ in wait_for_messages(self.core, "ann", 1).values()], [identity])
        self.wait_for_empty_queue()
        self.stop_and_check()

    def with_tls(self, name="localhost", **more):
        certificate, key = (os.path.join(self.folder, f"smarthost.{kind}") for kind in ("crt", "key"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "30", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
                        "-out", certificate, "-keyout", key], check=True, capture_output=True)
        directory = os.path.join(self.folder, "postfix")
        os.makedirs(directory, exist_ok=True)
        for path in (certificate, key):
            os.rename(path, os.path.join(directory, os.path.basename(path)))
        self.ca_file = os.path.join(directory, "smarthost.crt")
        return {"smtpd_tls_security_level": "may", "smtpd_tls_cert_file": self.ca_file, "smtpd_tls_loglevel": "1",
                "smtpd_tls_key_file": os.path.join(directory, "smarthost.key"), "smtpd_tls_received_header": "yes",
                **more}

    def test_under_tls(self):
        postfix = self.with_tls(smtpd_tls_security_level="encrypt")
        self.make([("smarthost.tls", "required"), ("smarthost.ca-file", self.ca_file)], "localhost", postfix)
        self.start()
        self.send()
        mail = self.sink.wait_for(1)[0]
        self.assertIn(b"(using TLSv1.", mail.data)
        self.wait_for_empty_queue()
        self.stop_and_check()

    def test_another_name_in_the_certificate_stops_the_mail(self):
        postfix = self.with_tls("other.test")
        self.make([("smarthost.tls", "required"), ("smarthost.ca-file", self.ca_file)], "localhost", postfix)
        self.start()
        self.send()
        wait_until(lambda: "deferred" in self.core.log(), 30, lambda: self.core.log()[-2000:])
        self.assertRegex(self.core.log(), "deferred.*is not accepted: hostname mismatch")
        self.assertEqual((self.queued(), self.sink.messages), (1, []))
        self.stop_and_check()

    def test_log_in(self):
        auth_port = free_port()
        dovecot = Dovecot(os.path.join(self.folder, "dovecot"), users={"core": "pass word"}, settings=(
            f"service auth {{\n  inet_listener {{\n    address = 127.0.0.1\n    port = {auth_port}\n  }}\n}}\n"))
        postfix = self.with_tls(smtpd_sasl_auth_enable="yes", smtpd_sasl_type="dovecot", smtpd_tls_auth_only="yes",
                                smtpd_sasl_path=f"inet:127.0.0.1:{auth_port}", mynetworks="192.0.2.1",
                                smtpd_relay_restrictions="permit_sasl_authenticated, reject")
        password = os.path.join(self.folder, "password")
        with open(password, "w") as file:
            file.write("wrong\n")
        self.make([("smarthost.tls", "required"), ("smarthost.ca-file", self.ca_file), ("smarthost.user", "core"),
                   ("smarthost.password-file", password)], "localhost", postfix)
        with dovecot:
            self.start()
            first = self.send()
            wait_until(lambda: "deferred" in self.core.log(), 30, lambda: self.core.log()[-2000:])
            self.assertRegex(self.core.log(), "deferred.*535 5.7.8")
            self.assertEqual((self.queued(), self.sink.messages), (1, []))
            with open(password, "w") as file:
                file.write("pass word\n")
            second = self.send()  # the file is read for each connection; the first mail waits its minute
            self.sink.wait_for(1)
            self.assertEqual(self.identities(), [second])
            self.assertRegex(self.postfix.log(), "sasl_method=PLAIN, sasl_username=core")
            self.sink.wait_for(2, timeout=100)
            self.assertEqual(set(self.identities()), {first, second})
            self.assertNotIn("pass word", self.core.log())
            self.stop_and_check()

    # Trouble.

    def test_mail_waits_for_a_smart_host_that_is_down(self):
        self.make()
        self.core.start()
        identity = self.send()
        wait_until(lambda: "deferred" in self.core.log(), 30, lambda: self.core.log()[-2000:])
        self.assertEqual(self.queued(), 1)
        self.core.restart()
        self.assertEqual(self.queued(), 1)
        self.postfix.start()
        self.sink.wait_for(1, timeout=100)
        self.wait_for_empty_queue()
        self.postfix.wait_for_empty_queue()
        self.assertEqual(self.identities(), [identity])
        self.stop_and_check()

    def test_killed_with_fifty_in_the_queue(self):
        self.make()
        self.start()
        sent = []

        def send(number):
            sent.append(self.send("slow@elsewhere.test" if number == 20 else f"r{number}@elsewhere.test"))

        for number in range(21):
            send(number)
        threads = [threading.Thread(target=send, args=(number,)) for number in range(21, 50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # It hangs at the slow recipient.
        self.sink.wait_for(20)
        self.core.kill9()
        self.assertEqual(len(sent), 50)
        self.assertLess(len(self.sink.messages), 50)
        self.core.start()
        wait_until(lambda: set(self.identities()) == set(sent), 60,
                   lambda: f"{len(set(sent) - set(self.identities()))} of 50 are missing, "
                           f"{self.queued()} in core's queue\n{self.core.log()[-1500:]}", 0.2)
        self.wait_for_empty_queue()
        self.postfix.wait_for_empty_queue()
        # Only those that were under way, one a connection, may have lost their answer.
        self.assertLessEqual(len(self.sink.messages), 54)
        self.stop_and_check()

    # Notifications.

    def assert_names_the_refusal(self, octets, recipient="refused@elsewhere.test"):
        bounce = email.message_from_bytes(octets, policy=email.policy.default)
        self.assertEqual(bounce.get_content_type(), "multipart/report")
        self.assertEqual(bounce.get_param("report-type"), "delivery-status")
        self.assertRegex(bounce["Auto-Submitted"], "^auto-")
        text, status, original = bounce.iter_parts()
        self.assertIn(recipient, text.get_content())
        self.assertIn("nobody of this name works here", text.get_content())
        self.assertEqual(status.get_content_type(), "message/delivery-status")
        _, row = status.get_payload()
        self.assertEqual(row["Final-Recipient"].replace(" ", ""), f"rfc822;{recipient}")
        self.assertEqual((row["Action"], row["Status"]), ("failed", "5.1.1"))
        self.assertIn("nobody of this name works here", row["Diagnostic-Code"])
        self.assertIn(original.get_content_type(), ("text/rfc822-headers", "message/rfc822"))
        return bounce, original.as_string()

    def test_refused_recipient_comes_back_to_a_local_sender(self):
        self.make()
        self.start()
        identity = self.send(["refused@elsewhere.test", BOB])
        self.sink.wait_for(1)  # the other one gets it
        wait_for_messages(self.core, "ann", 1)
        bounce, original = self.assert_names_the_refusal(self.core.message("ann", 1))
        self.assertEqual(bounce["To"], ANN)
        self.assertEqual(bounce["Return-Path"], "<>")
        self.assertIn(identity.decode(), original)
        self.assertNotIn(BOB, bounce.as_string().split("\n\n", 1)[1].split(original)[0])
        self.wait_for_empty_queue()
        self.assertEqual(len(self.sink.messages), 1)
        self.assertEqual(self.sink.messages[0].recipients, [BOB])
        self.stop_and_check()

    def test_refused_recipient_comes_back_to_a_foreign_sender(self):
        self.make()
        self.start()
        self.send("refused@elsewhere.test", sender="someone@away.test")
        mail = self.sink.wait_for(1)[0]
        self.assertEqual((mail.sender, mail.recipients), ("", ["someone@away.test"]))
        self.assert_names_the_refusal(mail.data)
        self.wait_for_empty_queue()
        self.assertEqual(self.core.count("ann"), 0)
        self.stop_and_check()

    def test_a_mail_without_sender_never_comes_back(self):
        self.make()
        self.start()
        self.send("refused@elsewhere.test", sender="")
        # A bounce that itself is refused ends too.
        self.send("refused@elsewhere.test", sender="refused@elsewhere.test")
        wait_until(lambda: self.postfix.log().count("reject: RCPT") >= 3, 30, lambda: self.postfix.log()[-3000:])
        self.wait_for_empty_queue()
        self.postfix.wait_for_empty_queue()
        self.assertEqual(self.postfix.log().count("reject: RCPT"), 3)
        self.assertEqual((self.sink.messages, self.core.count("ann")), ([], 0))
        self.stop_and_check()

    # Refused at the door.

    def test_limits(self):
        self.make([("smtp.max-message-size", "100k")])
        self.start()
        with smtplib.SMTP("127.0.0.1", self.core.smtp_port, timeout=60) as client:
            client.ehlo()
            self.assertEqual(client.esmtp_features["size"], str(100 * 1024))
            self.assertEqual(client.mail(ANN, [f"SIZE={100 * 1024 + 1}"])[0], 552)
            self.assertEqual(client.mail(ANN, [f"SIZE={100 * 1024}"])[0], 250)
            client.rset()
            client.mail(ANN)  # who does not tell is stopped at the end
            client.rcpt(BOB)
            self.assertEqual(client.data(letter(body="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 2000)[1])[0], 552)
            self.assertEqual(client.noop()[0], 250)  # and the dialogue goes on
        received = "Received: from a.test by b.test; Sat, 21 Nov 2026 12:00:00 +0000\r\n"
        for count, good in ((49, True), (51, False)):
            with self.subTest(received=count):
                message = received.encode() * count + letter(sender=ANN, to=BOB)[1]
                if good:
                    self.send(message=message)
                    continue
                with self.assertRaises(SmtpReply) as refused:
                    self.send(message=message)
                self.assertEqual(refused.exception.code, 554)
                self.assertIn("5.4.6", refused.exception.text)
        self.wait_for_empty_queue()
        self.stop_and_check()

    def test_strangers_may_not_relay(self):
        self.make()
        self.start()
        with smtplib.SMTP("127.0.0.1", self.core.smtp_port, timeout=60, source_address=("127.0.0.2", 0)) as client:
            client.ehlo()
            client.mail(ANN)
            code, text = client.rcpt(BOB)
            self.assertEqual((code, text[:5]), (550, b"5.7.1"))
            self.assertEqual(client.rcpt(ANN)[0], 250)
            self.assertEqual(client.data(letter()[1])[0], 250)
        wait_for_messages(self.core, "ann", 1)
        with self.assertRaises(SmtpReply) as refused:  # who may relay is told of wrong names all the same
            self.send(f"nobody@{DOMAIN}")
        self.assertEqual(refused.exception.code, 550)
        self.assertEqual((self.queued(), self.sink.messages), (0, []))
        self.stop_and_check()


if __name__ == "__main__":
    import unittest
    unittest.main()
