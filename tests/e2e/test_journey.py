"""The journey of a mail: a foreign sender, core, a foreign Postfix, the remote, a foreign reader."""

import email
import email.policy
import imaplib
import os
import re
import subprocess
import unittest

from fwmail import CORE_HOST, DOMAIN, REMOTE_HOST, NodeTest, Pair, letter, ok, wait_for_messages
from openpgp import Gpg, Rnp, Sq, encrypted_part
from peers import Postfix
from secrets_scan import find_in_folder, find_in_memory, find_in_octets, secret_scalars
from wire import SANITIZER, SmtpReply, SmtpSink, smtp_send, wait_until

ANN = f"ann@{DOMAIN}"


class Journey(NodeTest):
    """One pair for all; each test adds its own mail and looks for that."""

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.new_folder()
        cls.tap = SmtpSink()
        cls.addClassCleanup(cls.tap.stop)
        cls.pair = Pair(cls.folder, users=("ann", "eve"), tap_port=cls.tap.port)
        cls.addClassCleanup(cls.pair.kill9)
        cls.pair.start()

    def uid_of(self, node, identity, user="ann"):
        """The UID of the one message with this Message-ID; two of them are a fault."""

        def find():
            return [uid for uid, (found, _) in node.state(user).items() if found == identity]

        uids = wait_until(find, 60, lambda: f"{identity} at {node.role}\n{node.log()[-2000:]}", interval=0.2)
        self.assertEqual(len(uids), 1)
        return uids[0]

    def deliver(self, subject="hello", body="A line.\r\n"):
        identity, message = letter(subject, body)
        smtp_send(self.pair.core.smtp_port, "bob@elsewhere.test", ANN, message)
        return identity, message

    # In.

    def test_swaks_delivers_to_core(self):
        identity = f"<swaks.{os.getpid()}@elsewhere.test>"
        subprocess.run(["swaks", "--server", f"127.0.0.1:{self.pair.core.smtp_port}", "--from", "bob@elsewhere.test",
                        "--to", ANN, "--header", f"Message-Id: {identity}", "--body", "by swaks", "--silent", "2"],
                       check=True, timeout=60)
        uid = self.uid_of(self.pair.core, identity.encode())
        self.assertIn(b"by swaks", self.pair.core.message("ann", uid))

    def test_msmtp_delivers_to_core(self):
        identity, message = letter("by msmtp")
        subprocess.run(["msmtp", "--file=/dev/null", "--host=127.0.0.1", f"--port={self.pair.core.smtp_port}",
                        "--tls=off", "--auth=off", "--from=bob@elsewhere.test", "--", ANN],
                       input=message, check=True, timeout=60)
        uid = self.uid_of(self.pair.core, identity)
        self.assertTrue(self.pair.core.message("ann", uid).endswith(b"\r\n\r\nA line.\r\n"))

    def test_postfix_delivers_to_core(self):
        identity, message = letter("by Postfix", "..dots\r\n.\r\nend\r\n")
        smtp_send(self.pair.postfix.port, "bob@elsewhere.test", ANN, message)
        uid = self.uid_of(self.pair.core, identity)
        self.assertTrue(self.pair.core.message("ann", uid).endswith(b"\r\n\r\n..dots\r\n.\r\nend\r\n"))

    def test_core_refuses_strangers_and_relaying(self):
        _, message = letter()
        for recipient in (f"nobody@{DOMAIN}", "someone@elsewhere.test"):
            with self.assertRaises(SmtpReply) as refused:
                smtp_send(self.pair.core.smtp_port, "bob@elsewhere.test", recipient, message)
            self.assertEqual(refused.exception.code // 100, 5)

    # Through.

    def test_remote_shows_what_core_shows(self):
        sent = [self.deliver(f"number {number}")[0] for number in range(20)]
        for identity in sent:
            self.uid_of(self.pair.core, identity)
        state = self.pair.wait_for_same_state()
        self.assertLessEqual(set(sent), {identity for identity, _ in state.values()})

    def test_each_user_gets_only_his_own(self):
        identity, message = letter("for eve", to=f"eve@{DOMAIN}")
        smtp_send(self.pair.core.smtp_port, "bob@elsewhere.test", f"eve@{DOMAIN}", message)
        self.uid_of(self.pair.remote, identity, "eve")
        self.pair.wait_for_same_state("ann")
        self.assertNotIn(identity, {found for found, _ in self.pair.remote.state("ann").values()})

    def test_flags_set_at_core_appear_at_remote(self):
        identity, _ = self.deliver("flagged")
        uid = self.uid_of(self.pair.remote, identity)
        with self.pair.core.imap("ann", "INBOX", readonly=False) as client:
            ok(client.uid("STORE", str(uid), "+FLAGS", r"(\Flagged $Label1)"))
        wait_until(lambda: self.pair.remote.state("ann")[uid][1] == {b"\\Flagged", b"$Label1"}, 60,
                   lambda: f"flags at remote: {self.pair.remote.state('ann')[uid]}", interval=0.2)
        with self.pair.core.imap("ann", "INBOX", readonly=False) as client:
            ok(client.uid("STORE", str(uid), "-FLAGS", r"(\Flagged)"))
        self.pair.wait_for_same_state()

    def test_what_is_expunged_at_core_goes_at_remote(self):
        identity, _ = self.deliver("to be gone")
        uid = self.uid_of(self.pair.remote, identity)
        with self.pair.core.imap("ann", "INBOX", readonly=False) as client:
            ok(client.uid("STORE", str(uid), "+FLAGS", r"(\Deleted)"))
            ok(client.uid("EXPUNGE", str(uid)))
        wait_until(lambda: uid not in self.pair.remote.state("ann"), 60, "the message is gone at remote", interval=0.2)
        self.pair.wait_for_same_state()

    def test_node_mail_passes_postfix_both_ways(self):
        self.deliver("makes node mail")

        def directions():
            return {header_of(received, "To").rsplit("@")[-1].rstrip(">") for received in self.tap.messages}

        wait_until(lambda: {CORE_HOST, REMOTE_HOST} <= directions(), 60, lambda: f"both ways, seen: {directions()}")
        for received in self.tap.messages:
            if header_of(received, "To").rstrip(">").endswith((CORE_HOST, REMOTE_HOST)):
                self.assertEqual(header_of(received, "Auto-Submitted"), "auto-generated")
                self.assertTrue(received.data.isascii())
                self.assertLessEqual(max(len(line) for line in received.data.split(b"\r\n")), 998)

    # Out.

    def test_curl_reads_both(self):
        identity, _ = self.deliver("by curl")
        uid = self.uid_of(self.pair.remote, identity)
        for node in (self.pair.core, self.pair.remote):
            base = f"imap://127.0.0.1:{node.imap_port}/INBOX"
            login = ["curl", "-sS", "--max-time", "60", "--user", f"ann:{node.password('ann')}"]
            found = subprocess.run([*login, base, "-X", "UID SEARCH ALL"], check=True, capture_output=True, text=True)
            self.assertEqual({int(word) for word in re.findall(r"\d+", found.stdout)}, set(node.state("ann")))
            got = subprocess.run([*login, f"{base};UID={uid}"], check=True, capture_output=True)
            self.assertEqual(got.stdout, node.message("ann", uid))

    def test_mbsync_mirrors_both(self):
        self.deliver("by mbsync")
        self.pair.wait_for_same_state()
        for node in (self.pair.core, self.pair.remote):
            folder = os.path.join(self.folder, f"mbsync-{node.role}")
            os.makedirs(folder)
            config = os.path.join(folder, "rc")
            with open(config, "w") as file:
                file.write(MBSYNC.format(port=node.imap_port, password=node.password("ann"), folder=folder))
            for _ in range(2):  # the second time finds nothing to do
                done = subprocess.run(["mbsync", "-c", config, "all"], capture_output=True, text=True, timeout=120)
                self.assertEqual(done.returncode, 0, done.stderr)
            messages = [name for part in ("new", "cur") for name in os.listdir(os.path.join(folder, "INBOX", part))]
            self.assertEqual(len(messages), node.count("ann"))

    def test_idle_at_remote_tells_of_a_new_mail(self):
        before = self.pair.wait_for_same_state()
        client = self.pair.remote.imap("ann", "INBOX")
        client.send(b"x1 IDLE\r\n")
        self.assertTrue(client.readline().startswith(b"+"))
        client.sock.settimeout(60)
        self.deliver("while idle")
        while not re.fullmatch(rb"\* (\d+) EXISTS\r\n", line := client.readline()):
            self.assertTrue(line.startswith(b"* "), line)
        self.assertGreater(int(line.split()[1]), len(before))
        client.send(b"DONE\r\n")
        while not (line := client.readline()).startswith(b"x1 "):
            self.assertTrue(line.startswith(b"* "), line)
        self.assertTrue(line.startswith(b"x1 OK"), line)
        client.logout()

    def test_remote_knows_outside_passwords_only(self):
        inside, outside = self.pair.core.users["ann"]
        for node, password, good in ((self.pair.remote, inside, False), (self.pair.remote, outside, True),
                                     (self.pair.core, inside, True), (self.pair.core, outside, True)):
            with self.subTest(node.role, password=password), imaplib.IMAP4("127.0.0.1", node.imap_port) as client:
                if good:
                    ok(client.login("ann", password))
                else:
                    with self.assertRaises(imaplib.IMAP4.error):
                        client.login("ann", password)

    # Sealed.

    def test_foreign_openpgp_programs_open_what_remote_serves(self):
        identity, _ = self.deliver("a subject for all", "a body for all\r\n")
        sealed = self.pair.remote.message("ann", self.uid_of(self.pair.remote, identity))
        self.assertNotIn(b"for all", sealed)
        parsed = email.message_from_bytes(sealed, policy=email.policy.default)
        self.assertEqual(parsed.get_content_type(), "multipart/encrypted")
        self.assertEqual(parsed["Subject"], "...")
        key = self.pair.core.export_key("ann")
        for program in (Gpg, Sq, Rnp):
            with self.subTest(program.__name__), program(self.new_folder(), key) as opener:
                plain = opener.decrypt(encrypted_part(sealed))
                inner = email.message_from_bytes(plain, policy=email.policy.default)
                self.assertEqual(inner["Subject"], "a subject for all")
                self.assertEqual(inner.get_content_type(), "multipart/mixed")
                self.assertIn("a body for all", inner.get_body().get_content())

    def test_open_gives_the_exact_octets(self):
        identity, _ = self.deliver("exact", "tail with spaces  \r\n\r\n.dot\r\n" + "x" * 900 + "\r\n")
        uid = self.uid_of(self.pair.remote, identity)
        sealed = self.pair.remote.message("ann", uid)
        self.assertEqual(self.pair.open_sealed(sealed), self.pair.core.message("ann", uid))

    def test_remote_holds_nothing_readable(self):
        words = [b"canaryinsubjectQ7", b"canaryinbodyQ7", b"canaryinfileQ7"]
        body = f"{words[1].decode()}\r\n" + f"attachment {words[2].decode()}\r\n" * 5000
        identity, _ = self.deliver(f"about {words[0].decode()}", body)
        uid = self.uid_of(self.pair.remote, identity)
        with self.pair.remote.imap("ann", "INBOX") as client:
            for item in ("ENVELOPE", "BODYSTRUCTURE", "BODY.PEEK[]", "BODY.PEEK[2]"):
                answer = ok(client.uid("FETCH", str(uid), f"({item})"))
                self.assertEqual(find_in_octets(repr(answer).encode(), words), [])
        # The search itself finds: at core all of it is there.
        self.assertEqual({word for _, word in find_in_folder(self.pair.core.data_dir, words)}, set(words))
        with open(self.pair.core.export_key("ann")) as key:
            scalars = secret_scalars(key.read())
        self.assertEqual(len(scalars), 4)
        self.assertEqual(find_in_folder(self.pair.remote.directory, words + scalars), [])
        if not SANITIZER:  # whose shadow has no end
            self.assertEqual(find_in_memory(self.pair.remote.process.pid, words + scalars), [])
        for received in self.tap.messages:
            if not header_of(received, "To").rstrip(">").endswith((CORE_HOST, REMOTE_HOST)):
                continue
            self.assertEqual(find_in_octets(received.data, words + scalars), [])


def header_of(received, name):
    return email.message_from_bytes(received.data, policy=email.policy.default)[name] or ""


MBSYNC = """\
IMAPAccount node
Host 127.0.0.1
Port {port}
User ann
Pass "{password}"
SSLType None
AuthMechs LOGIN

IMAPStore far
Account node

MaildirStore near
Path {folder}/
Inbox {folder}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns INBOX
Create Near
SyncState *
"""


class Restart(NodeTest):
    """What is told survives a restart of each part, and mail sent meanwhile comes."""

    def test_state_survives_and_mail_waits(self):
        pair = Pair(self.new_folder())
        self.addCleanup(pair.kill9)
        with pair:
            for number in range(5):
                smtp_send(pair.core.smtp_port, "bob@elsewhere.test", ANN, letter(f"before {number}")[1])
            before = pair.wait_for_same_state(count=5)
            validity = [uidvalidity(node) for node in (pair.core, pair.remote)]
            self.assertNotEqual(*validity)

            pair.core.restart()
            pair.remote.restart()
            self.assertEqual(pair.core.state("ann"), before)
            self.assertEqual(pair.remote.state("ann"), before)
            self.assertEqual([uidvalidity(node) for node in (pair.core, pair.remote)], validity)

            pair.remote.stop()
            for number in range(5):
                smtp_send(pair.core.smtp_port, "bob@elsewhere.test", ANN, letter(f"meanwhile {number}")[1])
            wait_for_messages(pair.core, "ann", 10)
            pair.core.restart()
            pair.remote.start()
            after = pair.wait_for_same_state(count=10)
            self.assertEqual({uid: row for uid, row in after.items() if uid in before}, before)

    def test_status_tells_of_the_link(self):
        pair = Pair(self.new_folder())
        self.addCleanup(pair.kill9)
        with pair:
            smtp_send(pair.core.smtp_port, "bob@elsewhere.test", ANN, letter()[1])
            pair.wait_for_same_state(count=1)
            for node in (pair.core, pair.remote):
                status = node.status()
                self.assertEqual(status["role"], node.role)
                self.assertEqual(len(status["links"]), 1)


def uidvalidity(node):
    with node.imap("ann") as client:
        return int(re.search(rb"UIDVALIDITY (\d+)", ok(client.status("INBOX", "(UIDVALIDITY)"))[0]).group(1))


if __name__ == "__main__":
    unittest.main()
