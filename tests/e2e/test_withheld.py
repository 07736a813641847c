"""A message that cannot be sealed stays inside; `status` says why, and all others go their way."""

import unittest

from fwmail import DOMAIN, NodeTest, Pair, letter, ok, wait_for_messages
from wire import smtp_send, wait_until

ANN = f"ann@{DOMAIN}"


def unsealable():
    """Five fields of which each is at the limit: together more than the header of a sealed object holds."""
    identity, mail = letter("too many readers")
    name = "\u00e9" * 36
    people = ",\r\n ".join(f'"{name}" <reader{n:03}@elsewhere.test>' for n in range(480))
    threads = "\r\n ".join(f"<{n:03}.{'x' * 560}@elsewhere.test>" for n in range(100))
    fields = {"From": people, "To": people, "Cc": people, "References": threads, "In-Reply-To": threads}
    keep = b"\r\n".join(line for line in mail.split(b"\r\n") if not line.startswith((b"From:", b"To:")))
    return identity, "".join(f"{field}: {value}\r\n" for field, value in fields.items()).encode() + keep


class Withheld(NodeTest):
    def send(self, pair, mail, count):
        smtp_send(pair.core.smtp_port, "bob@elsewhere.test", ANN, mail)
        wait_for_messages(pair.core, "ann", count)

    def test_withheld(self):
        pair = Pair(self.new_folder())
        self.addCleanup(pair.kill9)
        with pair:
            letters = [letter("before"), unsealable(), letter("after"), unsealable()]
            for count, (_, mail) in enumerate(letters, 1):
                self.send(pair, mail, count)
            outside = wait_for_messages(pair.remote, "ann", 2)
            self.assertEqual({uid: identity for uid, (identity, _) in outside.items()},
                             {1: letters[0][0], 3: letters[2][0]})

            wait_until(lambda: pair.core.status()["users"][0]["withheld"] == 2, 30, "both are looked at")
            user = pair.core.status()["users"][0]
            self.assertIn("too large to seal", user["withheld_reason"])
            self.assertIn("withheld from the remote: the header", pair.core.command(
                ["status", "--config", pair.core.config]))

            # What happens to one inside is nothing to tell outside, and leaves nothing waiting.
            with pair.core.imap("ann", "INBOX", readonly=False) as client:
                ok(client.uid("STORE", "1:*", "+FLAGS", r"(\Flagged)"))
                ok(client.uid("STORE", "4", "+FLAGS", r"(\Deleted)"))
                ok(client.expunge())
            wait_until(lambda: all(r"\Flagged" in str(flags) for _, flags in pair.remote.state("ann").values()), 30,
                       "flags reach the remote")
            wait_until(lambda: pair.core.status()["links"][0]["unacknowledged"] == 0, 60,
                       "the remote has acknowledged everything")
            # An expunged one is no gap that anything waits for; nor does a date before OpenPGP's time stop anything.
            pair.core.append("ann", letter("old")[1], date='"01-Jan-1960 00:00:00 +0000"')
            outside = wait_for_messages(pair.remote, "ann", 3)
            self.assertEqual(sorted(outside), [1, 3, 5])
        pair.check()


if __name__ == "__main__":
    unittest.main()
