"""Limits and rights at core: quotas as imaplib, curl and mail servers meet them, LMTP on a unix socket, and what is
done to clients that go too far."""

import os
import socket
import stat
import subprocess

from fwmail import DOMAIN, Node, NodeTest, letter, ok, wait_for_messages
from peers import Postfix
from raw_imap import RawImap
from wire import SmtpClient, SmtpReply, free_port, is_open, smtp_send, wait_until

ANN, BEN = f"ann@{DOMAIN}", f"ben@{DOMAIN}"
PASSWORD = "inside secret"


class LimitTest(NodeTest):
    def make(self, *settings):
        self.folder = self.new_folder()
        self.lmtp = free_port()
        self.core = Node("core", os.path.join(self.folder, "core"),
                         settings=[("lmtp.listen", f"127.0.0.1:{self.lmtp}"), *settings])
        for user in ("ann", "ben"):
            self.core.add_user(user)
        self.addCleanup(lambda: self.core.process and self.core.kill9())

    def start(self):
        self.core.start()
        wait_until(lambda: is_open(self.lmtp), 10, "LMTP")

    def stop_and_check(self):
        self.core.stop()
        self.core.check()

    def quota(self, *words):
        return self.core.command(["user", "quota", "ann", "--config", self.core.config, *words])

    def raw(self):
        return RawImap(self.core.imap_port, "ann", PASSWORD)

    def logged(self, text):
        return [line for line in self.core.log().splitlines() if text in line]


class Quota(LimitTest):
    def test_imap_clients(self):
        self.make(("limits.account-messages", "2"))
        self.assertIn("0 of 2 messages", self.quota())  # while core does not run
        self.start()
        _, message = letter(body="x" * 3000)
        self.core.append("ann", message, flags="\\Deleted")
        self.core.append("ann", message, mailbox="Drafts")
        with self.assertRaisesRegex(AssertionError, r"NO \[OVERQUOTA\]"):
            self.core.append("ann", message)
        with self.core.imap("ann", "INBOX", readonly=False) as client:
            roots, quotas = ok(client.getquotaroot("INBOX"))
            self.assertEqual((roots, quotas), ([b'INBOX ""'], [b'"" (MESSAGE 2 2)']))
            status, why = client.copy("1", "Drafts")
            self.assertTrue(status == "NO" and why[0].startswith(b"[OVERQUOTA]"), why)
            answer = ok(client.status("INBOX", "(DELETED DELETED-STORAGE)"))[0]
            self.assertEqual(answer, b"INBOX (DELETED 1 DELETED-STORAGE %d)" % len(message))
            self.assertIn(str(2 * len(message)), self.quota("--size", "10k"))
            self.assertEqual(ok(client.getquota('""')), [b'"" (STORAGE 7 10 MESSAGE 2 2)'])
            ok(client.uid("MOVE", "1", "Archive"))
        shown = subprocess.run(["curl", "--silent", "--show-error", "-u", f"ann:{PASSWORD}", "--request",
                                "GETQUOTAROOT INBOX", f"imap://127.0.0.1:{self.core.imap_port}/"],
                               capture_output=True, text=True, check=True).stdout
        self.assertIn('* QUOTA "" (STORAGE 7 10 MESSAGE 2 2)', shown)
        self.assertTrue(self.core.status()["users"][0]["full"])
        self.assertIn("FULL", self.core.command(["status", "--config", self.core.config]))
        self.quota("--messages", "0", "--size", "default")
        self.core.append("ann", message)
        self.assertFalse(self.core.status()["users"][0]["full"])
        self.stop_and_check()

    def refused(self, code, action, *arguments):
        with self.assertRaises(SmtpReply) as raised:
            action(*arguments)
        self.assertEqual((raised.exception.code, raised.exception.text[:5]), code)

    def test_mail_servers(self):
        self.make()
        self.start()
        self.quota("--size", "20k")
        _, small = letter(body="x" * 1000)
        _, large = letter(body="y" * 15_000 + "\r\n")
        full, never = (452, "4.2.2"), (552, "5.2.3")
        smtp_send(self.core.smtp_port, BEN, ANN, large)
        wait_for_messages(self.core, "ann", 1)
        with SmtpClient(self.core.smtp_port) as client:
            client.ehlo()
            # As announced, and as it came.
            client.command(f"MAIL FROM:<{BEN}> SIZE=15000")
            self.refused(full, client.command, f"RCPT TO:<{ANN}>")
            client.command(f"RCPT TO:<{BEN}>")
            client.command("RSET")
            client.command(f"MAIL FROM:<{BEN}> SIZE=21000")
            self.refused(never, client.command, f"RCPT TO:<{ANN}>")
            client.command("RSET")
            self.refused(full, client.send, BEN, [ANN], large.replace(b"yy", b"zz"))
            client.send(BEN, [ANN], small)
            client.quit()
        wait_for_messages(self.core, "ann", 2)
        # By LMTP each is answered alone, and what ann missed comes when it is sent again, to both as well.
        text = letter(body="w" * 15_000 + "\r\n")[1]
        for code in (full, (250, "2.0.0")):
            with SmtpClient(self.lmtp) as client:
                client.command("LHLO gateway.test")
                client.command(f"MAIL FROM:<{BEN}>")
                client.command(f"RCPT TO:<{ANN}>")
                client.command(f"RCPT TO:<{BEN}>")
                client.command("DATA", 354)
                client.sock.sendall(text + b".\r\n")
                self.assertEqual(client.expect("end of data", code[0])[1][:5], code[1])
                client.expect("end of data", 250)
                client.quit()
            wait_for_messages(self.core, "ben", 1)
            if code == full:
                self.assertEqual(self.core.count("ann"), 2)
                self.quota("--size", "1M")
            else:
                wait_for_messages(self.core, "ann", 3)
        # SMTP has one answer: who has room decides it.
        self.quota("--size", "1k")
        with SmtpClient(self.core.smtp_port) as client:
            client.ehlo()
            client.command(f"MAIL FROM:<{BEN}>")
            self.refused(full, client.command, f"RCPT TO:<{ANN}>")
            client.quit()
        self.stop_and_check()


class UnixLmtp(LimitTest):
    def test_postfix_hands_over_by_a_unix_socket(self):
        path = os.path.join(self.new_folder(), "postfix", "lmtp")  # in the one folder that Postfix's root shares
        os.makedirs(os.path.dirname(path))
        self.make(("lmtp.listen-unix", path), ("lmtp.unix-mode", "0666"), ("lmtp.unix-group", "mail"))
        self.start()
        self.assertIn(f"lmtp unix:{path}", self.core.status()["listening"])
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o666)
        postfix = Postfix(os.path.dirname(path),
                          transport_maps=f"inline:{{ {{ {DOMAIN} = lmtp:unix:{path} }} }}")
        with postfix:
            identity, message = letter()
            smtp_send(postfix.port, "bob@away.test", [ANN, BEN], message)
            for user in ("ann", "ben"):
                self.assertEqual([found for found, _ in wait_for_messages(self.core, user, 1).values()], [identity])
            postfix.wait_for_empty_queue()
        self.core.kill9()
        self.assertTrue(os.path.exists(path))  # and is replaced
        self.start()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            self.assertTrue(client.recv(100).startswith(b"220 "))
        self.stop_and_check()
        self.assertFalse(os.path.exists(path))


class Rights(LimitTest):
    def test_the_owner_alone_has_rights(self):
        self.make()
        self.start()
        with self.core.imap("ann", "INBOX") as client:
            self.assertEqual(ok(client.myrights("INBOX")), [b"INBOX lrswipkxteacd"])
            self.assertEqual(ok(client.getacl("Drafts")), [b"Drafts ann lrswipkxteacd"])
            for answer in (client.setacl("Drafts", "ben", "lr"), client.deleteacl("Drafts", "ben")):
                self.assertEqual(answer[0], "NO")
                self.assertIn(b"[CANNOT]", answer[1][0])
        self.stop_and_check()


class TooFar(LimitTest):
    def test_messages_of_one_command(self):
        self.make(("imap.message-limit", "5"))  # counts as 1000
        self.start()
        _, message = letter()
        with self.raw() as client:
            for count in (1000, 5):
                appended = b" {%d+}\r\n%s" % (len(message), message)
                client.send(b"B APPEND INBOX" + count * appended + b"\r\n")
                while not (line := client.line()).startswith("B "):
                    pass
                self.assertTrue(line.startswith("B OK"), line)
            client.must("SELECT INBOX")
            first = client.must("UID FETCH 1:* (FLAGS)")
            self.assertEqual(len(first.lines), 1000)
            self.assertTrue(first.tagged.startswith("OK [MESSAGELIMIT 1000 6]"), first.tagged)
            self.assertEqual(len(client.must("UID FETCH 1:5 (FLAGS)").lines), 5)
            self.assertTrue(client.do("UID COPY 1:* Drafts").tagged.startswith("NO [MESSAGELIMIT 1000 6]"))
            found = client.must("UID SEARCH RETURN (COUNT) ALL")
            self.assertTrue(found.lines[0].endswith(" COUNT 1000") and "[MESSAGELIMIT 1000 6]" in found.tagged, found)
            batches = client.must("UIDBATCHES 500").lines[0].rpartition(") ")[2]
            self.assertEqual(batches, "1005:506,505:6,5:1")
            # Few have \Deleted, far below those that one command may look at.
            client.must("UID STORE 1:5 +FLAGS.SILENT (\\Deleted)")
            expunged = client.must("UID EXPUNGE 1:*")
            self.assertEqual((len(expunged.lines), "MESSAGELIMIT" in expunged.tagged), (5, False), expunged)
        self.stop_and_check()

    def test_mailboxes_come_to_an_end(self):
        self.make(("limits.account-mailboxes", "8"))  # six are there
        self.start()
        with self.raw() as client:
            client.must("CREATE a/b")
            self.assertTrue(client.do("CREATE c").tagged.startswith("NO [LIMIT]"))
            client.must("DELETE a/b")
            client.must("CREATE c")
        self.stop_and_check()

    def test_who_goes_too_far_is_sent_away_and_logged_once(self):
        self.make(("smtp.max-connections-per-address", "2"))
        self.start()
        with SmtpClient(self.core.smtp_port) as client:
            client.ehlo()
            for _ in range(98):
                client.command("NOOP")
            client.command("VRFY ann", 252)
            client.expect("the last straw", 421)
        with socket.create_connection(("127.0.0.1", self.core.imap_port), timeout=60) as client:
            client.sendall(b"A NOOP\r\n" * 51)
            said = client.makefile("rb").read()
        self.assertEqual(said.count(b"A OK"), 51)
        self.assertTrue(said.endswith(b"* BYE Too many commands before the login\r\n"), said[-100:])
        held = []

        def hold_two():  # those before may still be counted
            try:
                held.append(SmtpClient(self.core.smtp_port))
            except SmtpReply:
                pass
            return len(held) == 2
        wait_until(hold_two, 30, "two connections")
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", self.core.smtp_port), timeout=60) as client:
                self.assertTrue(client.makefile("rb").readline().startswith(b"421 4.3.2"))
        for client in held:
            client.close()
        for text in ("too many commands without a mail", "Too many commands before the login",
                     "too many connections: turned away"):
            wait_until(lambda text=text: self.logged(text), 10, text)
            self.assertEqual(len(self.logged(text)), 1, text)
        self.stop_and_check()


if __name__ == "__main__":
    import unittest
    unittest.main()
