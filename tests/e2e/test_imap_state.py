"""What clients that keep a copy ask for: CONDSTORE, QRESYNC, MOVE, ESEARCH, against core, remote and Dovecot."""

import os
import pty
import re
import time
import unittest

from fwmail import DOMAIN, Node, NodeTest, Pair, letter, ok
from peers import Dovecot
from raw_imap import RawImap, numbers
from wire import smtp_send, wait_until

ANN = f"ann@{DOMAIN}"


def fetched(answer):
    """{UID: (flags, modseq)} of the FETCH lines."""
    rows = {}
    for line in answer.lines:
        if " FETCH (" in line:
            uid, flags, modseq = (re.search(pattern, line) for pattern in
                                  (r"UID (\d+)", r"FLAGS \(([^)]*)\)", r"MODSEQ \((\d+)\)"))
            rows[int(uid.group(1))] = (frozenset(flags.group(1).split()) - {"\\Recent"} if flags else None,
                                       int(modseq.group(1)) if modseq else None)
    return rows


def vanished(answer, earlier=True):
    sets = answer.all(r"VANISHED \(EARLIER\) (\S+)" if earlier else r"VANISHED (\d\S*)")
    return sorted(uid for (text,) in sets for uid in numbers(text))


def highest(answer):
    return int(answer.one(r"OK \[HIGHESTMODSEQ (\d+)\].*"))


def code(answer):
    match = re.search(r"\[([A-Z]+)", answer.tagged)
    return (answer.tagged.split(" ")[0], match.group(1) if match else None)


class Core(NodeTest):
    """A core alone."""

    def setUp(self):
        self.core = Node("core", os.path.join(self.new_folder(), "core"))
        self.core.add_user("ann")
        self.core.start()
        self.addCleanup(self.core.kill9)

    def raw(self, enable=""):
        client = RawImap(self.core.imap_port, "ann", self.core.password("ann"), enable)
        self.addCleanup(client.close)
        return client

    def fill(self, count, client=None):
        client = client or self.raw()
        for number in range(count):
            client.append("INBOX", letter(f"number {number}")[1])

    def end_in_order(self):
        self.core.stop()
        self.core.check()

    def test_move_by_imaplib(self):
        self.fill(3)
        with self.core.imap("ann", "INBOX", readonly=False) as client:
            ok(client.xatom("CREATE", "Else"))
            self.assertEqual(ok(client.uid("MOVE", "2:3", "Else")), [None])
            self.assertEqual(client.response("EXPUNGE")[1], [b"2", b"2"])
            self.assertEqual(ok(client.uid("SEARCH", "ALL")), [b"1"])
        self.assertEqual(len(self.core.state("ann", "Else")), 2)
        with self.core.imap("ann", "INBOX", readonly=False) as client:
            self.assertEqual(client.uid("MOVE", "1", "Nowhere")[0], "NO")
        self.end_in_order()

    def test_conditional_store_lets_only_one_win(self):
        self.fill(3)
        one, two = self.raw("CONDSTORE"), self.raw("CONDSTORE")
        since = highest(one.must("SELECT INBOX"))
        self.assertEqual(highest(two.must("SELECT INBOX")), since)
        self.assertTrue(one.must(f"UID STORE 2 (UNCHANGEDSINCE {since}) +FLAGS (\\Flagged)").ok)
        answer = two.must(f"UID STORE 1:3 (UNCHANGEDSINCE {since}) +FLAGS.SILENT (\\Deleted)")
        self.assertIn("[MODIFIED 2]", answer.tagged)
        rows = fetched(self.raw().must("EXAMINE INBOX") and two.must("UID FETCH 1:* (FLAGS MODSEQ)"))
        self.assertEqual({uid: flags for uid, (flags, _) in rows.items()},
                         {1: {"\\Deleted"}, 2: {"\\Flagged"}, 3: {"\\Deleted"}})
        self.assertEqual(len({modseq for _, modseq in rows.values()}), 3)

    def test_a_saved_result_and_pipelined_use_of_it(self):
        self.fill(6)
        client = self.raw()
        client.must("SELECT INBOX")
        tags = [client.start(command) for command in
                ("SEARCH RETURN (SAVE) 2,4", "STORE $ +FLAGS.SILENT (\\Flagged)", "UID SEARCH RETURN (COUNT) FLAGGED",
                 "MOVE $ Trash", "SEARCH RETURN (ALL COUNT) UNFLAGGED")]
        answers = [client.finish(tag) for tag in tags]
        self.assertTrue(all(answer.ok for answer in answers), answers)
        self.assertTrue(answers[2].lines[0].endswith("UID COUNT 2"))
        self.assertTrue(answers[4].lines[0].endswith("ALL 1:4 COUNT 4"))
        self.assertEqual(len(self.core.state("ann", "Trash")), 2)

    def test_resync_reads_only_what_changed_and_select_stays_fast(self):
        client = self.raw("QRESYNC")
        message = letter()[1]
        one = f"{{{len(message)}+}}\r\n".encode() + message + b"\r\n"
        for start in range(0, 600, 200):
            client.send(b"".join(b"m%d APPEND INBOX " % n + one for n in range(start, start + 200)))
            for number in range(start, start + 200):
                client.finish(f"m{number}")
        selected = client.must("SELECT INBOX")
        since, validity = highest(selected), selected.one(r"OK \[UIDVALIDITY (\d+)\].*")
        other = self.raw()
        other.must("SELECT INBOX")
        other.must("UID STORE 590 +FLAGS (\\Deleted)")
        other.must("UID EXPUNGE 590")
        other.must("UID STORE 7 +FLAGS (\\Answered)")
        answer = client.must(f"SELECT INBOX (QRESYNC ({validity} {since}))")
        self.assertEqual((vanished(answer), set(fetched(answer))), ([590], {7}))
        self.end_in_order()

    def test_a_mailbox_selected_again_is_as_another_session_left_it(self):
        client, other = self.raw(), self.raw()
        message = letter()[1]
        one = b" {%d+}\r\n" % len(message) + message
        for _ in range(3):
            other.send(b"m APPEND INBOX" + one * 200 + b"\r\n")
            other.finish("m")
        other.must("SELECT INBOX")

        def seen():
            """Again and anew: UIDs, the first unseen message, flags."""
            answer = client.must("SELECT INBOX")
            rows = client.must("FETCH 1:* (UID FLAGS)")
            unseen = answer.all(r"OK \[UNSEEN (\d+)\].*")
            return int(answer.one(r"(\d+) EXISTS")), unseen and int(unseen[0][0]), {
                uid: flags for uid, (flags, _) in fetched(rows).items()}

        expected = {uid: set() for uid in range(1, 601)}
        for command, change in [
                ("NOOP", lambda: None),
                ("UID STORE 1:3,500 +FLAGS (\\Seen word)", lambda: expected.update({n: {"\\Seen", "word"} for n in (1, 2, 3, 500)})),
                ("UID STORE 2 -FLAGS (\\Seen)", lambda: expected[2].discard("\\Seen")),
                ("UID STORE 1,600 +FLAGS.SILENT (\\Deleted)", lambda: [expected[n].add("\\Deleted") for n in (1, 600)]),
                ("EXPUNGE", lambda: [expected.pop(n) for n in (1, 600)]),
                ("UID MOVE 5 Trash", lambda: expected.pop(5)),
                ("UID COPY 6 INBOX", lambda: expected.update({601: set()}))]:
            for _ in range(2):
                unseen = 1 + next(i for i, uid in enumerate(sorted(expected)) if "\\Seen" not in expected[uid])
                self.assertEqual(seen(), (len(expected), unseen, expected), f"before {command}")
            other.must(command)
            change()
        self.assertEqual(seen()[2], expected)
        self.end_in_order()

    def test_headers_are_the_same_kept_beside_the_message_or_read_from_it(self):
        def message(filler, body="text\r\n"):
            long = "".join(f"X-Long: {n} {'y' * 60}\r\n" for n in range(filler))
            return f"Subject: one\r\n two\r\nFROM: <a@b.test>\r\n{long}x-last : z\r\n\r\n{body}"

        large = 300  # lines: more than is kept
        mails = [message(0), message(40), message(large), message(0, ""), "no header\r\n\r\nbody\r\n", message(large), message(3)]
        client = self.raw()
        for mail in mails:
            client.append("INBOX", mail.encode())
        client.must("SELECT INBOX")

        def header(mail):
            return "" if mail.startswith("no") else mail[:mail.index("\r\n\r\n") + 4]

        def fields(mail, wanted):
            lines = header(mail).replace("\r\n ", "\0").split("\r\n")
            return "".join(line.replace("\0", "\r\n ") + "\r\n" for line in lines if line and wanted(line.split(":")[0].strip().lower())) + "\r\n"

        def ask(items, uids="1:*"):
            """The literals of each message, in order."""
            rows = client.must(f"UID FETCH {uids} ({items})").lines
            return [re.findall(r"\{\d+\}\r\n(.*?)(?=\)?$| BODY\[)", row, re.S) for row in rows]

        self.assertEqual(ask("BODY.PEEK[HEADER]"), [[header(mail)] for mail in mails])
        self.assertEqual(ask("BODY.PEEK[HEADER]<5.20>"), [[header(mail)[5:25]] for mail in mails])
        some = ("subject", "x-last")
        self.assertEqual(ask("BODY.PEEK[HEADER.FIELDS (subject X-Last)]"), [[fields(mail, lambda n: n in some)] for mail in mails])
        self.assertEqual(ask("BODY.PEEK[HEADER.FIELDS.NOT (subject X-Last)]"), [[fields(mail, lambda n: n not in some)] for mail in mails])
        many = " ".join(f"none-{n}" for n in range(30)) + " from"
        self.assertEqual(ask(f"BODY.PEEK[HEADER.FIELDS ({many})]<0.9>"), [[fields(mail, lambda n: n == "from")[:9]] for mail in mails])
        self.assertEqual(ask("BODY.PEEK[HEADER] BODY.PEEK[TEXT]"), [[header(mail), mail[len(header(mail)):]] for mail in mails])
        self.assertEqual(ask("BODY.PEEK[HEADER]", "3,6"), [[header(mails[2])], [header(mails[5])]])
        # What was copied has it too, and what came by SMTP.
        client.must("UID COPY 1:3 INBOX")
        self.assertEqual(ask("BODY.PEEK[HEADER]", "8:10"), [[header(mail)] for mail in mails[:3]])
        smtp_send(self.core.smtp_port, "bob@elsewhere.test", [ANN], mails[1].encode())
        wait_until(lambda: client.must("NOOP") and len(ask("BODY.PEEK[HEADER]", "11")) == 1, 30, "the mail that came by SMTP")
        [[whole]], [[came]] = ask("BODY.PEEK[]", "11"), ask("BODY.PEEK[HEADER]", "11")
        self.assertEqual(came, whole[:whole.index("\r\n\r\n") + 4])
        self.end_in_order()


MUTT = """\
set imap_user=ann
set imap_pass="{password}"
set ssl_starttls=no
set ssl_force_tls=no
set imap_authenticators=login
set imap_condstore=yes
set imap_qresync=yes
set header_cache={home}/cache
set folder=imap://127.0.0.1:{port}/
set spoolfile=imap://127.0.0.1:{port}/INBOX
set quit=yes
set move=no
set delete=yes
set mark_old=no
set timeout=1
set sleep_time=0
"""


class Mutt(NodeTest):
    """mutt keeps headers on its disk and asks for what changed since."""

    def mutt(self, home, keys):
        """What mutt said to the server while it was driven by these keys."""
        pid, terminal = pty.fork()
        if pid == 0:
            try:
                os.chdir(home)
                os.execvpe("mutt", ["mutt", "-n", "-F", f"{home}/rc", "-d", "5", "-e", f'push "{keys}"'],
                           dict(os.environ, HOME=home, TERM="xterm"))
            finally:
                os._exit(127)
        try:
            while os.read(terminal, 65536):  # until its end
                pass
        except OSError:
            pass
        os.close(terminal)
        os.waitpid(pid, 0)
        with open(f"{home}/.muttdebug0", errors="replace") as log:
            return log.read()

    def test_mutt_resynchronises(self):
        folder = self.new_folder()
        core = Node("core", os.path.join(folder, "core"))
        core.add_user("ann")
        self.addCleanup(core.kill9)
        core.start()
        for number in range(5):
            core.append("ann", letter(f"number {number}")[1])
        home = os.path.join(folder, "home")
        os.makedirs(os.path.join(home, "cache"))
        with open(os.path.join(home, "rc"), "w") as file:
            file.write(MUTT.format(password=core.password("ann"), home=home, port=core.imap_port))
        self.assertIn("ENABLED QRESYNC", self.mutt(home, "<quit>"))
        with RawImap(core.imap_port, "ann", core.password("ann")) as other:
            other.must("SELECT INBOX")
            other.must("UID STORE 2 +FLAGS (\\Deleted)")
            other.must("EXPUNGE")
            other.must("UID STORE 4 +FLAGS (\\Flagged)")
        core.append("ann", letter("another")[1])
        said = self.mutt(home, "<first-entry><flag-message><delete-message><quit>")
        self.assertRegex(said, r"VANISHED \(EARLIER\) 2\b")
        self.assertRegex(said, r"FETCH \(UID 4 .*\\Flagged")
        self.assertNotRegex(said, r"4< \* \d+ FETCH \(UID [1-5] .*BODY")  # only the new one's header is read
        self.assertEqual({uid: flags for uid, (_, flags) in core.state("ann").items()},
                         {1: {b"\\Flagged"}, 4: {b"\\Flagged"}, 5: set(), 6: set()})
        core.stop()
        core.check()


class Differential(NodeTest):
    """The same dialogue with Dovecot and with core: what each tells must be the same, but for the modseqs."""

    def setUp(self):
        folder = self.new_folder()
        self.core = Node("core", os.path.join(folder, "core"))
        self.core.add_user("ann")
        self.addCleanup(self.core.kill9)
        self.core.start()
        self.dovecot = Dovecot(os.path.join(folder, "d"), users={"ann": "secret"},
                               settings="mail_max_userip_connections = 100\n")
        self.dovecot.start()
        self.addCleanup(self.dovecot.kill9)
        self.letters = [letter(f"number {number}")[1] for number in range(12)]

    def servers(self):
        return {"core": (self.core.imap_port, self.core.password("ann")), "dovecot": (self.dovecot.imap_port, "secret")}

    def both(self, dialogue):
        results = {}
        for name, (port, password) in self.servers().items():
            clients = []

            def connect(enable=""):
                clients.append(RawImap(port, "ann", password, enable))
                return clients[-1]

            try:
                results[name] = dialogue(connect)
            finally:
                for client in clients:
                    client.close()
        self.maxDiff = None
        self.assertEqual(results["core"], results["dovecot"])
        return results["core"]

    def test_resync_at_select(self):
        def dialogue(connect):
            seen = []
            first = connect("QRESYNC")
            for message in self.letters:
                first.append("INBOX", message)
            selected = first.must("SELECT INBOX")
            since, validity = highest(selected), selected.one(r"OK \[UIDVALIDITY (\d+)\].*")
            first.must("UNSELECT")
            other = connect()
            other.must("SELECT INBOX")
            other.must("UID STORE 2,3,9,12 +FLAGS (\\Deleted)")
            other.must("EXPUNGE")
            other.must("UID STORE 5 +FLAGS (\\Flagged)")
            other.must("UID STORE 6 FLAGS (\\Seen)")
            other.append("INBOX", self.letters[0])
            other.must("UNSELECT")

            def look(parameters):
                answer = first.must(f"SELECT INBOX (QRESYNC ({validity} {parameters}))")
                rows = {uid: flags for uid, (flags, modseq) in fetched(answer).items()}
                self.assertTrue(all(modseq > since for _, modseq in fetched(answer).values()))
                seen.append((vanished(answer), rows, code(answer), answer.one(r"(\d+) EXISTS")))
                return answer

            answer = look(f"{since}")
            look(f"{since} 1:6")
            look(f"{since} 1:6 (1:3 1:3)")
            look(f"{highest(answer)}")
            first.must("UNSELECT")
            stranger = first.must(f"SELECT INBOX (QRESYNC (1 {since}))")
            seen.append((vanished(stranger), fetched(stranger)))
            return seen

        seen = self.both(dialogue)
        self.assertEqual(seen[0][:2], ([2, 3, 9, 12], {5: {"\\Flagged"}, 6: {"\\Seen"}, 13: set()}))

    def test_changes_while_selected(self):
        def dialogue(connect):
            seen = []
            first, other = connect("QRESYNC"), connect()
            for message in self.letters:
                first.append("INBOX", message)
            start = highest(first.must("SELECT INBOX"))
            other.must("SELECT INBOX")
            other.must("UID STORE 1,4 +FLAGS (\\Deleted)")
            other.must("UID EXPUNGE 4")
            other.must("UID STORE 8 +FLAGS (\\Answered)")
            time.sleep(0.2)
            answer = first.must("NOOP")
            rows = fetched(answer)
            seen.append((vanished(answer, earlier=False), {uid: flags for uid, (flags, _) in rows.items()}))
            self.assertTrue(all(modseq and modseq > start for _, modseq in rows.values()))
            answer = first.must(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {start} VANISHED)")
            seen.append((vanished(answer), {uid: flags for uid, (flags, _) in fetched(answer).items()}))
            answer = first.must(f"UID FETCH 1:7 (FLAGS) (CHANGEDSINCE {start})")
            seen.append((vanished(answer), {uid: flags for uid, (flags, _) in fetched(answer).items()}))
            answer = first.must(f"UID SEARCH RETURN (ALL) MODSEQ {start + 1}")
            seen.append(re.sub(r"\d+$", "N", re.sub(r'TAG "[^"]*"', "TAG", answer.lines[0])))
            answer = first.must(f"UID STORE 1:3,8 (UNCHANGEDSINCE {start}) +FLAGS.SILENT ($Work)")
            seen.append((sorted(numbers(re.search(r"\[MODIFIED (\S+)\]", answer.tagged).group(1))),
                         sorted(uid for uid, (_, modseq) in fetched(answer).items() if modseq and uid in (2, 3))))
            answer = first.must("EXPUNGE")
            seen.append((vanished(answer, earlier=False), code(answer)))
            answer = first.must("UID MOVE 2:3 Else") if first.must("CREATE Else").ok else None
            seen.append((vanished(answer, earlier=False), code(answer)))
            answer = first.must("STATUS INBOX (MESSAGES HIGHESTMODSEQ)")
            seen.append(re.sub(r"HIGHESTMODSEQ \d+", "HIGHESTMODSEQ N", answer.lines[0]))
            return seen

        seen = self.both(dialogue)
        self.assertEqual(seen[0], ([4], {1: {"\\Deleted"}, 8: {"\\Answered"}}))

    def test_search_results(self):
        commands = ["SEARCH RETURN (MIN MAX COUNT ALL) 3:7", "UID SEARCH RETURN () FLAGGED", "SEARCH RETURN (SAVE) 2,4",
                    "FETCH $ (UID)", "UID SEARCH $ ALL", "SEARCH RETURN (SAVE MIN) 5:9", "UID SEARCH UID $",
                    "SEARCH RETURN (COUNT) KEYWORD nothing", "SEARCH RETURN (MIN) KEYWORD nothing",
                    "UID SEARCH OLDER 1", "UID SEARCH YOUNGER 100000"]

        def dialogue(connect):
            client = connect()
            for message in self.letters:
                client.append("INBOX", message)
            client.must("SELECT INBOX")
            client.must("UID STORE 3,5 +FLAGS (\\Flagged)")
            time.sleep(1.1)
            out = []
            for command in commands:
                answer = client.do(command)
                out.append((command, [set(re.sub(r'\(TAG "[^"]*"\) ?', "", line).replace("ALL ", "ALL=").
                                          replace("MIN ", "MIN=").replace("MAX ", "MAX=").replace("COUNT ", "COUNT=").
                                          split()) for line in answer.lines if "SEARCH" in line or "FETCH" in line], answer.ok))
            return out

        self.both(dialogue)


class Remote(NodeTest):
    """The outside copy keeps modseqs of its own."""

    def test_resync_at_the_remote(self):
        with Pair(os.path.join(self.new_folder(), "pair")) as pair:
            for number in range(4):
                smtp_send(pair.core.smtp_port, "bob@elsewhere.test", ANN, letter(f"number {number}")[1])
            pair.wait_for_same_state(count=4)
            outside = RawImap(pair.remote.imap_port, "ann", pair.remote.password("ann"), "QRESYNC")
            self.addCleanup(outside.close)
            selected = outside.must("SELECT INBOX")
            since, validity = highest(selected), selected.one(r"OK \[UIDVALIDITY (\d+)\].*")
            with RawImap(pair.core.imap_port, "ann", pair.core.password("ann")) as inside:
                inside.must("SELECT INBOX")
                inside.must("UID STORE 2 +FLAGS (\\Deleted)")
                inside.must("EXPUNGE")
                inside.must("UID STORE 3 +FLAGS (\\Flagged)")
            smtp_send(pair.core.smtp_port, "bob@elsewhere.test", ANN, letter("another")[1])
            pair.wait_for_same_state(count=4)
            wait_until(lambda: pair.remote.state("ann").get(3, (0, ()))[1] == {b"\\Flagged"}, 60, "the flag is outside")
            answer = outside.must(f"SELECT INBOX (QRESYNC ({validity} {since}))")
            self.assertEqual(vanished(answer), [2])
            self.assertEqual({uid: flags for uid, (flags, _) in fetched(answer).items()},
                             {3: {"\\Flagged"}, 5: frozenset()})
            pair.stop()
            pair.check()


if __name__ == "__main__":
    unittest.main()
