"""SORT and THREAD: the same few hundred generated mails in core and in Debian's Dovecot, compared answer for answer; and
what the sealed view refuses."""

import os
import random
import re
import unittest

from fwmail import DOMAIN, Node, NodeTest, Pair
from peers import Dovecot
from raw_imap import RawImap
from wire import smtp_send

ANN = f"ann@{DOMAIN}"
KEYS = ("ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO")

SUBJECTS = ["Lunch", "lunch", "LUNCH!", "foo_bar", "fooabar", "FOOZBAR", "Größe", "=?utf-8?q?Gr=C3=B6=C3=9Fe?=", "=?iso-8859-1?q?gr=F6=DFe?=",
            "=?utf-8?b?44Oh44O844Or?=", "=?iso-2022-jp?b?GyRCJWEhPCVrGyhC?=", "[list] weekly", "weekly", "[a] [b]", "[b]", "", "(fwd)", "Straße",
            "a", "ab", "a b", "a  b", "a\r\n b", "Ångström", "=?utf-8?q?A=CC=8Angstr=C3=B6m?=", "zebra", "Éclair", "eclair", "12", "2"]
AROUND = ["{}", "{}", "{}", "Re: {}", "RE: {}", "Fwd: {}", "fw: {}", "Re: [list] {}", "[list] Re: {}", "{} (fwd)", "[fwd: {}]", "Re[2]: {}", "re : Re: {}"]
NAMES = ["", "Bob", "bob", '"Doe, Jane"', "=?utf-8?q?J=C3=B6rg?=", "Jürgen", "=?iso-8859-1?q?=C4rger?=", "Zoë", '""']
LOCALS = ["bob", "Bob", "alice", "ALICE", "jane.doe", '"odd one"', "x_y", "xay", "zz"]
DATES = ["Sat, 21 Nov 2026 12:{:02}:00 +0000", "Sat, 21 Nov 2026 14:{:02}:00 +0200", "21 Nov 2026 07:{:02} -0500", "Sat, 21 Nov 26 12:{:02}:30 GMT",
         "Sat, 21 Nov 2026 12:{:02}:00 (no zone)", "Sun, 1 Jan 1995 00:{:02}:00 EST"]


class Mails:
    """Seeded. Threads with parents that are missing, ids that come twice, References cut short or left out."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.written = []  # (id, references, subject)

    def address(self):
        name, local = self.random.choice(NAMES), self.random.choice(LOCALS)
        address = f"{local}@{self.random.choice(('a.test', 'B.test'))}"
        return f"{name} <{address}>" if name else self.random.choice((address, f"<{address}>"))

    def addresses(self):
        if self.random.random() < 0.08:
            return f"Team: {self.address()}, {self.address()};"
        return ", ".join(self.address() for _ in range(self.random.randint(1, 3)))

    def thread(self, number):
        """Message-ID, References and In-Reply-To fields, and a subject."""
        own, subject = f"<{number}@x.test>", self.random.choice(AROUND).format(self.random.choice(SUBJECTS))
        references = []
        if self.written and self.random.random() < 0.6:
            parent, above, said = self.random.choice(self.written[-40:])
            references = above + [parent]
            if self.random.random() < 0.8:
                subject = "Re: " + said
            if self.random.random() < 0.2:
                references = references[-2:]
            if self.random.random() < 0.1:
                references = [f"<missing{self.random.randint(1, 9)}@x.test>"] + references
        lines = []
        if references and self.random.random() < 0.85:
            lines.append("References: " + "\r\n ".join(references))
        if references and self.random.random() < 0.7:
            lines.append(f"In-Reply-To: {references[-1]}" if self.random.random() < 0.9 else f"In-Reply-To: your mail {references[-1]} of old")
        kind = self.random.random()
        if kind < 0.04 and self.written:
            lines.append(f"Message-ID: {self.random.choice(self.written)[0]}")
        elif kind < 0.96:
            lines.append(f"Message-ID: {own}")
            self.written.append((own, references, subject))
        if self.random.random() < 0.08:  # one that never came, to which others will refer
            self.written.append((f"<lost{number}@x.test>", references, subject))
        return lines, subject

    def make(self, number):
        fields, subject = self.thread(number)
        if self.random.random() < 0.96:
            fields.append(f"Subject: {subject}")
        if self.random.random() < 0.94:
            fields.append("Date: " + self.random.choice(DATES).format(self.random.randint(0, 59)))
        for name, chance in (("From", 0.96), ("To", 0.9), ("Cc", 0.5)):
            if self.random.random() < chance:
                fields.append(f"{name}: {self.addresses()}")
        self.random.shuffle(fields)
        size = self.random.choice((0, 10, 10, 500, 2000))
        return ("\r\n".join(["X-Number: " + str(number)] + fields) + "\r\n\r\n" + "x" * size + "\r\n").encode()


class Beside(NodeTest):
    """One core and one Dovecot, filled alike by APPEND with odd and equal internal dates."""

    COUNT = 300

    @classmethod
    def setUpClass(cls):
        folder = cls.new_folder()
        cls.core = Node("core", os.path.join(folder, "core"))
        cls.core.add_user("ann")
        cls.core.start()
        cls.addClassCleanup(cls.core.kill9)
        cls.dovecot = Dovecot(os.path.join(folder, "dovecot"), {"ann": "secret"})
        cls.dovecot.start()
        cls.addClassCleanup(cls.dovecot.stop)
        cls.seed = int(os.environ.get("FWMAIL_SEED", "5256"))
        mails, dates = Mails(cls.seed), random.Random(cls.seed)
        cls.letters = [mails.make(number) for number in range(1, cls.COUNT + 1)]
        cls.clients = {"core": RawImap(cls.core.imap_port, "ann", cls.core.password("ann")),
                       "dovecot": RawImap(cls.dovecot.imap_port, "ann", "secret")}
        for client in cls.clients.values():
            cls.addClassCleanup(client.close)
        for start in range(0, cls.COUNT, 50):
            tags = []
            for letter in cls.letters[start:start + 50]:
                when = f"{dates.randint(10, 12)}-Nov-2026 1{dates.randint(0, 1)}:0{dates.randint(0, 9)}:00 +0000"
                for client in cls.clients.values():
                    client.serial += 1
                    tag = f"a{client.serial}"
                    client.send(f'{tag} APPEND INBOX "{when}" {{{len(letter)}+}}\r\n'.encode() + letter + b"\r\n")
                    tags.append((client, tag))
            for client, tag in tags:
                assert client.finish(tag).ok
        for client in cls.clients.values():
            client.must("SELECT INBOX")

    def answer(self, name, command, what):
        answer = self.clients[name].must(command)
        # Dovecot writes a space behind THREAD where no thread follows; RFC 5256 4 has none there.
        return [line.rstrip(" ") for line in answer.lines if line.startswith(what)]

    def compare(self, command, what):
        ours, theirs = self.answer("core", command, what), self.answer("dovecot", command, what)
        if ours != theirs:
            self.explain(command, ours[0], theirs[0])
        self.assertEqual(ours, theirs, command)
        self.assertEqual(len(ours), 1)
        return ours[0]

    def explain(self, command, ours, theirs):
        """The mails around the first difference."""
        words = [re.findall(r"\d+|[()]", line) for line in (ours, theirs)]
        at = next((i for i, pair in enumerate(zip(*words)) if pair[0] != pair[1]), 0)
        print(f"seed {self.seed}: {command}", at, *(" ".join(word[max(0, at - 12):at + 12]) for word in words), sep="\n")
        for number in sorted({int(n) for word in words for n in word[max(0, at - 3):at + 4] if n.isdigit()}):
            print(number, self.letters[number - 1].split(b"\r\n\r\n")[0].decode())

    def test_sort(self):
        orders = set()
        for key in KEYS:
            for command in (f"SORT ({key}) UTF-8 ALL", f"UID SORT (REVERSE {key}) UTF-8 ALL"):
                with self.subTest(command=command):
                    orders.add(self.compare(command, "SORT"))
        for criteria in ("SUBJECT REVERSE DATE", "REVERSE FROM SUBJECT ARRIVAL", "TO CC SIZE", "SIZE REVERSE SUBJECT"):
            with self.subTest(criteria=criteria):
                orders.add(self.compare(f"SORT ({criteria}) UTF-8 ALL", "SORT"))
        self.assertGreater(len(orders), 15)
        for search in ("SUBJECT lunch", "LARGER 700 NOT FROM bob", "20:60", "SENTON 21-Nov-2026", "FROM nobody-at-all"):
            with self.subTest(search=search):
                self.compare(f"UID SORT (SUBJECT DATE) UTF-8 {search}", "SORT")

    def test_extended_sort(self):
        def options(name, command):
            line, = self.answer(name, command, "ESEARCH")
            return re.sub(r'\(TAG "[^"]*"\) ?', "", line)

        for returned in ("MIN MAX COUNT", "ALL", "", "ALL COUNT", "MIN", "MAX"):
            for key in ("DATE", "REVERSE SUBJECT"):
                command = f"UID SORT RETURN ({returned}) ({key}) UTF-8 ALL"
                with self.subTest(command=command):
                    ours, theirs = options("core", command), options("dovecot", command)
                    self.assertEqual(sorted(ours.split()), sorted(theirs.split()))

    def test_thread(self):
        shapes = set()
        for algorithm in ("REFERENCES", "ORDEREDSUBJECT"):
            for search in ("ALL", "1:120", "SUBJECT lunch", "NOT SUBJECT lunch", "LARGER 400", "SMALLER 400", "FROM nobody-at-all"):
                for command in (f"THREAD {algorithm} UTF-8 {search}", f"UID THREAD {algorithm} UTF-8 {search}"):
                    with self.subTest(command=command):
                        shapes.add(self.compare(command, "THREAD"))
        self.assertGreater(len(shapes), 10)
        self.assertTrue(any("((" in shape for shape in shapes))


class Sealed(NodeTest):
    def test_what_the_outside_sorts(self):
        with Pair(os.path.join(self.new_folder(), "pair")) as pair:
            for number, (sender, parent) in enumerate((("zoe", 0), ("ann", 0), ("bob", 1)), 1):
                references = f"References: <{parent}@x.test>\r\n" if parent else ""
                smtp_send(pair.core.smtp_port, "bob@elsewhere.test", ANN,
                          (f"From: {sender}@elsewhere.test\r\nTo: {ANN}\r\nSubject: the same\r\nMessage-ID: <{number}@x.test>\r\n"
                           f"Date: Sat, 21 Nov 2026 12:0{9 - number}:00 +0000\r\n{references}\r\nhello\r\n").encode())
                pair.wait_for_same_state(count=number)
            inside = RawImap(pair.core.imap_port, "ann", pair.core.password("ann"))
            outside = RawImap(pair.remote.imap_port, "ann", pair.remote.password("ann"))
            for client in (inside, outside):
                self.addCleanup(client.close)
                client.must("SELECT INBOX")
                self.assertEqual(client.must("SORT (FROM) UTF-8 ALL").lines, ["SORT 2 3 1"])
                self.assertEqual(client.must("SORT (DATE) UTF-8 ALL").lines, ["SORT 3 2 1"])
            self.assertEqual(inside.must("SORT (SUBJECT) UTF-8 ALL").lines, ["SORT 1 2 3"])
            self.assertEqual(inside.must("THREAD REFERENCES UTF-8 ALL").lines, ["THREAD ((2)(1 3))"])
            # Outside every subject is the same: none sorts, none joins.
            self.assertEqual(outside.must("THREAD REFERENCES UTF-8 ALL").lines, ["THREAD (2)(1 3)"])
            for command in ("SORT (DATE SUBJECT) UTF-8 ALL", "THREAD ORDEREDSUBJECT UTF-8 ALL", "SORT (DATE) UTF-8 SUBJECT same"):
                self.assertTrue(outside.do(command).tagged.startswith("NO [CANNOT]"), command)
            pair.stop()
            pair.check()


if __name__ == "__main__":
    unittest.main()
