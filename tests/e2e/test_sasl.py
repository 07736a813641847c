"""SCRAM with foreign parties: GNU SASL's client at IMAP and submission, over both kinds of channel; mutt and mbsync by
Cyrus's library; fwmail's own client at a Dovecot that takes nothing else. COMPRESS with Python's zlib."""

import base64
import imaplib
import os
import re
import ssl
import subprocess
import zlib

from fwmail import DOMAIN, CommandFailed, Node, NodeTest, letter, ok, wait_for_messages
from peers import Dovecot
from wire import SANITIZER, SmtpClient, free_port, is_open, wait_until

PASSWORD = "inside secret"


def gsasl(port, mechanism, *words, user="ann", password=PASSWORD, kind="--imap"):
    return subprocess.run(["gsasl", "--client", kind, "--connect", f"127.0.0.1:{port}", "-a", user, "-p", password,
                           "-m", mechanism, "--hostname", "localhost", "--service", "imap", *words],
                          input="", capture_output=True, text=True, timeout=120)


class Scram(NodeTest):
    @classmethod
    def setUpClass(cls):
        cls.folder = cls.new_folder()
        cls.submission = free_port()
        cls.core = Node("core", os.path.join(cls.folder, "core"), settings=[
            ("submission.listen", f"127.0.0.1:{cls.submission}")])
        cls.addClassCleanup(lambda: cls.core.process and cls.core.kill9())
        cls.core.add_user("ann")
        cls.outside = cls.core.users["ann"][1]
        cls.core.start()
        wait_until(lambda: is_open(cls.submission), 30, "submission")

    def tls(self):
        return ["--starttls", "--x509-ca-file="]  # whose certificate it is does not matter here

    def said(self, done):
        return done.stdout + done.stderr

    def test_gsasl_binds_its_login_to_the_connection(self):
        for kind, port in (("--imap", self.core.imap_port), ("--smtp", self.submission)):
            for password in (PASSWORD, self.outside):
                done = gsasl(port, "SCRAM-SHA-256-PLUS", *self.tls(), password=password, kind=kind)
                self.assertEqual(done.returncode, 0, self.said(done))
            done = gsasl(port, "SCRAM-SHA-256-PLUS", *self.tls(), password="wrong", kind=kind)
            self.assertNotEqual(done.returncode, 0, self.said(done))

    def test_gsasl_without_tls_and_without_binding(self):
        done = gsasl(self.core.imap_port, "SCRAM-SHA-256", "--no-starttls")
        self.assertEqual(done.returncode, 0, self.said(done))
        done = gsasl(self.core.imap_port, "SCRAM-SHA-256", "--no-cb", *self.tls())
        self.assertEqual(done.returncode, 0, self.said(done))
        # It could bind, and says so: under TLS that cannot be true of what it saw offered.
        done = gsasl(self.core.imap_port, "SCRAM-SHA-256", *self.tls())
        self.assertNotEqual(done.returncode, 0, self.said(done))

    def first_challenge(self, user):
        client = imaplib.IMAP4("127.0.0.1", self.core.imap_port, timeout=60)
        said = []
        try:
            client.authenticate("SCRAM-SHA-256", lambda text: said.append(text) or
                                (f"n,,n={user},r=abcdef".encode() if len(said) == 1 else None))
        except imaplib.IMAP4.error:
            pass
        client.shutdown()
        return re.search(rb"s=([^,]+),i=(\d+)", said[1]).groups()

    def test_who_does_not_exist_has_a_salt_as_anybody(self):
        real, unknown = self.first_challenge("ann"), self.first_challenge("nobody")
        self.assertEqual(real, self.first_challenge(f"ann@{DOMAIN}"))
        self.assertEqual(unknown, self.first_challenge("nobody"))
        self.assertEqual(unknown, self.first_challenge(f"Nobody@{DOMAIN}"))
        self.assertNotEqual(unknown[0], self.first_challenge("somebody")[0])
        self.assertEqual([len(base64.b64decode(salt)) for salt, _ in (real, unknown)], [16, 16])
        self.assertEqual(real[1], unknown[1])

    def test_mbsync_by_cyrus_sasl(self):
        self.core.append("ann", letter("for mbsync")[1], mailbox="INBOX")
        config = os.path.join(self.folder, "mbsyncrc")
        mail = os.path.join(self.folder, "mail")
        os.makedirs(mail, exist_ok=True)
        with open(config, "w") as file:
            file.write(f"IMAPAccount core\nHost localhost\nPort {self.core.imap_port}\nUser ann\nPass \"{PASSWORD}\"\n"
                       f"SSLType None\nAuthMechs SCRAM-SHA-256\n\nIMAPStore far\nAccount core\n\n"
                       f"MaildirStore near\nPath {mail}/\nInbox {mail}/inbox\n\n"
                       "Channel one\nFar :far:INBOX\nNear :near:inbox\nCreate Near\nSyncState *\n")
        done = subprocess.run(["mbsync", "-c", config, "-D", "one"], capture_output=True, text=True, timeout=120,
                              env=dict(os.environ, HOME=self.folder))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("AUTHENTICATE SCRAM-SHA-256", done.stdout)
        self.assertEqual(len(os.listdir(os.path.join(mail, "inbox", "new"))), 1)


class ImportByScram(NodeTest):
    def test_dovecot_that_takes_scram_only(self):
        folder = self.new_folder()
        core = Node("core", os.path.join(folder, "core"))
        self.addCleanup(lambda: core.process and core.kill9())
        core.add_user("ann")
        core.start()
        with Dovecot(os.path.join(folder, "dovecot"), {"ann": PASSWORD}, "auth_mechanisms = scram-sha-256\n") as dovecot:
            with SmtpClient(dovecot.lmtp_port) as lmtp:
                lmtp.command("LHLO client.test")
                lmtp.send("bob@elsewhere.test", [f"ann@{DOMAIN}"], letter("from Dovecot")[1])
                lmtp.quit()
            password_file = os.path.join(folder, "password")
            with open(password_file, "w") as file:
                file.write(PASSWORD + "\n")
            command = ["import", "ann", f"imap://ann@127.0.0.1:{dovecot.imap_port}", "--password-file", password_file,
                       "--config", core.config]
            core.command(command)
            wait_for_messages(core, "ann", 1)
            with open(password_file, "w") as file:
                file.write("another\n")
            with self.assertRaises(CommandFailed):
                core.command(command)
        core.stop()


class Compressed(NodeTest):
    """RFC 4978 as zlib has it: raw DEFLATE, a 32 KiB window, flushed."""

    def setUp(self):
        self.core = Node("core", os.path.join(self.new_folder(), "core"))
        self.addCleanup(lambda: self.core.process and self.core.kill9())
        self.core.add_user("ann")
        self.core.start()

    def client(self):
        client = imaplib.IMAP4("127.0.0.1", self.core.imap_port, timeout=120)
        client.starttls(ssl._create_unverified_context())
        client.login("ann", PASSWORD)
        self.assertIn("COMPRESS=DEFLATE", ok(client.capability())[0].decode())
        imaplib.Commands["COMPRESS"] = ("AUTH", "SELECTED")
        ok(client._simple_command("COMPRESS", "DEFLATE"))
        return DeflatedImap(client)

    def test_everything_works_through_it(self):
        large = letter("large", ("0123456789" * 7 + "\r\n") * 40_000)[1]
        with self.client() as client:
            self.assertNotIn("COMPRESS", client.command("CAPABILITY"))
            self.assertIn("NO [COMPRESSIONACTIVE]", client.command("COMPRESS DEFLATE"))
            self.assertIn("OK", client.command("SELECT INBOX"))
            before = client.sent
            self.assertIn("OK [APPENDUID", client.command(f"APPEND INBOX {{{len(large)}+}}", large))
            self.assertLess(client.sent - before, len(large) / 20)
            before = client.received
            said = client.command("FETCH 1 BODY.PEEK[]")
            self.assertIn(large.decode(), said)
            self.assertLess(client.received - before, len(large) / 20)
            client.flush_fully()
            self.assertIn("OK", client.command("NOOP"))

    def test_a_bomb_finds_the_limits_of_any_command(self):
        with self.client() as client:
            memory = self.memory()
            bomb = client.deflate.compress(b"a1 NOOP " + b"x" * (256 << 20)) + client.deflate.flush(zlib.Z_SYNC_FLUSH)
            self.assertLess(len(bomb), 300_000)
            client.socket.sendall(bomb)
            client.socket.sendall(client.deflate.compress(b"\r\na2 NOOP\r\n") + client.deflate.flush(zlib.Z_SYNC_FLUSH))
            self.assertRegex(client.until(rb"^(a2 OK|\* BYE)"), r"(?m)^(a1 BAD|\* BYE)")
            if not SANITIZER:  # which keeps what was freed
                self.assertLess(self.memory() - memory, 30_000)
        self.assertTrue(self.core.is_running())

    def test_what_is_not_deflate_ends_the_connection(self):
        with self.client() as client:
            client.socket.sendall(b"a1 NOOP\r\n* this is no DEFLATE at all\r\n")
            self.assertEqual(client.until(rb"\A\Z"), "")

    def memory(self):
        with open(f"/proc/{self.core.process.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


class DeflatedImap:
    def __init__(self, client):
        self.socket = client.sock
        self.deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.inflate = zlib.decompressobj(-15)
        self.sent = self.received = self.tag = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def command(self, line, literal=b""):
        self.tag += 1
        octets = f"c{self.tag} {line}\r\n".encode() + (literal + b"\r\n" if literal else b"")
        wire = self.deflate.compress(octets) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        self.sent += len(wire)
        self.socket.sendall(wire)
        return self.until(rf"^c{self.tag} ".encode())

    def until(self, pattern):
        said = b""
        while not re.search(pattern + rb".*\r\n" if pattern != rb"\A\Z" else rb"\Z.", said, re.M):
            try:
                wire = self.socket.recv(65536)
            except ConnectionResetError:
                wire = b""
            if not wire:
                break
            self.received += len(wire)
            said += self.inflate.decompress(wire)
        return said.decode()

    def flush_fully(self):
        """Forgets the history: the next octets refer to nothing."""
        self.socket.sendall(self.deflate.flush(zlib.Z_FULL_FLUSH))
