"""What senders ask to be told (RFC 3461), and addresses beyond ASCII (RFC 6531)."""

import email
import email.policy
import json
import os

from fwmail import DOMAIN, HOOKS, letter, require, wait_for_messages
from peers import Postfix
from test_submission import ANN, BEN, CoreTest
from wire import SmtpClient, SmtpReply, free_port, wait_until

PASSWORD = "inside secret"


class Dsn(CoreTest):
    def submit(self, recipients, message=None, mail="", sender=ANN):
        """recipients: address -> more of the RCPT command."""
        with SmtpClient(self.submission) as client:
            client.ehlo()
            client.auth_plain("ann", PASSWORD)
            client.command(f"MAIL FROM:<{sender}>{mail}")
            for address, more in recipients.items():
                client.command(f"RCPT TO:<{address}>{more}")
            client.command("DATA", 354)
            client.sock.sendall((message or letter(sender=ANN)[1]) + b".\r\n")
            client.expect("end of data", 250)
            client.quit()

    def notice(self, number=1):
        wait_for_messages(self.core, "ann", number)
        mail = email.message_from_bytes(self.core.message("ann", number), policy=email.policy.default)
        self.assertEqual(mail.get_content_type(), "multipart/report")
        text, report, original = mail.iter_parts()
        head, *rows = report.get_payload()
        return head, {row["Final-Recipient"].split("; ")[1]: row for row in rows}, original

    def test_passed_on_to_a_postfix_which_then_tells(self):
        self.make(("smarthost.tls", "none"))
        postfix = Postfix(os.path.join(self.folder, "postfix"), port=free_port(), routes={
            "elsewhere.test": self.sink.port, DOMAIN: self.core.smtp_port})
        self.core.stop()
        config = open(self.core.config).read().replace(f"127.0.0.1:{self.sink.port}", f"127.0.0.1:{postfix.port}")
        open(self.core.config, "w").write(config)
        self.start()
        with postfix:
            self.submit({"bob@elsewhere.test": " NOTIFY=SUCCESS ORCPT=rfc822;bo+2Bb@elsewhere.test"},
                        mail=" RET=HDRS ENVID=number+207")
            self.sink.wait_for(1)
            head, rows, _ = self.notice()  # Postfix, as the sink knows no DSN
            self.assertEqual(head["Original-Envelope-Id"], "number 7")
            row = rows["bob@elsewhere.test"]
            self.assertEqual(row["Original-Recipient"].replace(" ", ""), "rfc822;bo+b@elsewhere.test")
            self.assertEqual(row["Action"], "relayed")
            self.assertIn("mx.test", head["Reporting-MTA"])
            self.stop_and_check()

    def test_relayed_delivered_and_failed_are_told_as_asked(self):
        self.make()
        self.sink.answer = lambda mail: "550 5.1.1 nobody" if "no" in mail.recipients[0][:2] else None
        self.start()
        self.submit({"bob@elsewhere.test": " NOTIFY=SUCCESS,FAILURE", BEN: " NOTIFY=SUCCESS"},
                    mail=" ENVID=one")
        wait_for_messages(self.core, "ann", 2)
        seen = {}
        for number in (1, 2):
            head, rows, original = self.notice(number)
            self.assertEqual(head["Original-Envelope-Id"], "one")
            self.assertIn("Message-ID", original.as_string())
            seen.update({address: (row["Action"], row["Status"][0]) for address, row in rows.items()})
        self.assertEqual(seen, {"bob@elsewhere.test": ("relayed", "2"), BEN: ("delivered", "2")})
        self.submit({"nobody@elsewhere.test": " NOTIFY=NEVER"})
        self.submit({"nobody@elsewhere.test": " NOTIFY=SUCCESS"})
        self.submit({"nobody@elsewhere.test": ""}, mail=" RET=FULL", message=letter(body="all of it\r\n")[1])
        _, rows, original = self.notice(3)
        self.assertEqual(rows["nobody@elsewhere.test"]["Action"], "failed")
        self.assertEqual(original.get_content_type(), "message/rfc822")
        self.assertIn("all of it", original.as_string())
        self.stop_and_check()
        self.core.start()
        self.assertEqual(self.core.count("ann"), 3)
        self.core.stop()

    def test_delay_is_told_once_after_four_hours(self):
        self.make()
        offset = os.path.join(self.folder, "offset")
        self.core.env["FWMAIL_CLOCK_OFFSET_FILE"] = offset
        self.core.binary = require(HOOKS)  # whose clock can be set
        self.sink.answer = lambda mail: "451 4.3.0 not now"
        self.start()
        self.submit({"bob@elsewhere.test": "", "eve@elsewhere.test": " NOTIFY=FAILURE"})

        def attempts():
            return min(row["recipients"][0]["attempts"] for row in self.rows())

        wait_until(lambda: attempts() == 1, 30, "the first attempt")
        self.assertEqual(self.core.count("ann"), 0)
        for hours, tries in ((5, 2), (6, 3)):
            with open(offset, "w") as file:
                file.write(str(hours * 3600))
            self.core.command(["queue", "retry", "--config", self.core.config])
            # The clock alone may have made one due as well.
            wait_until(lambda: attempts() >= tries, 30, f"attempt {tries}")
        _, rows, _ = self.notice()
        self.assertEqual(list(rows), ["bob@elsewhere.test"])
        self.assertEqual((rows["bob@elsewhere.test"]["Action"], rows["bob@elsewhere.test"]["Status"]),
                         ("delayed", "4.3.0"))
        self.assertEqual(self.core.count("ann"), 1)
        self.sink.answer = lambda mail: None
        self.core.command(["queue", "retry", "--config", self.core.config])
        self.stop_and_check()

    def rows(self):
        return json.loads(self.core.command(["queue", "list", "--json", "--config", self.core.config]))["mails"]


class Utf8(CoreTest):
    def test_goes_on_only_where_it_is_known(self):
        self.make()
        self.start()
        message = letter(subject="grüße", sender=ANN)[1]
        address = "jürgen@bücher.test"
        with SmtpClient(self.submission) as client, self.assertRaises(SmtpReply) as refused:
            client.ehlo()
            self.assertIn("SMTPUTF8", client.extensions)
            client.auth_plain("ann", PASSWORD)
            client.send(ANN, [address], message)
        self.assertEqual((refused.exception.code, refused.exception.text[:5]), (553, "5.6.7"))

        def send():
            with SmtpClient(self.submission) as client:
                client.ehlo()
                client.auth_plain("ann", PASSWORD)
                client.send(ANN, [address], letter(subject="grüße", sender=ANN)[1], " SMTPUTF8")
                client.quit()

        send()
        wait_for_messages(self.core, "ann", 1)
        self.assertIn(b"Status: 5.6.7", self.core.message("ann", 1))
        self.assertEqual(self.sink.messages, [])
        self.sink.extensions = ("SMTPUTF8",)
        send()
        mail = self.sink.wait_for(1)[0]
        self.assertEqual(mail.recipients, [address])
        self.assertIn("Subject: grüße".encode(), mail.data)
        self.assertIn(f"MAIL FROM:<{ANN}>", self.sink.commands[-2])
        self.assertIn("SMTPUTF8", self.sink.commands[-2])
        self.stop_and_check()


if __name__ == "__main__":
    import unittest
    unittest.main()
