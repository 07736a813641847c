"""fwmail import and export: from Dovecot and from what Python's mailbox writes; what is written, read by Python's
mailbox and mutt, and imported again."""

import email.utils
import glob
import imaplib
import mailbox
import os
import pty
import re
import shutil
import subprocess
import threading
import time
import unittest

from fwmail import CommandFailed, Node, NodeTest, letter, ok, quoted
from peers import Dovecot
from wire import wait_until

DATE = 1_600_000_000  # seconds; what is imported keeps it


def corpus(count=12):
    """Messages that formats find hard, with CRLF."""
    bodies = ["One.\r\n", ".\r\n..\r\n", "From here\r\n>From there\r\n>>From\r\n", "\r\n\r\nempty lines\r\n\r\n",
              "x" * 5000 + "\r\n", "\xe4\xf6\xfc\r\n", "From a@b Sat Nov 21 12:00:00 2026\r\n\r\ntext\r\n",
              "large\r\n" + ("0123456789" * 7 + "\r\n") * 20_000]
    return [letter(f"mail {n}", bodies[n % len(bodies)])[1] for n in range(count)]


def fetch_all(client, name):
    """{octets: (flags, date)} of a mailbox; equal messages are listed as often as they are there."""
    ok(client.select(quoted(name), readonly=True))
    found = []
    for uid in ok(client.uid("SEARCH", "ALL"))[0].split():
        rows = ok(client.uid("FETCH", uid.decode(), "(FLAGS INTERNALDATE BODY.PEEK[])"))
        text = b" ".join(part for row in rows for part in (row if isinstance(row, tuple) else (row,)) if part)
        octets = next(row[1] for row in rows if isinstance(row, tuple))
        flags = set(re.search(rb"FLAGS \(([^)]*)\)", text).group(1).split()) - {b"\\Recent"}
        date = email.utils.mktime_tz(email.utils.parsedate_tz(
            re.search(rb'INTERNALDATE "([^"]*)"', text).group(1).decode()))
        found.append((octets, tuple(sorted(flags)), date))
    return sorted(found)


def drain(terminal):
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        pass


class Transfer(NodeTest):
    def setUp(self):
        self.folder = self.new_folder()
        self.core = Node("core", os.path.join(self.folder, "core"))
        for user in ("ann", "ben"):
            self.core.add_user(user)
        self.addCleanup(self.core.kill9)
        self.core.start()

    def tearDown(self):
        self.core.stop()
        self.core.check()

    def transfer(self, verb, user, place, *more):
        return self.core.command([verb, user, place, "--config", self.core.config, *more])

    def everything(self, user):
        with self.core.imap(user) as client:
            names = [row.rsplit(b' "/" ', 1)[1].strip(b'"').decode() for row in ok(client.list())]
            return {name: fetch_all(client, name) for name in names}

    def fill(self, user="ann"):
        """INBOX, Sent and a nested mailbox, with flags and dates."""
        with self.core.imap(user) as client:
            for name in ("Sent/2025", "R&-D.x"):
                ok(client.create(quoted(name)))
        flags = ["", r"\Seen", r"\Flagged \Answered", r"\Draft $Forwarded", "Important \\Seen"]
        with self.core.imap(user) as client:
            for n, text in enumerate(corpus()):
                box = ("INBOX", "Sent", "Sent/2025", "R&-D.x")[n % 4]
                when = imaplib.Time2Internaldate(DATE + 86_400 * n).encode()
                client.send(b"a1 APPEND %s (%s) %s {%d+}\r\n%s\r\n" % (
                    quoted(box).encode(), flags[n % 5].encode(), when, len(text), text))
                while not (line := client.readline()).startswith(b"a1 "):
                    pass
                self.assertTrue(line.startswith(b"a1 OK"), line)

    # Round trips.

    def round_trip(self, kind, *more, keywords=True):
        self.fill()
        before = self.everything("ann")
        place = f"{kind}:{self.folder}/{kind}"
        self.assertIn("exported 12 messages", self.transfer("export", "ann", place, *more))
        self.assertIn("imported 12 messages", self.transfer("import", "ben", place))
        after = self.everything("ben")
        if not keywords:
            before = {name: sorted((octets, tuple(flag for flag in flags if flag[:1] in b"\\$"), date)
                                   for octets, flags, date in rows) for name, rows in before.items()}
        self.assertEqual(after, before)
        # Once more: nothing is doubled, neither way.
        again = self.transfer("import", "ben", place)
        self.assertRegex(again, "imported 0 messages.*12 were there already")
        self.transfer("export", "ann", place, *more)
        self.assertRegex(self.transfer("import", "ben", place), "imported 0 messages")
        self.assertEqual(self.everything("ben"), after)
        return before

    def test_maildir(self):
        self.round_trip("maildir")
        read = mailbox.Maildir(f"{self.folder}/maildir", create=False)
        self.assertEqual(sorted(read.list_folders()), sorted(["Archive", "Drafts", "Junk", "Sent", "Sent.2025", "Trash",
                                                              "R&-D&AC4-x"]))
        with self.core.imap("ann") as client:
            rows = fetch_all(client, "INBOX")
        self.assertEqual(sorted(read.get_bytes(key).replace(b"\n", b"\r\n") for key in read.keys()),
                         [octets for octets, _, _ in rows])
        self.assertEqual(sorted(int(message.get_date()) for message in read), sorted(date for _, _, date in rows))
        self.assertEqual(sorted("S" in message.get_flags() for message in read),
                         sorted(b"\\Seen" in flags for _, flags, _ in rows))

    def test_maildir_nested(self):
        self.round_trip("maildir", "--layout", "fs")
        self.assertTrue(os.path.isdir(f"{self.folder}/maildir/Sent/2025/cur"))

    def test_mbox(self):
        self.round_trip("mbox")
        with self.core.imap("ann") as client:
            rows = fetch_all(client, "INBOX")
        read = mailbox.mbox(f"{self.folder}/mbox/INBOX.mbox", create=False)
        self.assertEqual(len(read), len(rows))
        self.assertEqual(sorted("F" in message.get_flags() for message in read),
                         sorted(b"\\Flagged" in flags for _, flags, _ in rows))
        subjects = sorted(message["Subject"] for message in read)
        self.assertEqual(subjects, sorted(re.search(rb"Subject: (.*)\r\n", octets).group(1).decode()
                                          for octets, _, _ in rows))

    def test_eml(self):
        self.round_trip("eml", keywords=False)
        self.assertEqual(len(glob.glob(f"{self.folder}/eml/**/*.eml", recursive=True)), 12)

    def test_mutt_reads_what_is_exported(self):
        if not shutil.which("mutt"):
            self.skipTest("mutt is not installed")
        self.fill()
        for kind, path in (("maildir", "maildir"), ("mbox", "mbox/INBOX.mbox")):
            self.transfer("export", "ann", f"{kind}:{self.folder}/{kind}")
            copy = f"{self.folder}/{kind}-copy"
            self.mutt(f"{self.folder}/{path}",
                      f"<tag-pattern><kill-line>~A<enter><copy-message><kill-line>{copy}<enter><quit>")
            self.assertEqual(len(mailbox.mbox(copy, create=False)), 3)

    def mutt(self, path, keys):
        """mutt at a terminal, since without one it only sends."""
        os.makedirs(f"{self.folder}/Mail", exist_ok=True)  # or it asks whether to make it
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        with subprocess.Popen(["mutt", "-n", "-F", "/dev/null", "-f", path, "-e",
                               "set confirmappend=no confirmcreate=no copy=no delete=no quit=yes mbox_type=mbox "
                               f"wait_key=no resolve=no auto_tag=yes; push '{keys}'"],
                              stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                              env=dict(os.environ, TERM="vt100", HOME=self.folder, LINES="24",
                                       COLUMNS="80")) as process:
            os.close(slave)
            threading.Thread(target=drain, args=(master,), daemon=True).start()
            try:
                self.assertEqual(process.wait(60), 0)
            finally:
                process.kill()

    def test_flags_are_brought_up_to_date(self):
        self.fill()
        for kind in ("maildir", "eml"):
            self.transfer("export", "ann", f"{kind}:{self.folder}/{kind}")
        with self.core.imap("ann", "INBOX", readonly=False) as client:
            ok(client.uid("STORE", "1:*", "FLAGS", r"(\Seen \Answered)"))
        for kind in ("maildir", "eml"):
            self.assertIn("exported 0 messages", self.transfer("export", "ann", f"{kind}:{self.folder}/{kind}"))
        names = os.listdir(f"{self.folder}/maildir/cur") + os.listdir(f"{self.folder}/eml/INBOX")
        self.assertEqual(len(names), 6)
        for name in names:
            self.assertRegex(name, r"(:2,RS|\.RS\.eml)$")

    # What others have written.

    def test_files_of_others(self):
        texts = [text.replace(b"\r\n", b"\n") for text in corpus(7)]
        maildir = mailbox.Maildir(f"{self.folder}/theirs", create=True)
        for text in texts[:3]:
            message = mailbox.MaildirMessage(text)
            message.add_flag("FS")
            maildir.add(message)
        maildir.add_folder("Alt.2020").add(texts[3])
        self.assertIn("imported 4 messages", self.transfer("import", "ann", f"maildir:{self.folder}/theirs",
                                                           "--mailbox", "Old"))
        with self.core.imap("ann") as client:
            rows = fetch_all(client, "Old")
            self.assertEqual([row[0].replace(b"\r\n", b"\n") for row in rows], sorted(texts[:3]))
            self.assertEqual({flags for _, flags, _ in rows}, {(b"\\Flagged", b"\\Seen")})
            self.assertEqual(len(fetch_all(client, "Old/Alt/2020")), 1)
        box = mailbox.mbox(f"{self.folder}/theirs.mbox", create=True)
        for text in texts[4:6] + texts[4:5]:  # one of them twice
            message = mailbox.mboxMessage(text)
            message.set_flags("RO")
            message.set_from("x@y.test", time.gmtime(DATE))
            box.add(message)
        box.flush()
        place = f"mbox:{self.folder}/theirs.mbox"
        self.assertIn("imported 3 messages", self.transfer("import", "ben", place))
        self.assertRegex(self.transfer("import", "ben", place), "imported 0 messages.*3 were there already")
        with self.core.imap("ben") as client:
            rows = fetch_all(client, "INBOX")
            self.assertEqual({(flags, date) for _, flags, date in rows}, {((b"\\Seen",), DATE)})
            self.assertEqual(sorted(row[0].replace(b"\r\n", b"\n") for row in rows), sorted(texts[4:6] + texts[4:5]))

    # Another server.

    def test_from_dovecot_and_back(self):
        with Dovecot(os.path.join(self.folder, "dovecot"), {"dora": "secret", "eve": "secret"}) as dovecot:
            texts = corpus(30)
            with imaplib.IMAP4("127.0.0.1", dovecot.imap_port, timeout=60) as client:
                client.login("dora", "secret")
                for name in ("Sent", "Sent.Alt", "&AMk-t&AOk-"):
                    client.create(quoted(name))
                listed = [row.rsplit(b" ", 1)[1].strip(b'"').decode() for row in ok(client.list())]
                for n, text in enumerate(texts):
                    ok(client.append(quoted(listed[n % len(listed)]), r"(\Seen \Flagged $Junk)" if n % 2 else None,
                                     imaplib.Time2Internaldate(DATE + n), text))
                theirs = {name: fetch_all(client, name) for name in listed}
            password = os.path.join(self.folder, "password")
            with open(password, "w") as file:
                file.write("secret\n")
            place = f"imap://dora@127.0.0.1:{dovecot.imap_port}"
            self.assertIn("imported 30 messages", self.transfer("import", "ann", place, "--password-file", password))
            ours = self.everything("ann")
            self.assertEqual(sorted(row for rows in ours.values() for row in rows),
                             sorted(row for rows in theirs.values() for row in rows))
            self.assertIn("&AMk-t&AOk-", ours)
            again = self.transfer("import", "ann", place, "--password-file", password)
            self.assertRegex(again, "imported 0 messages.*30 were there already")
            with imaplib.IMAP4("127.0.0.1", dovecot.imap_port, timeout=60) as client:
                client.login("dora", "secret")
                ok(client.append("INBOX", None, None, letter("one more")[1]))
            self.assertRegex(self.transfer("import", "ann", place, "--password-file", password),
                             "imported 1 messages.*30 were there already")

            back = f"imap://eve@127.0.0.1:{dovecot.imap_port}"
            self.assertIn("exported 31 messages", self.transfer("export", "ann", back, "--password-file", password))
            self.assertRegex(self.transfer("export", "ann", back, "--password-file", password),
                             "exported 0 messages.*31 were there already")
            with imaplib.IMAP4("127.0.0.1", dovecot.imap_port, timeout=60) as client:
                client.login("eve", "secret")
                names = [row.rsplit(b" ", 1)[1].strip(b'"').decode() for row in ok(client.list())]
                there = sorted(row for name in names for row in fetch_all(client, name))
            self.assertEqual(there, sorted(row for rows in self.everything("ann").values() for row in rows))

            with open(password, "w") as file:
                file.write("wrong\n")
            with self.assertRaisesRegex(CommandFailed, "exit 1"):
                self.transfer("import", "ann", place, "--password-file", password)

    # Interrupted.

    def test_killed_in_the_midst(self):
        texts = [letter(f"mail {n}", "line\n" * 100)[1] for n in range(1500)]
        box = mailbox.Maildir(f"{self.folder}/many", create=True)
        for text in texts:
            box.add(text.replace(b"\r\n", b"\n"))
        place = f"maildir:{self.folder}/many"
        killed = 0
        for _ in range(20):
            worker = threading.Thread(target=lambda: self.core.command(
                ["import", "ann", place, "--config", self.core.config], check=False))
            before = self.core.count("ann")
            worker.start()
            wait_until(lambda: self.core.count("ann") > before or not worker.is_alive(), 60, "it goes on",
                       interval=0.01)
            if not worker.is_alive():
                break
            self.core.kill9()
            killed += 1
            worker.join()
            self.core.start()
            if killed == 3:
                break
        self.assertGreater(killed, 0)
        self.transfer("import", "ann", place)
        got = sorted(self.core.messages("ann").values())
        self.assertEqual(len(got), 1500)
        self.assertEqual([text.replace(b"\r\n", b"\n") for text in got],
                         sorted(text.replace(b"\r\n", b"\n") for text in texts))

    def test_while_core_does_not_run(self):
        self.fill()
        before = self.everything("ann")
        self.core.stop()
        place = f"maildir:{self.folder}/offline"
        self.assertIn("exported 12 messages", self.transfer("export", "ann", place))
        self.assertIn("imported 12 messages", self.transfer("import", "ben", place))
        self.core.check()
        self.core.start()
        self.assertEqual(self.everything("ben"), before)

    def test_what_is_refused(self):
        os.makedirs(f"{self.folder}/full")
        with open(f"{self.folder}/full/file", "w") as file:
            file.write("mine")
        for arguments, status, words in (
                (("export", "ann", f"maildir:{self.folder}/full"), 2, "not empty"),
                (("import", "ann", f"maildir:{self.folder}/none"), 2, "holds no mail"),
                (("import", "ann", "somewhere"), 2, "maildir:PATH"),
                (("import", "nobody", f"eml:{self.folder}/full"), 1, "no user"),
                (("import", "ann", f"eml:{self.folder}/full", "--mailbox", "a//b"), 2, "empty level")):
            with self.subTest(arguments):
                with self.assertRaisesRegex(CommandFailed, f"(?s)exit {status}.*{words}"):
                    self.transfer(*arguments)
        self.transfer("export", "ann", f"eml:{self.folder}/anns")
        with self.assertRaisesRegex(CommandFailed, "another account"):
            self.transfer("export", "ben", f"eml:{self.folder}/anns")


if __name__ == "__main__":
    unittest.main()
