"""A core with two remotes: what is done at one shows at the other, and neither waits for the other."""

import os
import unittest

from fwmail import CORE_HOST, DOMAIN, Node, NodeTest, letter, link
from peers import Postfix
from raw_imap import RawImap
from test_agreement import differences, wait_for_agreement
from wire import free_port, smtp_send, wait_until

ANN = f"ann@{DOMAIN}"
MAILBOXES = ("INBOX", "Archive", "Drafts", "Sent", "Trash")


class TwoRemotes(NodeTest):
    """One foreign Postfix between all three. Core calls its links north and south."""

    @classmethod
    def setUpClass(cls):
        folder = cls.new_folder()
        port = free_port()
        settings = [("smarthost.address", f"127.0.0.1:{port}"), ("smarthost.tls", "none"), ("replicate.resend-after", "5s")]
        cls.core = Node("core", os.path.join(folder, "core"), settings=settings)
        cls.north, cls.south = cls.remotes = [
            Node("remote", os.path.join(folder, name), settings=[*settings, ("host-name", f"{name}.test")])
            for name in ("north", "south")]
        cls.postfix = Postfix(os.path.join(folder, "postfix"), port=port, routes={
            CORE_HOST: cls.core.smtp_port, DOMAIN: cls.core.smtp_port, "north.test": cls.north.smtp_port,
            "south.test": cls.south.smtp_port})
        cls.core.add_user("ann")
        for remote, name in zip(cls.remotes, ("north", "south")):
            remote.set_option("imap", "accept-plain = yes")
            link(cls.core, remote, name)
        for part in (cls.postfix, cls.core, *cls.remotes):
            cls.addClassCleanup(cls.end, part)
            part.start()
        for remote in cls.remotes:
            wait_until(lambda: remote.can_log_in("ann"), 60, "ann can log in at each remote")

    @staticmethod
    def end(part):
        if part.process:
            part.kill9()

    @classmethod
    def stop_and_check(cls, *nodes):
        for node in nodes:
            node.stop()
            node.check()

    def client(self, node, mailbox=None):
        client = RawImap(node.imap_port, "ann", node.password("ann"))
        self.addCleanup(client.close)
        if mailbox:
            client.must(f"SELECT {mailbox}")
        return client

    def deliver(self, count, *shown_at):
        """New mail in INBOX, shown at the nodes; gives its UIDs, which are the same everywhere."""
        identities = []
        for number in range(count):
            identity, message = letter(f"number {number}")
            smtp_send(self.core.smtp_port, "bob@elsewhere.test", ANN, message)
            identities.append(identity)
        for node in shown_at:
            wait_until(lambda: set(identities) <= set(self.uids(node)), 60, lambda: f"the mail is there\n{node.log()[-2000:]}",
                       interval=0.2)
        return [self.uids(shown_at[0])[identity] for identity in identities], identities

    def uids(self, node, mailbox="INBOX"):
        rows = node.state("ann", mailbox)
        uids = {identity: uid for uid, (identity, _) in rows.items()}
        self.assertEqual(len(uids), len(rows), "a message is there twice")
        return uids

    def agree(self, *remotes):
        for remote in remotes:
            self.postfix.take_up_skipped()
            wait_for_agreement(self.core, remote, 90)

    def link_of(self, name):
        return next(row for row in self.core.status()["links"] if row["name"] == name)

    def flags(self, node, uid, mailbox="INBOX"):
        return node.state("ann", mailbox)[uid][1]


class Together(TwoRemotes):
    @classmethod
    def tearDownClass(cls):
        cls.stop_and_check(cls.core, *cls.remotes)

    def assert_served_alike(self):
        """Both remotes serve the same octets, which are core's messages sealed."""
        key = self.core.export_key("ann")
        for mailbox in MAILBOXES:
            shown = self.north.messages("ann", mailbox)
            self.assertEqual(self.south.messages("ann", mailbox), shown, mailbox)
            inside = self.core.messages("ann", mailbox)
            self.assertEqual(shown.keys(), inside.keys(), mailbox)
            for uid, sealed in shown.items():
                self.assertEqual(self.core.command(["open", "--key-file", key], input=sealed, text=False), inside[uid])

    def test_what_is_done_at_one_shows_at_the_other(self):
        (flagged, gone, copied, moved, filed), identities = self.deliver(5, self.core, *self.remotes)
        north, south = self.client(self.north, "INBOX"), self.client(self.south, "INBOX")
        identity, message = letter("written in the north")
        north.must(f"UID STORE {flagged} +FLAGS (\\Flagged $North)")
        south.must(f"UID STORE {flagged} +FLAGS (\\Answered $South)")
        north.must(f"UID STORE {gone} +FLAGS (\\Deleted)")
        north.must(f"UID EXPUNGE {gone}")
        north.must(f"UID COPY {copied} Archive")
        north.must(f"UID MOVE {moved} Archive")
        north.append("Sent", message, "\\Seen")
        south.must("CREATE Trips")
        south.must(f"UID MOVE {filed} Trips")
        for node in (self.core, *self.remotes):
            wait_until(lambda: identity in self.uids(node, "Sent") and set(identities[2:4]) <= set(self.uids(node, "Archive"))
                       and self.client(node).do("SELECT Trips").ok and identities[4] in self.uids(node, "Trips"), 60,
                       lambda: f"all of it shows at {node.directory}\n{node.log()[-2000:]}", interval=0.3)
        self.agree(*self.remotes)
        for node in (self.core, *self.remotes):
            self.assertEqual(self.flags(node, flagged), {b"\\Flagged", b"\\Answered", b"$North", b"$South"})
            self.assertFalse({gone, moved, filed} & set(node.state("ann")))
            self.assertIn(copied, node.state("ann"))
            self.assertEqual(list(node.state("ann", "Sent").values()), [(identity, frozenset({b"\\Seen"}))])
        self.assert_served_alike()

    def test_both_at_once(self):
        """While no mail passes, both give the same number in one mailbox, and move one message to two."""
        (moved, both_gone), identities = self.deliver(2, self.core, *self.remotes)
        self.agree(*self.remotes)
        self.postfix.stop()
        letters = []
        for node, word, mailbox in ((self.north, "northern", "Archive"), (self.south, "southern", "Trash")):
            client = self.client(node, "INBOX")
            letters.append(letter(f"a {word} draft"))
            client.append("Drafts", letters[-1][1], "\\Draft")
            client.must(f"UID MOVE {moved} {mailbox}")
            client.must(f"UID STORE {both_gone} +FLAGS (\\Deleted)")
            client.must(f"UID EXPUNGE {both_gone}")
        self.assertEqual(sorted(self.north.state("ann", "Drafts")), sorted(self.south.state("ann", "Drafts")))
        self.postfix.start()
        for node in (self.core, *self.remotes):
            node.command(["sync", "--config", node.config])
        for node in (self.core, *self.remotes):
            wait_until(lambda: {identity for identity, _ in letters} <= set(self.uids(node, "Drafts")), 90,
                       lambda: f"both drafts are there\n{node.log()[-2000:]}", interval=0.3)
        self.agree(*self.remotes)
        for node in (self.core, *self.remotes):
            self.assertEqual([mailbox for mailbox in MAILBOXES if identities[0] in self.uids(node, mailbox)], ["Trash"])
            self.assertEqual([mailbox for mailbox in MAILBOXES if identities[1] in self.uids(node, mailbox)], [])
        self.assert_served_alike()

    def test_one_is_down(self):
        (known,), _ = self.deliver(1, self.core, *self.remotes)
        self.agree(*self.remotes)
        self.south.stop()
        uids, identities = self.deliver(5, self.core, self.north)
        north, inside = self.client(self.north, "INBOX"), self.client(self.core, "INBOX")
        north.must(f"UID STORE {known} +FLAGS (\\Flagged)")
        north.must(f"UID MOVE {uids[0]} Archive")
        inside.must(f"UID STORE {uids[1]} +FLAGS (\\Answered)")
        inside.must(f"UID MOVE {uids[2]} Archive")
        self.agree(self.north)
        wait_until(lambda: self.link_of("north")["unacknowledged"] == 0, 60, "the north has acknowledged all", interval=0.3)
        self.assertGreater(self.link_of("south")["unacknowledged"], 0)
        self.assertEqual(self.flags(self.core, known), {b"\\Flagged"})
        self.assertEqual(self.flags(self.north, uids[1]), {b"\\Answered"})
        self.assertLessEqual({identities[0], identities[2]}, set(self.uids(self.north, "Archive")))
        self.south.start()
        self.agree(*self.remotes)
        wait_until(lambda: self.link_of("south")["unacknowledged"] == 0, 60, "so has the south", interval=0.3)
        self.assert_served_alike()


class Parted(TwoRemotes):
    def test_one_link_is_removed(self):
        (flagged, gone, moved), _ = self.deliver(3, self.core, *self.remotes)
        self.agree(*self.remotes)
        self.core.command(["link", "remove", "south", "--config", self.core.config])
        self.assertEqual([row["name"] for row in self.core.status()["links"]], ["north"])
        before = self.south.state("ann")

        south = self.client(self.south, "INBOX")  # which has not heard of it
        south.must(f"UID STORE {flagged} +FLAGS (\\Flagged $South)")
        south.must(f"UID STORE {gone} +FLAGS (\\Deleted)")
        south.must(f"UID EXPUNGE {gone}")
        south.append("Drafts", letter("written in the south")[1])
        wait_until(lambda: " said: 550 " in self.postfix.log(), 60,
                   lambda: f"core takes nothing of it\n{self.postfix.log()[-2000:]}", interval=0.3)

        north, inside = self.client(self.north, "INBOX"), self.client(self.core, "INBOX")
        north.must(f"UID STORE {flagged} +FLAGS (\\Answered)")
        north.must(f"UID MOVE {moved} Archive")
        inside.must(f"UID STORE {gone} +FLAGS (\\Seen)")
        self.deliver(3, self.core, self.north)
        wait_until(lambda: self.core.count("ann", "Archive") == 1, 60, "the north is heard", interval=0.2)
        self.agree(self.north)
        wait_until(lambda: self.link_of("north")["unacknowledged"] == 0, 60, "all is acknowledged", interval=0.3)
        self.assertEqual(self.flags(self.core, flagged), {b"\\Answered"})
        self.assertEqual(self.flags(self.core, gone), {b"\\Seen"})
        self.assertEqual(self.core.count("ann", "Drafts"), 0)
        # The south keeps what it had, and gets nothing more.
        self.assertEqual(set(self.south.state("ann")), set(before) - {gone})
        self.assertTrue(differences(self.core, self.south))
        self.stop_and_check(self.core, *self.remotes)


if __name__ == "__main__":
    unittest.main()
