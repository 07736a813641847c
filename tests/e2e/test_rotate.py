"""A user's key is replaced: new mail is sealed to the new one, and all earlier mail, where that is wanted."""

import os
import re
import unittest

from fwmail import DOMAIN, NodeTest, Pair, letter
from openpgp import Gpg, encrypted_part
from raw_imap import RawImap
from test_agreement import wait_for_agreement
from wire import smtp_send, wait_until

ANN = f"ann@{DOMAIN}"
MAILBOXES = ("INBOX", "Archive", "Drafts", "Sent")


class Rotate(NodeTest):
    def setUp(self):
        self.folder = self.new_folder()
        self.pair = Pair(os.path.join(self.folder, "pair"), max_mail_size="100K", settings=[("replicate.resend-after", "3s")])
        self.core, self.remote = self.pair.core, self.pair.remote
        self.addCleanup(self.pair.kill9)
        self.pair.remote.set_option("imap", "accept-plain = yes")
        self.pair.start()

    def deliver(self, count, body="A line.\r\n"):
        for number in range(count):
            smtp_send(self.core.smtp_port, "bob@elsewhere.test", ANN, letter(f"number {number}", body)[1])

    def key(self, *more):
        path = os.path.join(self.folder, f"{len(os.listdir(self.folder))}.key")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.core.command(["key", "export", "ann", "--secret", *more, "--config", self.core.config]))
        return path

    def rotate(self, *more):
        return self.core.command(["key", "rotate", "ann", *more, "--config", self.core.config])

    def opened(self, key, sealed):
        """What `fwmail open` makes of it with that key; none where it is sealed to another one."""
        try:
            return self.core.command(["open", "--key-file", key], input=sealed, text=False)
        except Exception:
            return None

    def client(self, node):
        client = RawImap(node.imap_port, "ann", node.password("ann"))
        self.addCleanup(client.close)
        return client

    def last_words(self, client):
        """To the reader of a mailbox that is shown anew; nothing else may be said before."""
        try:
            client.start("UID FETCH 1:* (BODY.PEEK[])")
            while not (line := client.line()).startswith("* BYE "):
                self.assertNotIn("FETCH", line)
        except EOFError as error:
            self.fail(f"no BYE: {error}")
        return line

    def validities(self, node):
        with RawImap(node.imap_port, "ann", node.password("ann")) as client:
            return {name: int(client.must(f"STATUS {name} (UIDVALIDITY)").one(rf"STATUS {name} \(UIDVALIDITY (\d+)\)"))
                    for name in MAILBOXES}

    def email_ids(self, node):
        """In INBOX, by UID. The UID that each of them finds is its own, or that of a copy."""
        with RawImap(node.imap_port, "ann", node.password("ann")) as client:
            client.must("EXAMINE INBOX")
            rows = (re.search(r"UID (\d+) EMAILID \((\w+)\)", line) for line in client.must("FETCH 1:* (UID EMAILID)").lines)
            ids = {int(row.group(1)): row.group(2) for row in rows}
            uid = max(ids)
            self.assertEqual(client.must(f"UID SEARCH EMAILID {ids[uid]}").lines, [f"SEARCH {uid}"])
            return ids

    def uids_sealed_to(self, key, mailbox="INBOX"):
        """Of what the remote serves; and that it is what core has."""
        inside, uids = self.core.messages("ann", mailbox), set()
        for uid, sealed in self.remote.messages("ann", mailbox).items():
            plain = self.opened(key, sealed)
            if plain is not None:
                self.assertEqual(plain, inside[uid], (mailbox, uid))
                uids.add(uid)
        return uids

    def wait_until_resealed(self, before, mailboxes):
        def done():
            self.pair.postfix.take_up_skipped()
            now = self.validities(self.remote)
            return all((now[name] > before[name]) == (name in mailboxes) for name in MAILBOXES)
        wait_until(done, 90, lambda: f"the mailboxes are shown anew: {before} {self.validities(self.remote)}\n"
                   f"{self.core.log()[-2000:]}\n{self.remote.log()[-2000:]}", interval=0.3)
        wait_until(lambda: all(node.status()["users"][0]["to_reseal"] == 0 for node in (self.core, self.remote)), 30,
                   "nothing is left to be sealed anew", interval=0.2)

    def finish(self):
        wait_for_agreement(self.core, self.remote)
        # Core and remote also hold the same octets.
        self.core.command(["sync", "ann", "--compare", "--wait", "60s", "--config", self.core.config])
        self.assertEqual(self.core.status()["links"][0]["accounts_differing"], 0)
        self.pair.stop()
        self.pair.check()

    def test_new_mail_is_sealed_to_the_new_key(self):
        self.deliver(3)
        self.pair.wait_for_same_state(count=3)
        validities, served = self.validities(self.remote), self.remote.messages("ann")
        first = self.key()
        said = self.rotate()
        second = self.key()
        self.deliver(2)
        self.pair.wait_for_same_state(count=5)
        self.assertEqual(self.uids_sealed_to(first), {1, 2, 3})
        self.assertEqual(self.uids_sealed_to(second), {4, 5})
        self.assertEqual(self.validities(self.remote), validities)
        # What had not been sent when the key was replaced, or is copied later, is sealed as it was.
        client = self.client(self.core)
        client.must("SELECT INBOX")
        client.must("UID COPY 1,4 Archive")
        self.pair.wait_for_same_state(mailbox="Archive", count=2)
        self.assertEqual(self.uids_sealed_to(first, "Archive"), {1})
        self.assertEqual({uid: octets for uid, octets in self.remote.messages("ann").items() if uid <= 3}, served)
        # A plain mail filed outside is sealed to the new key there, and known at core.
        self.remote.append("ann", letter("filed outside")[1], "Drafts")
        self.pair.wait_for_same_state(mailbox="Drafts", count=1)
        self.assertEqual(self.uids_sealed_to(second, "Drafts"), {1})

        listed = self.core.command(["key", "list", "ann", "--config", self.core.config]).splitlines()
        self.assertEqual(len(listed), 2)
        self.assertIn(listed[0].split("  made")[0], said)
        self.assertNotIn("retired", listed[0])
        self.assertIn("retired", listed[1])
        with Gpg(self.new_folder(), self.key("--all")) as gpg:
            for uid, sealed in self.remote.messages("ann").items():
                self.assertIn(b"A line.", gpg.decrypt(encrypted_part(sealed)), uid)
        self.finish()

    def test_all_is_sealed_anew(self):
        self.deliver(70)
        self.deliver(1, "Longer than a mail may be.\r\n" * 15_000)
        inside = self.client(self.core)
        inside.must("SELECT INBOX")
        inside.must("UID COPY 1:5 Archive")
        inside.must("UID STORE 2:9 +FLAGS (\\Seen $Work)")
        inside.must("UID STORE 4 +FLAGS (\\Deleted)")
        inside.must("UID EXPUNGE 4")
        self.remote.append("ann", letter("filed outside")[1], "Drafts")
        before = self.pair.wait_for_same_state(count=70)
        self.pair.wait_for_same_state(mailbox="Archive", count=5)
        self.pair.wait_for_same_state(mailbox="Drafts", count=1)
        validities, plain = self.validities(self.remote), self.validities(self.core)
        served = self.remote.messages("ann")
        ids, plain_ids = self.email_ids(self.remote), self.email_ids(self.core)
        first = self.key()

        idle = self.client(self.remote)
        idle.must("SELECT INBOX")
        self.rotate("--reseal")
        second = self.key()
        # Mail and clients go on meanwhile.
        self.deliver(3)
        outside = self.client(self.remote)
        outside.must("SELECT INBOX")
        outside.must("UID STORE 10 +FLAGS (\\Flagged)")
        outside.must("UID MOVE 11 Archive")
        self.wait_until_resealed(validities, ("INBOX", "Archive", "Drafts"))
        for client in (idle, outside):
            # Whoever has the mailbox open is told that what he knows of it is void.
            self.assertIn("UIDVALIDITY", self.last_words(client))
        state = self.pair.wait_for_same_state(count=72)
        self.pair.wait_for_same_state(mailbox="Archive", count=6)
        for mailbox in MAILBOXES:
            uids = set(self.core.state("ann", mailbox))
            self.assertEqual(self.uids_sealed_to(second, mailbox), uids, mailbox)
            self.assertEqual(self.uids_sealed_to(first, mailbox), set(), mailbox)
        # UIDs, flags, and core's own view are as they were.
        expected = {uid: row for uid, row in before.items() if uid != 11}
        expected[10] = (before[10][0], before[10][1] | {b"\\Flagged"})
        self.assertEqual({uid: row for uid, row in state.items() if uid <= 71}, expected)
        self.assertEqual(self.validities(self.core), plain)
        now = self.remote.messages("ann")
        self.assertFalse([uid for uid, octets in served.items() if now.get(uid) == octets])
        # An EMAILID is of octets (RFC 8474 5.1): those of the sealed view are others.
        now = self.email_ids(self.remote)
        self.assertEqual([uid for uid, known in ids.items() if now.get(uid) == known], [])
        now = self.email_ids(self.core)
        self.assertEqual([uid for uid, known in plain_ids.items() if now.get(uid, known) != known], [])
        # The next time is no different.
        validities = self.validities(self.remote)
        self.rotate("--reseal")
        self.wait_until_resealed(validities, ("INBOX", "Archive", "Drafts"))
        self.assertEqual(self.uids_sealed_to(second), set())
        self.assertEqual(self.uids_sealed_to(self.key()), set(state))
        self.finish()

    def test_while_the_other_is_away(self):
        self.deliver(5)
        self.pair.wait_for_same_state(count=5)
        validities = self.validities(self.remote)
        self.remote.stop()
        self.rotate("--reseal")
        self.core.stop()
        self.core.start()
        self.rotate()  # before anybody has seen the first; its work is taken over
        self.deliver(2)
        self.assertEqual(self.core.status()["users"][0]["to_reseal"], 5)  # until the remote has heard of the key
        self.remote.start()
        self.wait_until_resealed(validities, ("INBOX",))
        self.pair.wait_for_same_state(count=7)
        self.assertEqual(self.uids_sealed_to(self.key()), set(range(1, 8)))
        self.finish()

    def test_a_remote_that_comes_later(self):
        self.deliver(3)
        self.pair.wait_for_same_state(count=3)
        first = self.key()
        self.rotate()
        self.deliver(2)
        self.pair.wait_for_same_state(count=5)
        served = self.remote.messages("ann")
        self.pair.lose_remote()
        self.remote = self.pair.remote
        self.remote.start()
        wait_until(lambda: self.remote.can_log_in("ann"), 30, "ann can log in at the new remote")
        self.pair.wait_for_same_state(count=5)
        self.assertEqual(self.remote.messages("ann"), served)
        self.assertEqual(self.uids_sealed_to(first), {1, 2, 3})
        self.assertEqual(self.uids_sealed_to(self.key()), {4, 5})
        self.finish()

    def test_what_is_refused(self):
        for words in (["rotate"], ["rotate", "nobody"], ["turn", "ann"]):
            with self.assertRaises(Exception):
                self.core.command(["key", *words, "--config", self.core.config])
        with self.assertRaises(Exception):
            self.remote.command(["key", "rotate", "ann", "--config", self.remote.config])
        self.assertEqual(len(self.core.command(["key", "list", "ann", "--config", self.core.config]).splitlines()), 1)


if __name__ == "__main__":
    unittest.main()
