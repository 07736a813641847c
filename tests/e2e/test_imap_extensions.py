"""IMAP's extensions, each by a foreign client or by a dialogue that Dovecot is asked too."""

import base64
import os
import re
import unittest

from fwmail import DOMAIN, Node, NodeTest, Pair, letter, ok
from peers import Dovecot
from raw_imap import RawImap
from wire import smtp_send

ANN = f"ann@{DOMAIN}"
PICTURE = bytes(range(256)) * 3000  # with NULs, and larger than what is kept in memory
MIXED = (b"From: a@one.test\r\nSubject: parts\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n"
         b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
         b"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
         b"<style>p {}</style><p>Gr=C3=BC=C3=9Fe,\r\n  <b>Welt</b>!</p>\r\n"
         b"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
         + base64.encodebytes(PICTURE).replace(b"\n", b"\r\n") +
         b"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: x-strange\r\n\r\nodd\r\n--b--\r\n")


class Core(NodeTest):
    @classmethod
    def setUpClass(cls):
        cls.core = Node("core", os.path.join(cls.new_folder(), "core"))
        cls.core.add_user("ann")
        cls.core.start()
        cls.addClassCleanup(cls.core.kill9)

    def raw(self, enable="", node=None):
        node = node or self.core
        client = RawImap(node.imap_port, "ann", node.password("ann"), enable)
        self.addCleanup(client.close)
        return client

    def fresh(self, client, name, count=0):
        """A mailbox of the test's own, selected."""
        client.must(f"CREATE {name}")
        for number in range(count):
            client.append(name, letter(f"number {number}")[1])
        return client.must(f"SELECT {name}")

    def test_multiappend_keeps_all_or_none(self):
        client = self.raw()
        self.fresh(client, "Many")
        large = letter("large", "A line of the large one.\r\n" * 40000)[1]
        messages = [letter("one")[1], large, *(letter("x", "y\r\n" * 60000)[1] for _ in range(30)), letter("last")[1]]
        client.send(b'm APPEND Many (\\Seen) "01-Feb-2026 00:00:00 +0000"' +
                    b"".join(b" {%d+}\r\n" % len(message) + message for message in messages) + b"\r\n")
        answer = client.finish("m")
        self.assertRegex(answer.tagged, rf"OK \[APPENDUID \d+ 1:{len(messages)}\]")
        self.assertEqual(self.core.message("ann", 2, "Many"), large)
        self.assertEqual(self.core.message("ann", 20, "Many"), messages[19])
        self.assertEqual(self.core.state("ann", "Many")[1][1], {b"\\Seen"})
        for end in (b" {0+}\r\n\r\n", b" {999999999}\r\n", b" (\\Frob) {3+}\r\nabc\r\n"):
            client.send(b"n APPEND Many" + b"".join(b" {%d+}\r\n" % len(m) + m for m in messages[:3]) + end)
            self.assertFalse(client.finish("n").ok)
        self.assertEqual(self.core.count("ann", "Many"), len(messages))
        # The client goes in the middle: nothing is kept either.
        other = self.raw()
        other.send(b"o APPEND Many {%d+}\r\n" % len(large) + large + b" {100+}\r\nabc")
        other.close()
        self.assertEqual(client.must("NOOP").all(r"(\d+) EXISTS"), [])

    def test_parts_are_decoded(self):
        client = self.raw()
        self.fresh(client, "Parts")
        client.append("Parts", MIXED)
        client.must("NOOP")
        row = client.must("FETCH 1 (BINARY.SIZE[1] BINARY.SIZE[2] BINARY.PEEK[1])").lines[0]
        self.assertIn(f"BINARY.SIZE[2] {len(PICTURE)} ", row)
        self.assertIn("Grüße,\r\n  <b>Welt</b>!</p>", row)
        self.assertRegex(row, r"BINARY\[1\] \{")  # no NUL, no literal8
        row = client.must("FETCH 1 (UID BINARY.PEEK[2])").lines[0].encode("utf-8", "surrogateescape")
        self.assertIn(b"BINARY[2] ~{%d}\r\n" % len(PICTURE) + PICTURE + b")", row)
        for first, count in ((5, 11), (100000, 300000), (len(PICTURE) - 3, 50)):
            row = client.must(f"FETCH 1 BINARY.PEEK[2]<{first}.{count}>").lines[0].encode("utf-8", "surrogateescape")
            part = PICTURE[first:first + count]
            literal8 = b"~" if b"\0" in part else b""
            self.assertIn(b"BINARY[2]<%d> %s{%d}\r\n" % (first, literal8, len(part)) + part + b")", row)
        self.assertIn("[UNKNOWN-CTE]", client.do("FETCH 1 BINARY[3]").tagged)
        self.assertIn("BINARY[7] NIL", client.must("FETCH 1 BINARY.PEEK[7]").lines[0])
        self.assertRegex(client.must("FETCH 1 PREVIEW").lines[0], r'PREVIEW \{\d+\}\r\nGrüße, Welt ?!')
        with self.core.imap("ann", "Parts") as known:  # a client that knows nothing of it goes on
            self.assertEqual(known.fetch("1", "(BODY.PEEK[])")[1][0][1], MIXED)

    def test_ids_and_dates(self):
        client = self.raw()
        selected = self.fresh(client, "Ids", 2)
        mailbox = selected.one(r"OK \[MAILBOXID \((\w+)\)\].*")
        client.must("COPY 1 INBOX")
        ids = [re.search(r"EMAILID \((\w+)\)", line).group(1)
               for line in client.must("FETCH 1:2 (EMAILID THREADID SAVEDATE)").lines]
        self.assertEqual(len(set(ids)), 2)
        self.assertEqual(client.must(f"SEARCH EMAILID {ids[1]}").lines, ["SEARCH 2"])
        self.assertEqual(client.must("SEARCH EMAILID M0").lines, ["SEARCH"])
        client.must("RENAME Ids Renamed")
        self.assertEqual(client.must("STATUS Renamed (MAILBOXID)").lines, [f"STATUS Renamed (MAILBOXID ({mailbox}))"])
        client.must("SELECT INBOX")
        self.assertIn(f"EMAILID ({ids[0]})", client.must("FETCH * EMAILID").lines[0])
        self.assertRegex(client.must("CREATE Another").tagged, r"MAILBOXID \(F\w+\)")

    def test_uses_of_mailboxes(self):
        client = self.raw()
        self.assertIn("[USEATTR]", client.do("CREATE MySent (USE (\\Sent))").tagged)
        lines = client.must('LIST (SPECIAL-USE) "" * RETURN (SPECIAL-USE STATUS (MESSAGES SIZE))').lines
        self.assertEqual(sum(line.startswith("LIST") for line in lines), 5)
        self.assertEqual(sum(line.startswith("STATUS") for line in lines), 5)

    def test_uid_only(self):
        client = self.raw("UIDONLY")
        self.fresh(client, "Only", 3)
        self.assertIn("[UIDREQUIRED]", client.do("FETCH 1 FLAGS").tagged)
        self.assertEqual(client.must("UID FETCH 2 (FLAGS)").lines, ["2 UIDFETCH (FLAGS (\\Recent))"])
        client.must("UID STORE 2 +FLAGS.SILENT (\\Deleted)")
        self.assertEqual(client.must("EXPUNGE").lines, ["VANISHED 2"])

    def test_utf8_and_rev2_names(self):
        old, utf8, rev2 = self.raw(), self.raw("UTF8=ACCEPT"), self.raw("IMAP4rev2")
        utf8.must('CREATE "Entwürfe/Łódź"')
        self.assertIn("Entw&APw-rfe/&AUEA8w-d&AXo-", str(old.must('LIST "" Entw*').lines))
        self.assertIn('"Entwürfe/Łódź"', str(utf8.must('LIST "" Entw*').lines))
        lines = rev2.must('SELECT "Entwürfe/Łódź"').lines
        self.assertIn('LIST () "/" "Entwürfe/Łódź"', lines)
        self.assertFalse([line for line in lines if "RECENT" in line or "UNSEEN" in line])
        header = "From: Jörg <jörg@example.test>\r\nSubject: Grüße\r\n\r\nHallo\r\n".encode()
        utf8.send(f'u APPEND "Entwürfe/Łódź" UTF8 (~{{{len(header)}+}}\r\n'.encode() + header + b")\r\n")
        self.assertTrue(utf8.finish("u").ok)
        rev2.must("NOOP")
        self.assertRegex(rev2.must("SEARCH SUBJECT \"grüße\"").lines[0], r'ESEARCH \(TAG "\w+"\) ALL 1$')
        self.assertIn("Grüße", rev2.must("FETCH 1 BODY.PEEK[HEADER]").lines[0])

    def test_imaplib_with_utf8(self):
        self.core.append("ann", "Subject: über\r\n\r\nx\r\n".encode())
        with self.core.imap("ann") as client:
            ok(client.enable("UTF8=ACCEPT"))
            ok(client.create('"Größe"'))
            ok(client.select('"Größe"'))
            ok(client.select('"INBOX"'))
            self.assertTrue(ok(client.uid("SEARCH", 'SUBJECT', '"über"'))[0])

    def test_pages(self):
        client = self.raw()
        self.fresh(client, "Pages", 7)
        self.assertEqual(client.must("UID SEARCH RETURN (PARTIAL -1:-3) ALL").one(r".* PARTIAL (\(.*\))"),
                         "(-1:-3 5:7)")
        rows = client.must("UID FETCH 1:* (UID) (PARTIAL 2:3)").lines
        self.assertEqual(rows, ["2 FETCH (UID 2)", "3 FETCH (UID 3)"])

    def test_within(self):
        client = self.raw()
        self.fresh(client, "Within", 1)
        message = letter("old")[1]
        client.must(f'APPEND Within "01-Jan-2020 00:00:00 +0000" {{{len(message)}+}}\r\n' + message.decode())
        self.assertEqual(client.must("UID SEARCH OLDER 86400").lines, ["SEARCH 2"])
        self.assertEqual(client.must("UID SEARCH YOUNGER 86400").lines, ["SEARCH 1"])
        self.assertEqual(client.must("UID SEARCH SAVEDSINCE 1-Jan-2021").lines, ["SEARCH 1 2"])

    @classmethod
    def tearDownClass(cls):
        cls.core.stop()
        cls.core.check()


class LikeDovecot(NodeTest):
    """LIST and STATUS tell the same as Dovecot's."""

    COMMANDS = ['LIST "" *', 'LIST (SUBSCRIBED) "" *', 'LIST (SUBSCRIBED RECURSIVEMATCH) "" %',
                'LIST "" % RETURN (SUBSCRIBED CHILDREN)', 'LIST "" ("Work/%" "IN*") RETURN (CHILDREN)',
                'LIST () "" "" RETURN (CHILDREN)', 'LIST "" * RETURN (STATUS (MESSAGES UNSEEN UIDNEXT))',
                "STATUS Work (MESSAGES UNSEEN)", 'LSUB "" *', 'LSUB "" %', 'LIST "Work/" % RETURN (SUBSCRIBED)',
                'LIST "" "Work*" RETURN (CHILDREN)']

    def test_lists(self):
        folder = self.new_folder()
        core = Node("core", os.path.join(folder, "core"))
        core.add_user("ann")
        self.addCleanup(core.kill9)
        core.start()
        with Dovecot(os.path.join(folder, "d"), users={"ann": "secret"}) as dovecot:
            results = []
            for port, password in ((core.imap_port, core.password("ann")), (dovecot.imap_port, "secret")):
                with RawImap(port, "ann", password) as client:
                    for use in ("Drafts", "Sent", "Archive", "Junk", "Trash"):
                        client.do(f"CREATE {use}")
                        client.do(f"UNSUBSCRIBE {use}")
                    for name in ("Work", "Work/2024", "Work/2024/Q1", "Work/2025", "Old", "Old/x"):
                        client.must(f"CREATE {name}")
                    for name in ("INBOX", "Work/2024/Q1", "Old/x"):
                        client.must(f"SUBSCRIBE {name}")
                    client.append("Work", letter()[1])
                    results.append([(command, sorted(map(self.plain, client.must(command).lines)))
                                    for command in self.COMMANDS])
        self.maxDiff = None
        for ours, theirs in zip(*results):
            self.assertEqual(ours, theirs)

    @staticmethod
    def plain(line):
        """Without what either may tell or not."""
        line = line.replace('"CHILDINFO"', "CHILDINFO")  # an astring either way
        match = re.fullmatch(r"(LIST|LSUB) \(([^)]*)\) (.*)", line)
        if not match:
            return line
        attributes = {word.lower() for word in match.group(2).split()}
        attributes -= {"\\drafts", "\\sent", "\\archive", "\\junk", "\\trash", "\\unmarked", "\\marked",
                       "\\hasnochildren", "\\haschildren"}
        return f"{match.group(1)} {sorted(attributes)} {match.group(3)}"


class Outside(NodeTest):
    def test_the_sealed_view_has_ids_of_its_own(self):
        with Pair(os.path.join(self.new_folder(), "pair")) as pair:
            smtp_send(pair.core.smtp_port, "bob@elsewhere.test", ANN, letter("hidden", "not for outside\r\n")[1])
            pair.wait_for_same_state(count=1)
            seen = []
            for node in (pair.core, pair.remote):
                with RawImap(node.imap_port, "ann", node.password("ann")) as client:
                    selected = client.must("EXAMINE INBOX")
                    row = client.must("FETCH 1 (EMAILID PREVIEW RFC822.SIZE SAVEDATE)").lines[0]
                    seen.append((selected.one(r"OK \[MAILBOXID \((\w+)\)\].*"),
                                 re.search(r"EMAILID \((\w+)\)", row).group(1), re.search(r'PREVIEW "(.*?)"', row).group(1)))
                    self.assertTrue(client.must(f"SEARCH EMAILID {seen[-1][1]}").lines[0].endswith(" 1"))
                    if node is pair.remote:
                        self.assertFalse(client.do("CREATE x (USE (\\Junk))").ok)
                        self.assertFalse(client.do("APPEND INBOX {3+}\r\nabc {3+}\r\ndef").ok)
                        client.must("NOOP")
            self.assertNotEqual(seen[0][0], seen[1][0])
            self.assertNotEqual(seen[0][1], seen[1][1])
            self.assertEqual([preview for _, _, preview in seen], ["not for outside", ""])
            pair.stop()
            pair.check()


if __name__ == "__main__":
    unittest.main()
