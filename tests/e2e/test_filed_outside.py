"""What a client of the remote copies, moves and appends is there inside as well: numbers that are given outside at once."""

import os
import re
import subprocess
import tempfile
import unittest

from fwmail import DOMAIN, NodeTest, Pair, letter, ok
from openpgp import Gpg
from raw_imap import RawImap
from test_agreement import wait_for_agreement
from wire import PATIENCE, smtp_send, wait_until

ANN = f"ann@{DOMAIN}"


MBSYNC = """\
IMAPAccount outside
Host 127.0.0.1
Port {port}
User ann
Pass {password}
SSLType None
AuthMechs LOGIN

IMAPStore there
Account outside

MaildirStore here
Path {folder}/
Inbox {folder}/INBOX
SubFolders Verbatim

Channel all
Far :there:
Near :here:
Patterns {patterns}
Create Near
Expunge Both
SyncState *
"""


class Filing(NodeTest):
    """Through a foreign Postfix."""

    accept_plain = False

    def setUp(self):
        self.pair = Pair(os.path.join(self.new_folder(), "pair"), settings=[("replicate.resend-after", "5s")])
        self.addCleanup(self.pair.kill9)
        self.core, self.remote = self.pair.core, self.pair.remote
        if self.accept_plain:
            self.remote.set_option("imap", "accept-plain = yes")
        self.configure()
        self.pair.start()

    def configure(self):
        """Options of a test, before the nodes start."""

    def tearDown(self):
        self.pair.stop()
        self.pair.check()

    def client(self, node):
        client = RawImap(node.imap_port, "ann", node.password("ann"))
        self.addCleanup(client.close)
        return client

    def deliver(self, count):
        for number in range(count):
            smtp_send(self.core.smtp_port, "bob@elsewhere.test", ANN, letter(f"number {number}")[1])
        self.pair.wait_for_same_state(count=count)

    def agree(self):
        def take_up():
            self.pair.postfix.take_up_skipped()  # it has tried while a node was down
            return True

        wait_until(take_up, 5, "the queue runs")
        wait_for_agreement(self.core, self.remote, 90)
        # They may agree before what was filed outside has come home.
        for node in (self.core, self.remote):
            node.command(["sync", "--wait", f"{60 * PATIENCE}s", "--config", node.config])
        wait_for_agreement(self.core, self.remote, 90)

    def code(self, answer, name):
        """Of a COPYUID or APPENDUID: what stands behind the UIDVALIDITY."""
        return answer[answer.index(name) + len(name):].split("]")[0].split()[1:]

    def append(self, client, mailbox, message, flags=""):
        return client.do(f"APPEND {mailbox} ({flags}) {{{len(message)}+}}\r\n{message.decode()}").tagged

    def files_outside(self):
        """All octets that the remote has on its disk."""
        octets = b""
        for folder, _, names in os.walk(self.remote.data_dir):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        octets += file.read()
        return octets


class Copies(Filing):
    def test_copy_and_move(self):
        self.deliver(5)
        outside = self.client(self.remote)
        outside.must("SELECT INBOX")
        self.assertIn("MYRIGHTS INBOX lrswikxte", str(outside.must("MYRIGHTS INBOX").lines))
        outside.must("UID STORE 2 +FLAGS (\\Flagged $Mine)")
        self.assertEqual(self.code(outside.must("UID COPY 2:3 Archive").tagged, "COPYUID"), ["2:3", "1:2"])
        moved = outside.must("UID MOVE 4,2 Archive")
        self.assertEqual(self.code(" ".join(moved.lines), "COPYUID"), ["2,4", "3:4"])
        outside.must("SELECT Archive")
        outside.must("UID STORE 1 +FLAGS (\\Answered)")  # at once, before core has heard of it
        # A copy of what core has not heard of yet, and one that is gone again.
        outside.must("UID COPY 4 Junk")
        outside.must("UID MOVE 3 Trash")
        self.agree()
        self.assertEqual(sorted(self.core.state("ann")), [1, 3, 5])
        self.assertEqual(sorted(self.core.state("ann", "Archive")), [1, 2, 4])
        self.assertEqual(self.core.state("ann", "Archive")[1][1], {b"\\Flagged", b"$Mine", b"\\Answered"})
        self.assertEqual(sorted(self.core.state("ann", "Junk")), [1])
        self.assertEqual(self.core.state("ann", "Trash")[1][1], {b"\\Flagged", b"$Mine"})
        # The object was there already: what went out again holds no body.
        for mailbox in ("INBOX", "Archive", "Junk", "Trash"):
            inside = self.core.messages("ann", mailbox)
            for uid, sealed in self.remote.messages("ann", mailbox).items():
                self.assertEqual(self.pair.open_sealed(sealed), inside[uid])
        # Deleted as some clients do it.
        outside.must("SELECT INBOX")
        outside.must("UID COPY 5 Trash")
        outside.must("UID STORE 5 +FLAGS (\\Deleted)")
        outside.must("UID EXPUNGE 5")
        self.agree()
        self.assertEqual(sorted(self.core.state("ann", "Trash")), [1, 2])

    def test_a_number_that_both_have_used(self):
        self.deliver(3)
        self.core.stop()
        outside = self.client(self.remote)
        outside.must("SELECT INBOX")
        self.assertEqual(self.code(outside.must("UID COPY 1:2 Archive").tagged, "COPYUID"), ["1:2", "1:2"])
        self.remote.stop()
        self.core.start()
        identity, message = letter("filed inside")
        self.core.append("ann", message, "Archive")
        self.assertEqual(sorted(self.core.state("ann", "Archive")), [1])
        self.remote.start()
        outside = self.client(self.remote)
        outside.must("SELECT Archive")
        outside.must("UID STORE 1 +FLAGS (\\Flagged)")  # of the first number, whoever has it now
        self.agree()
        state = self.core.state("ann", "Archive")
        self.assertEqual(len(state), 3)
        self.assertNotIn(1, state)
        inbox = self.core.state("ann")
        self.assertEqual({found for found, _ in state.values()}, {identity, inbox[1][0], inbox[2][0]})
        flags = {found: flags for found, flags in state.values()}
        self.assertEqual(flags[inbox[1][0]], {b"\\Flagged"})
        self.assertEqual(flags[identity], set())

    def test_moved_on_both_sides(self):
        self.deliver(3)
        self.core.stop()
        outside = self.client(self.remote)
        outside.must("SELECT INBOX")
        outside.must("UID MOVE 1:2 Trash")
        outside.must("UID STORE 3 +FLAGS (\\Flagged)")
        self.remote.stop()
        self.core.start()
        inside = self.client(self.core)
        inside.must("SELECT INBOX")
        inside.must("UID MOVE 1,3 Archive")  # later: this holds
        self.remote.start()
        self.agree()
        self.assertEqual(self.core.state("ann"), {})
        self.assertEqual(len(self.core.state("ann", "Archive")), 2)
        self.assertEqual(len(self.core.state("ann", "Trash")), 1)
        # Flags that were set outside have followed the message.
        self.assertIn({b"\\Flagged"}, [flags for _, flags in self.core.state("ann", "Archive").values()])

    def test_into_a_mailbox_that_goes_meanwhile(self):
        self.deliver(2)
        inside = self.client(self.core)
        inside.must("CREATE Trips")
        self.agree()
        self.core.stop()
        outside = self.client(self.remote)
        outside.must("SELECT INBOX")
        outside.must("UID MOVE 1 Trips")
        self.remote.stop()
        self.core.start()
        self.client(self.core).must("DELETE Trips")
        self.remote.start()
        self.agree()
        self.assertEqual(sorted(self.core.state("ann")), [2])
        self.assertEqual(len(self.core.state("ann", "Trips")), 1)

    def test_plain_mail_is_not_taken(self):
        outside = self.client(self.remote)
        self.assertIn("CANNOT", self.append(outside, "Drafts", letter("in clear")[1]))
        self.assertIn("accept-plain", self.append(outside, "Drafts", letter("in clear")[1]))
        self.assertIn("TRYCREATE", self.append(outside, "Nowhere", letter("in clear")[1]))
        self.assertEqual(self.remote.count("ann", "Drafts"), 0)


def sealed_by_gpg(gpg, text):
    """PGP/MIME as a mail program makes it, to the one key that it knows."""
    identity = f"<{os.urandom(8).hex()}@client.test>"
    inner = f"Content-Type: text/plain; charset=utf-8\r\nSubject: {text}\r\n\r\n{text}\r\n".encode()
    armor = gpg.run("gpg", "--batch", "--quiet", "--trust-model", "always", "--armor", "--no-emit-version",
                    "--recipient", ANN, "--encrypt", input=inner).decode().replace("\n", "\r\n")
    return identity, (f"From: {ANN}\r\nTo: {ANN}\r\nDate: Sat, 28 Nov 2026 10:00:00 +0000\r\nMessage-ID: {identity}\r\n"
                      "Subject: ...\r\nMIME-Version: 1.0\r\nContent-Type: multipart/encrypted;\r\n"
                      ' protocol="application/pgp-encrypted"; boundary="b1"\r\n\r\n'
                      "--b1\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n"
                      f"--b1\r\nContent-Type: application/octet-stream\r\n\r\n{armor}\r\n--b1--\r\n").encode()


class Appended(Filing):
    """With a foreign gpg."""

    def test_sealed_mail(self):
        home = tempfile.mkdtemp(dir=self.new_folder())
        with Gpg(home, self.core.export_key("ann")) as gpg:
            outside = self.client(self.remote)
            first_id, first = sealed_by_gpg(gpg, "a first draft")
            self.assertEqual(self.code(self.append(outside, "Drafts", first, "\\Draft"), "APPENDUID"), ["1"])
            self.agree()
            self.assertEqual(self.core.state("ann", "Drafts"), {1: (first_id.encode(), {b"\\Draft"})})
            self.assertEqual(self.core.messages("ann", "Drafts"), {1: first})
            # Saved again and again: one draft is left on both sides.
            outside.must("SELECT Drafts")
            for number in range(2, 6):
                identity, message = sealed_by_gpg(gpg, f"draft {number}")
                self.assertEqual(self.code(self.append(outside, "Drafts", message, "\\Draft"), "APPENDUID"), [str(number)])
                outside.must(f"UID STORE {number - 1} +FLAGS (\\Deleted)")
                outside.must(f"UID EXPUNGE {number - 1}")
            self.agree()
            self.assertEqual(self.core.messages("ann", "Drafts"), {5: message})
            self.assertEqual(self.remote.messages("ann", "Drafts"), {5: message})
            # Moved before core has heard of it; a large one goes in parts.
            _, large = sealed_by_gpg(gpg, os.urandom(1 << 20).hex())
            uid = self.code(self.append(outside, "Drafts", large), "APPENDUID")[0]
            outside.must("NOOP")
            outside.must(f"UID MOVE {uid} Sent")
            self.agree()
            self.assertEqual(list(self.core.messages("ann", "Sent").values()), [large])
            for broken in (first.replace(b"Subject: ...", b"Subject: open"),
                           first.replace(b"--b1\r\nContent-Type: application/pgp", b"Hello\r\n--b1\r\nContent-Type: application/pgp"),
                           first + b"PS: open\r\n", first.replace(b"MESSAGE-----\r\n\r\n", b"MESSAGE-----\r\nComment: open\r\n\r\n"),
                           first.replace(b"Date:", b"X-Open: hello\r\nDate:")):
                self.assertIn("CANNOT", self.append(outside, "Drafts", broken))

    def test_into_a_mailbox_that_goes_meanwhile(self):
        inside = self.client(self.core)
        inside.must("CREATE Trips")
        self.agree()
        self.core.stop()
        home = tempfile.mkdtemp(dir=self.new_folder())
        with Gpg(home, self.core.export_key("ann")) as gpg:
            _, message = sealed_by_gpg(gpg, "from Rome")
            self.append(self.client(self.remote), "Trips", message)
        self.remote.stop()
        self.core.start()
        self.client(self.core).must("DELETE Trips")
        self.remote.start()
        self.agree()
        self.assertEqual(list(self.core.messages("ann", "Trips").values()), [message])


class Plain(Filing):
    accept_plain = True

    def test_plain_mail(self):
        outside = self.client(self.remote)
        identity, message = letter("a secret word: xylophonist")
        message += b"xylophonist\r\n"
        answer = self.append(outside, "Sent", message, "\\Seen $Mine")
        self.assertEqual(self.code(answer, "APPENDUID"), ["1"])
        shown = self.remote.message("ann", 1, "Sent")
        self.assertEqual(self.pair.open_sealed(shown), message)
        self.assertNotIn(b"xylophonist", self.files_outside())
        self.agree()
        self.assertEqual(self.core.state("ann", "Sent"), {1: (identity, {b"\\Seen", b"$Mine"})})
        self.assertEqual(self.core.message("ann", 1, "Sent"), message)
        self.assertEqual(self.remote.message("ann", 1, "Sent"), shown)
        self.assertNotIn(b"xylophonist", self.files_outside())

    def test_a_number_that_both_have_used(self):
        self.core.stop()
        message = letter("outside")[1]
        self.append(self.client(self.remote), "Drafts", message)
        shown = self.remote.message("ann", 1, "Drafts")
        self.remote.stop()
        self.core.start()
        other = letter("inside")[1]
        self.core.append("ann", other, "Drafts")
        self.remote.start()
        self.agree()
        state = self.core.messages("ann", "Drafts")
        self.assertEqual(sorted(state.values()), sorted([message, other]))
        self.assertNotIn(1, state)
        self.assertIn(shown, self.remote.messages("ann", "Drafts").values())
        # Whoever was told of the first number still changes the message; only the other is shown.
        successor = next(uid for uid, octets in state.items() if octets == message)
        outside = self.client(self.remote)
        outside.must("SELECT Drafts")
        self.assertEqual(outside.must("UID FETCH 1 (FLAGS)").lines, [])
        self.assertEqual(outside.must("UID SEARCH UID 1").one("SEARCH ?(.*)"), "")
        outside.must("UID STORE 1 +FLAGS (\\Deleted)")
        outside.must("UID EXPUNGE 1")
        self.agree()
        self.assertEqual(self.core.messages("ann", "Drafts"), {uid: octets for uid, octets in state.items() if uid != successor})

    def test_mbsync(self):
        folder = self.new_folder()
        for name in ("Drafts/new", "Drafts/cur", "Drafts/tmp"):
            os.makedirs(os.path.join(folder, name))
        config = os.path.join(folder, "rc")
        with open(config, "w", encoding="utf-8") as file:
            file.write(MBSYNC.format(port=self.remote.imap_port, password=self.remote.password("ann"), folder=folder,
                                     patterns="Drafts"))
        messages = [letter(f"draft {number}")[1].replace(b"\r\n", b"\n") for number in range(3)]
        for number, message in enumerate(messages):
            with open(os.path.join(folder, "Drafts/cur", f"{number}.host:2,S"), "wb") as file:
                file.write(message)

        def mbsync():
            done = subprocess.run(["mbsync", "-c", config, "all"], capture_output=True, text=True, timeout=120)
            self.assertEqual(done.returncode, 0, done.stderr)

        mbsync()
        self.agree()
        self.assertEqual(sorted(re.sub(rb"X-TUID: .*\n", b"", octets.replace(b"\r\n", b"\n"))  # by which mbsync finds it again
                                for octets in self.core.messages("ann", "Drafts").values()),
                         sorted(messages))
        mbsync()  # nothing to do
        for name in os.listdir(os.path.join(folder, "Drafts/cur")):
            if name.startswith("1.host"):
                os.unlink(os.path.join(folder, "Drafts/cur", name))
        mbsync()
        self.agree()
        self.assertEqual(len(self.core.messages("ann", "Drafts")), 2)


if __name__ == "__main__":
    unittest.main()
