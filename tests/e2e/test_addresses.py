"""Aliases, plus-addresses, postmaster and catch-all; and the queue under the operator's hand."""

import json

from fwmail import DOMAIN, letter, wait_for_messages
from test_submission import ANN, BEN, BOB, CoreTest
from wire import SmtpReply, smtp_send, wait_until


class Addresses(CoreTest):
    def alias(self, *words):
        return self.core.command(["alias", *words, "--config", self.core.config])

    def send(self, to, sender=BOB, message=None):
        identity, plain = letter(to=to)
        smtp_send(self.core.smtp_port, sender, to, message or plain)
        return identity

    def refused(self, to, message=None):
        with self.assertRaises(SmtpReply) as refused:
            self.send(to, message=message)
        return f"{refused.exception.code} {refused.exception.text}"

    def test_aliases_of_a_running_core(self):
        self.make()
        self.start()
        self.assertIn("550 5.1.1", self.refused(f"info@{DOMAIN}"))
        self.alias("add", f"info@{DOMAIN}", "ann", BEN, "friend@elsewhere.test")
        self.assertEqual(self.alias("list"), f"info@{DOMAIN}: {ANN} {BEN} friend@elsewhere.test\n")
        identity = self.send(f"INFO@{DOMAIN}")
        for user in ("ann", "ben"):
            self.assertEqual([found for found, _ in wait_for_messages(self.core, user, 1).values()], [identity])
        mail = self.sink.wait_for(1)[0]
        self.assertEqual((mail.sender, mail.recipients), (BOB, ["friend@elsewhere.test"]))
        self.assertIn(f"Delivered-To: INFO@{DOMAIN}\r\n".encode(), mail.data)
        self.assertIn("554 5.4.6", self.refused(f"info@{DOMAIN}", mail.data))  # the friend sends all back
        self.alias("remove", f"info@{DOMAIN}", BEN)
        self.alias("remove", f"info@{DOMAIN}", "friend@elsewhere.test")
        self.send(f"info@{DOMAIN}")
        wait_for_messages(self.core, "ann", 2)
        self.assertEqual((self.core.count("ben"), len(self.sink.messages)), (1, 1))
        self.alias("remove", f"info@{DOMAIN}")
        self.assertIn("550 5.1.1", self.refused(f"info@{DOMAIN}"))
        self.stop_and_check()

    def test_aliases_are_set_while_core_is_down_and_survive_a_kill(self):
        self.make()
        self.alias("add", f"@{DOMAIN}", "ben")
        self.start()
        self.alias("add", f"boss@{DOMAIN}", "ann")
        self.core.kill9()
        self.start()
        self.send(f"boss@{DOMAIN}")
        self.send(f"whoever@{DOMAIN}")
        self.send(f"ann+lists@{DOMAIN}")
        self.send("Postmaster")
        self.send(f"postmaster@{DOMAIN}")
        wait_for_messages(self.core, "ann", 4)  # ann is the first user
        wait_for_messages(self.core, "ben", 1)
        smtp_send(self.submission, f"boss@{DOMAIN}", BOB, letter()[1], auth=("ann", "inside secret"))
        with self.assertRaises(SmtpReply):
            smtp_send(self.submission, f"whoever@{DOMAIN}", BOB, letter()[1], auth=("ben", "inside secret"))
        self.stop_and_check()

    def test_the_queue_by_hand(self):
        self.make()
        self.sink.answer = lambda mail: "451 4.3.0 not now"
        self.start()
        for name in ("one", "two"):
            smtp_send(self.submission, ANN, f"{name}@elsewhere.test", letter(subject=name)[1],
                      auth=("ann", "inside secret"))

        def queue(*words):
            return self.core.command(["queue", *words, "--config", self.core.config])

        def rows():
            return {row["recipients"][0]["address"].split("@")[0]: row
                    for row in json.loads(queue("list", "--json"))["mails"]}

        wait_until(lambda: all(row["recipients"][0]["attempts"] for row in rows().values()), 30, queue("list"))
        self.assertIn("<one@elsewhere.test>  waiting: 451 4.3.0 not now", queue("list"))
        one, two = rows()["one"]["id"], rows()["two"]["id"]
        self.assertIn("\nSubject: one", queue("show", one).replace("\r", ""))
        queue("hold", one)
        self.sink.answer = lambda mail: None
        queue("retry")
        self.assertEqual(self.sink.wait_for(1)[0].recipients, ["two@elsewhere.test"])
        wait_until(lambda: set(rows()) == {"one"}, 10, queue("list"))
        self.assertTrue(rows()["one"]["held"])
        self.core.restart()
        queue("release", one)
        self.assertEqual(self.sink.wait_for(2)[1].recipients, ["one@elsewhere.test"])
        self.sink.answer = lambda mail: "451 4.3.0 not now"
        smtp_send(self.submission, ANN, "three@elsewhere.test", letter()[1], auth=("ann", "inside secret"))
        wait_until(lambda: rows()["three"]["recipients"][0]["attempts"], 30, queue("list"))
        self.core.stop()
        self.assertIn("three@elsewhere.test", queue("list"))
        queue("remove", rows()["three"]["id"])
        self.assertEqual(queue("list"), "")
        self.assertEqual(self.core.check().count("no mail in the queue"), 0)
        with self.assertRaisesRegex(AssertionError, "there is no mail"):
            queue("hold", two)


if __name__ == "__main__":
    import unittest
    unittest.main()
