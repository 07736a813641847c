"""State that agrees both ways: clients inside and outside change the same mailbox, and mail is all that passes."""

import contextlib
import imaplib
import os
import random
import sqlite3
import subprocess
import time
import unittest

from fwmail import DOMAIN, RELEASE, Node, NodeTest, Pair, letter, link, ok
from lossy import Relay
from raw_imap import RawImap
from wire import smtp_send, wait_until

ANN = f"ann@{DOMAIN}"


def state_file(node, user="ann"):
    path = os.path.join(node.directory, "state")
    with open(path, "w", encoding="utf-8") as file:
        file.write(node.command(["state", user, "--config", node.config]))
    return path


def differences(core, remote, user="ann"):
    """What `fwmail state --compare` prints at the remote of what core has printed; empty when they agree."""
    done = subprocess.run([remote.binary, "state", user, "--compare", state_file(core, user), "--config", remote.config],
                          capture_output=True, text=True, timeout=120)
    assert (done.returncode == 0) == (not done.stdout), (done.returncode, done.stdout, done.stderr)
    return done.stdout


def wait_for_agreement(core, remote, timeout=60):
    wait_until(lambda: not differences(core, remote), timeout,
               lambda: f"core and remote agree:\n{differences(core, remote)[:2000]}\n{remote.log()[-1500:]}", interval=0.5)


class BothWays(NodeTest):
    """Through a foreign Postfix."""

    @classmethod
    def setUpClass(cls):
        cls.pair = Pair(os.path.join(cls.new_folder(), "pair"))
        cls.addClassCleanup(cls.pair.kill9)
        cls.pair.start()
        for number in range(6):
            smtp_send(cls.pair.core.smtp_port, "bob@elsewhere.test", ANN, letter(f"number {number}")[1])
        cls.pair.wait_for_same_state(count=6)

    def client(self, node):
        client = RawImap(node.imap_port, "ann", node.password("ann"))
        self.addCleanup(client.close)
        return client

    def flags(self, node, uid):
        return node.state("ann")[uid][1]

    def test_flags_set_outside_come_home(self):
        outside = self.client(self.pair.remote)
        self.assertIn("READ-WRITE", outside.must("SELECT INBOX").tagged)
        outside.must("UID STORE 1 +FLAGS (\\Flagged $Later)")
        wait_until(lambda: self.flags(self.pair.core, 1) == {b"\\Flagged", b"$Later"}, 60, "core has the flags",
                   interval=0.2)
        outside.must("UID STORE 1 -FLAGS ($Later)")
        wait_until(lambda: self.flags(self.pair.core, 1) == {b"\\Flagged"}, 60, "the keyword goes", interval=0.2)
        # Reading marks as read, here as there.
        outside.must("UID FETCH 2 (BODY[])")
        wait_until(lambda: b"\\Seen" in self.flags(self.pair.core, 2), 60, "what was read outside is read", interval=0.2)
        wait_for_agreement(self.pair.core, self.pair.remote)

    def test_a_client_inside_is_told(self):
        inside, outside = self.client(self.pair.core), self.client(self.pair.remote)
        inside.must("SELECT INBOX")
        outside.must("SELECT INBOX")
        outside.must("UID STORE 3 +FLAGS (\\Answered)")
        wait_until(lambda: any("\\Answered" in line for line in inside.must("NOOP").lines), 60, "NOOP tells",
                   interval=0.2)

    def test_both_at_once(self):
        inside, outside = self.client(self.pair.core), self.client(self.pair.remote)
        for client in (inside, outside):
            client.must("SELECT INBOX")
        inside.must("UID STORE 4,5 +FLAGS (\\Seen)")
        outside.must("UID STORE 4,5 +FLAGS (\\Flagged)")
        for node in (self.pair.core, self.pair.remote):
            wait_until(lambda: self.flags(node, 4) == self.flags(node, 5) == {b"\\Seen", b"\\Flagged"}, 60,
                       lambda: f"both flags at {node.role}: {self.flags(node, 4)}", interval=0.2)
        wait_for_agreement(self.pair.core, self.pair.remote)

    def test_what_the_remote_does_not_take_yet(self):
        outside = self.client(self.pair.remote)
        outside.must("SELECT INBOX")
        for command in ("RENAME INBOX Old", "DELETE Archive", "DELETE INBOX"):
            self.assertIn("CANNOT", outside.do(command).tagged, command)

    def test_what_is_expunged_outside_goes_inside(self):
        identity, message = letter("to be gone")
        smtp_send(self.pair.core.smtp_port, "bob@elsewhere.test", ANN, message)

        def uid_at(node):
            return [uid for uid, (found, _) in node.state("ann").items() if found == identity]

        uid = wait_until(lambda: uid_at(self.pair.remote), 60, "it is outside", interval=0.2)[0]
        octets = self.pair.core.message("ann", uid)
        outside = self.client(self.pair.remote)
        outside.must("SELECT INBOX")
        outside.must(f"UID STORE {uid} +FLAGS (\\Deleted)")
        outside.must(f"UID EXPUNGE {uid}")
        wait_until(lambda: not uid_at(self.pair.core), 60, "it goes inside", interval=0.2)
        wait_for_agreement(self.pair.core, self.pair.remote)
        # And back.
        listed = self.pair.core.command(["expunged", "list", "--config", self.pair.core.config])
        self.assertIn("user ann: 1 messages", listed)
        self.pair.core.command(["expunged", "restore", "ann", "--config", self.pair.core.config])
        again = wait_until(lambda: uid_at(self.pair.remote), 60, "it is outside again", interval=0.2)[0]
        self.assertGreater(again, uid)
        self.assertEqual(self.pair.core.message("ann", again), octets)
        wait_for_agreement(self.pair.core, self.pair.remote)

    def test_nothing_is_sent_when_all_is_said(self):
        """No word goes to and fro for ever."""
        outside = self.client(self.pair.remote)
        outside.must("SELECT INBOX")
        outside.must("UID STORE 6 +FLAGS (\\Draft)")
        wait_for_agreement(self.pair.core, self.pair.remote)

        def counts():
            links = [link for node in (self.pair.core, self.pair.remote) for link in node.status()["links"]]
            return [row["unacknowledged"] for row in links], [row["mails_sent"] for row in links]

        wait_until(lambda: not any(counts()[0]), 60, lambda: f"all is acknowledged: {counts()}", interval=0.5)
        time.sleep(4)  # the last acknowledgement goes after two quiet seconds
        before = counts()
        time.sleep(4)
        self.assertEqual(counts(), before)


class Mailboxes(NodeTest):
    """Made, renamed, subscribed and deleted on either side."""

    @classmethod
    def setUpClass(cls):
        cls.pair = Pair(os.path.join(cls.new_folder(), "pair"))
        cls.addClassCleanup(cls.pair.kill9)
        cls.pair.start()

    def client(self, node):
        client = RawImap(node.imap_port, "ann", node.password("ann"))
        self.addCleanup(client.close)
        return client

    def both(self):
        return self.client(self.pair.core), self.client(self.pair.remote)

    def wait_for_names(self, client, present=(), absent=()):
        def names():
            return {line.rsplit(" ", 1)[1].strip('"') for line in client.must('LIST "" *').lines}

        wait_until(lambda: set(present) <= names() and not set(absent) & names(), 60,
                   lambda: f"{present} but not {absent}: {names()}", interval=0.2)

    def test_life_of_a_mailbox(self):
        inside, outside = self.both()
        outside.must("CREATE Trips/Rome")
        outside.must("SELECT Trips/Rome")
        outside.must("SUBSCRIBE Trips/Rome")
        self.wait_for_names(inside, ["Trips", "Trips/Rome"])
        _, message = letter("from Rome")
        self.pair.core.append("ann", message, "Trips/Rome")
        wait_until(lambda: self.pair.remote.count("ann", "Trips/Rome") == 1, 60, "mail goes out", interval=0.2)
        outside.must("RENAME Trips Journeys")
        self.wait_for_names(inside, ["Journeys", "Journeys/Rome"], ["Trips", "Trips/Rome"])
        inside.must("RENAME Journeys/Rome Journeys/Roma")
        self.wait_for_names(outside, ["Journeys/Roma"], ["Journeys/Rome"])
        wait_for_agreement(self.pair.core, self.pair.remote)
        outside.must("DELETE Journeys/Roma")
        self.wait_for_names(inside, ["Journeys"], ["Journeys/Roma"])
        wait_for_agreement(self.pair.core, self.pair.remote)
        self.assertIn("1 messages", self.pair.core.command(["expunged", "list", "--config", self.pair.core.config]))
        self.pair.core.command(["expunged", "restore", "ann", "--config", self.pair.core.config])
        wait_until(lambda: "Journeys/Roma" in str(outside.must('LIST "" *').lines)
                   and self.pair.remote.count("ann", "Journeys/Roma") == 1, 60, "it is there again", interval=0.2)
        self.assertEqual(list(self.pair.core.messages("ann", "Journeys/Roma").values()), [message])
        wait_for_agreement(self.pair.core, self.pair.remote)

    def test_a_mailbox_is_deleted_inside(self):
        """What was moved out of it before is outside where it is now; of the rest nothing is left there."""
        inside, outside = self.both()
        for name in ("Old", "New"):
            inside.must(f"CREATE {name}")
        self.wait_for_names(outside, ["Old", "New"])
        messages = [letter(f"old {number}")[1] for number in range(3)]
        for message in messages:
            self.pair.core.append("ann", message, "Old")
        wait_until(lambda: self.pair.remote.count("ann", "Old") == 3, 60, "they go out", interval=0.2)
        inside.must("SELECT Old")
        inside.must("UID MOVE 2 New")
        inside.must("DELETE Old")
        self.wait_for_names(outside, ["New"], ["Old"])
        wait_until(lambda: self.pair.remote.count("ann", "New") == 1, 60, "one is in New", interval=0.2)
        wait_for_agreement(self.pair.core, self.pair.remote)
        self.assertEqual(list(self.pair.core.messages("ann", "New").values()), [messages[1]])
        wait_until(lambda: self.kept_unseen(self.pair.remote) == 0, 60, "nothing is left of Old", interval=0.2)

    def kept_unseen(self, node):
        """How many messages there are in deleted mailboxes."""
        folder = os.path.join(node.data_dir, "accounts")
        (name,) = [name for name in os.listdir(folder) if name.endswith(".db") and not name.endswith(".search.db")]
        with contextlib.closing(sqlite3.connect(f"file:{os.path.join(folder, name)}?mode=ro", uri=True)) as store:
            return store.execute("SELECT coalesce(sum(messages), 0) FROM mailboxes WHERE deleted<>0").fetchone()[0]

    def test_special_use(self):
        inside, outside = self.both()
        self.assertIn("USEATTR", outside.do(r"CREATE Old (USE (\Archive))").tagged)
        self.assertIn("ALREADYEXISTS", outside.do("CREATE Sent").tagged)

    def test_a_subscription_outlives_its_mailbox(self):
        inside, outside = self.both()
        outside.must("CREATE Fleeting")
        outside.must("SUBSCRIBE Fleeting")
        wait_for_agreement(self.pair.core, self.pair.remote)
        inside.must("DELETE Fleeting")
        self.wait_for_names(outside, absent=["Fleeting"])
        for client in (inside, outside):
            self.assertIn('LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" Fleeting',
                          client.must('LIST (SUBSCRIBED) "" Fleeting').lines)
            self.assertIn('LSUB (\\Noselect \\HasNoChildren) "/" Fleeting', client.must('LSUB "" *').lines)
        self.assertIn("subscription Fleeting\n", self.pair.core.command(
            ["state", "ann", "--config", self.pair.core.config]))
        outside.must("UNSUBSCRIBE Fleeting")
        wait_until(lambda: not inside.must('LSUB "" Fleeting').lines, 60, "unsubscribed inside", interval=0.2)
        self.assertIn("NONEXISTENT", outside.do("SUBSCRIBE Fleeting").tagged)
        wait_for_agreement(self.pair.core, self.pair.remote)

    def test_the_same_name_at_once(self):
        inside, outside = self.both()
        outside.must("CREATE Twins")
        inside.must("CREATE Twins")
        _, message = letter("for the twins")
        self.pair.core.append("ann", message, "Twins")
        wait_until(lambda: self.pair.remote.count("ann", "Twins") == 1, 60, "they are one", interval=0.2)
        wait_for_agreement(self.pair.core, self.pair.remote)
        names = [line for line in outside.must('LIST "" *').lines if "Twins" in line]
        self.assertEqual(len(names), 1, names)

    def test_mail_that_came_meanwhile_survives(self):
        inside, outside = self.both()
        inside.must("CREATE Busy")
        self.wait_for_names(outside, ["Busy"])
        self.pair.remote.stop()
        message = letter("nobody has seen it")[1]
        self.pair.core.append("ann", message, "Busy")
        self.pair.core.stop()
        self.pair.remote.start()
        outside = self.client(self.pair.remote)
        outside.must("DELETE Busy")
        self.pair.core.start()

        def again():
            self.pair.postfix.take_up_skipped()  # it has tried while a node was down
            return "Busy" in str(outside.must('LIST "" *').lines) and self.pair.remote.count("ann", "Busy") == 1

        wait_until(again, 60, "the mailbox is there again", interval=0.5)
        wait_for_agreement(self.pair.core, self.pair.remote)
        self.assertEqual(list(self.pair.core.messages("ann", "Busy").values()), [message])

    def test_nothing_is_sent_when_all_is_said(self):
        inside, outside = self.both()
        outside.must("CREATE Quiet")
        outside.must("SUBSCRIBE Quiet")
        wait_for_agreement(self.pair.core, self.pair.remote)

        def counts():
            links = [link for node in (self.pair.core, self.pair.remote) for link in node.status()["links"]]
            return [row["unacknowledged"] for row in links], [row["mails_sent"] for row in links]

        wait_until(lambda: not any(counts()[0]), 60, lambda: f"all is acknowledged: {counts()}", interval=0.5)
        time.sleep(4)
        before = counts()
        time.sleep(4)
        self.assertEqual(counts(), before)


class Held(NodeTest):
    """More is deleted outside than may be in a day."""

    def test_release_and_reject(self):
        pair = Pair(os.path.join(self.new_folder(), "pair"))
        self.addCleanup(pair.kill9)
        with open(pair.core.config, encoding="utf-8") as file:
            text = file.read()
        with open(pair.core.config, "w", encoding="utf-8") as file:
            file.write(text.replace("[replicate]\n", "[replicate]\nmax-expunges-per-day = 2\n", 1))
        with pair:
            for number in range(8):
                smtp_send(pair.core.smtp_port, "bob@elsewhere.test", ANN, letter(f"number {number}")[1])
            pair.wait_for_same_state(count=8)

            def expunge(uids):
                with pair.remote.imap("ann", "INBOX", readonly=False) as client:
                    ok(client.uid("STORE", uids, "+FLAGS", r"(\Deleted)"))
                    ok(client.uid("EXPUNGE", uids))

            def held(count):
                wait_until(lambda: pair.core.status()["users"][0]["expunges_held"] == count, 60, f"{count} are held",
                           interval=0.2)

            expunge("1:3")
            held(3)
            self.assertEqual(sorted(pair.core.state("ann")), list(range(1, 9)))
            self.assertEqual(sorted(pair.remote.state("ann")), list(range(4, 9)))
            pair.core.command(["expunged", "reject", "ann", "--config", pair.core.config])
            wait_for_agreement(pair.core, pair.remote)
            self.assertEqual(sorted(pair.remote.state("ann")), list(range(4, 12)))
            expunge("4:6")
            held(3)
            with pair.core.imap("ann", None) as client:  # which keeps what it was told
                self.assertIn(b"MESSAGES 8", ok(client.status("INBOX", "(MESSAGES)"))[0])
                pair.core.command(["expunged", "release", "ann", "--config", pair.core.config])
                self.assertIn(b"MESSAGES 5", ok(client.status("INBOX", "(MESSAGES)"))[0])
            wait_for_agreement(pair.core, pair.remote)
            self.assertEqual(sorted(pair.core.state("ann")), list(range(7, 12)))
        pair.check()


def change_mailboxes(node, chance):
    """Two commands of a client; some of them are refused, as it comes."""
    with RawImap(node.imap_port, "ann", node.password("ann")) as client:
        for _ in range(2):
            one, two = chance.choice("ABCD"), chance.choice("ABCD")
            client.do(chance.choice((f"CREATE {one}", f"CREATE {one}/{two}", f"RENAME {one} {two}", f"DELETE {one}",
                                     f"SUBSCRIBE {one}", f"UNSUBSCRIBE {one}")))


class Adversity(NodeTest):
    """A relay that loses, repeats and reorders, and nodes that are killed."""

    def test_agreement_in_the_end(self):
        seed = int(os.environ.get("FWMAIL_SEED", random.randrange(1 << 30)))
        print(f"seed {seed}", flush=True)
        chance = random.Random(seed)
        folder = self.new_folder()
        relay = Relay(seed)
        self.addCleanup(relay.stop)
        settings = [("smarthost.address", f"127.0.0.1:{relay.sink.port}"), ("smarthost.tls", "none"),
                    ("replicate.resend-after", "2s"), ("replicate.batch-delay", "1s")]
        core = Node("core", os.path.join(folder, "core"), RELEASE, settings)
        remote = Node("remote", os.path.join(folder, "remote"), RELEASE, settings)
        core.add_user("ann")
        link(core, remote)
        for node in (core, remote):
            self.addCleanup(node.kill9)
            node.start()
        relay.start(core, remote)
        for number in range(8):
            smtp_send(core.smtp_port, "bob@elsewhere.test", ANN, letter(f"number {number}")[1])

        def arrived():
            try:
                return remote.count("ann") == 8
            except (AssertionError, imaplib.IMAP4.error):
                return False  # the account itself, or its INBOX, is on its way

        wait_until(arrived, 120, "all is outside", interval=1)
        words = [r"\Seen", r"\Flagged", r"\Deleted", "$Work", "$Later"]
        step = 0
        while step < 30 or not (relay.lost and relay.repeated):
            self.assertLess(step, 300)
            step += 1
            node = chance.choice((core, remote))
            with node.imap("ann", "INBOX", readonly=False) as client:
                for _ in range(3):
                    ok(client.uid("STORE", str(chance.randint(1, 8)), chance.choice(("+FLAGS", "-FLAGS", "FLAGS")),
                                  f"({chance.choice(words)})"))
            change_mailboxes(node, chance)
            if step % 10 == 0:
                node.kill9()
                node.start()
        relay.calm()
        wait_for_agreement(core, remote, timeout=180)
        for node in (core, remote):
            node.stop()
            node.check()


if __name__ == "__main__":
    unittest.main()
