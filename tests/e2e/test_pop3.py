"""POP3 with foreign clients: Python's poplib, curl, mpop, getmail; beside IMAP, under TLS, at core and at the remote."""

import glob
import hashlib
import os
import poplib
import shutil
import socket
import ssl
import subprocess
import unittest

from fwmail import CORE_HOST, DOMAIN, Node, NodeTest, Pair, letter, ok
from wire import any_tls, free_port, smtp_send, wait_until

ANN = f"ann@{DOMAIN}"
poplib._MAXLINE = 1 << 20


def need(program):
    if not shutil.which(program):
        raise unittest.SkipTest(f"{program} is not installed (scripts/install-deps test)")


class Pop3(NodeTest):
    def setUp(self):
        self.folder = self.new_folder()
        self.port, self.tls_port = free_port(), free_port()
        self.core = Node("core", os.path.join(self.folder, "core"), settings=[
            ("pop3.listen", f"127.0.0.1:{self.port}"), ("pop3.listen-tls", f"127.0.0.1:{self.tls_port}")])
        self.core.add_user("ann")
        self.addCleanup(self.core.kill9)
        self.core.start()

    def tearDown(self):
        self.core.stop()
        self.core.check()

    @property
    def certificate(self):
        return os.path.join(self.core.data_dir, "tls-certificate.pem")

    def client(self, tls=False):
        client = (poplib.POP3_SSL("127.0.0.1", self.tls_port, context=any_tls(), timeout=60) if tls
                  else poplib.POP3("127.0.0.1", self.port, timeout=60))
        client.user("ann")
        client.pass_(self.core.password("ann"))
        return client

    def fill(self, *messages):
        for message in messages:
            self.core.append("ann", message)

    @staticmethod
    def fetch(client, number):
        return b"".join(line + b"\r\n" for line in client.retr(number)[1])

    def test_poplib_reads_and_deletes(self):
        texts = [letter(f"mail {n}", body)[1] for n, body in enumerate(
            ["One.\r\n", ".\r\n..\r\n.dots\r\n", "large\r\n" + "0123456789" * 7 + "\r\n" + "line\r\n" * 400_000, "Last.\r\n"])]
        self.fill(*texts)
        for tls in (False, True):
            client = self.client(tls)
            self.assertEqual(client.stat(), (4, sum(map(len, texts))))
            self.assertEqual([int(line.split()[1]) for line in client.list()[1]], [len(text) for text in texts])
            for number, text in enumerate(texts, 1):
                self.assertEqual(self.fetch(client, number), text)
            self.assertEqual(b"\r\n".join(client.top(3, 1)[1]) + b"\r\n",
                             texts[2][:texts[2].index(b"large\r\n") + 7])
            client.quit()
        capabilities = client_capabilities(self.port)
        self.assertLessEqual({"TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "STLS", "SASL", "USER"},
                             set(capabilities))
        self.assertEqual(capabilities["EXPIRE"], ["NEVER"])

        # DELE counts at QUIT only: not after a cut, not after RSET.
        client = self.client()
        client.dele(1)
        client.close()
        client = self.client()
        self.assertEqual(client.stat()[0], 4)
        client.dele(2)
        client.rset()
        client.dele(4)
        with self.assertRaises(poplib.error_proto):
            client.retr(4)
        self.assertEqual(self.core.count("ann"), 4)
        client.quit()
        self.assertEqual(list(self.core.messages("ann").values()), texts[:3])

    def test_uidls_are_unique_and_stay(self):
        text = letter()[1]
        self.fill(text, text)  # the same mail twice
        first = [line.split()[1] for line in self.client().uidl()[1]]
        self.assertEqual(len(set(first)), 2)
        self.core.restart()
        client = self.client()
        client.dele(1)
        client.quit()
        self.fill(text)
        second = [line.split()[1] for line in self.client().uidl()[1]]
        self.assertEqual(second[0], first[1])
        self.assertNotIn(second[1], first)
        for uidl in first + second:
            self.assertLessEqual(len(uidl), 70)

    def test_imap_goes_on_meanwhile(self):
        texts = [letter(f"mail {n}")[1] for n in range(3)]
        self.fill(*texts[:2])
        client = self.client()
        with self.core.imap("ann", "INBOX", readonly=False) as imap:
            ok(imap.uid("STORE", "1", "+FLAGS", r"(\Deleted)"))
            ok(imap.expunge())
            self.fill(texts[2])
            self.assertEqual(client.stat()[0], 2)  # the maildrop is what it was at login
            with self.assertRaisesRegex(poplib.error_proto, "gone"):
                client.retr(1)
            self.assertEqual(self.fetch(client, 2), texts[1])
            client.dele(1)
            client.dele(2)
            client.quit()
            wait_until(lambda: ok(imap.uid("SEARCH", "ALL"))[0] == b"3", 10, "the expunge shows in the open IMAP session")

    def test_login(self):
        for user, password in (("ann", "wrong"), ("nobody", "wrong")):
            client = poplib.POP3("127.0.0.1", self.port, timeout=60)
            client.user(user)
            with self.assertRaisesRegex(poplib.error_proto, r"-ERR \[AUTH\]"):
                client.pass_(password)
            client.close()
        client = poplib.POP3("127.0.0.1", self.port, timeout=60)
        client.stls(any_tls())
        self.assertNotIn("STLS", client.capa())
        client.user(ANN)
        client.pass_(self.core.users["ann"][1])  # an outside password works inside as well
        self.assertEqual(client.stat(), (0, 0))
        client.quit()

    def test_plaintext_behind_stls_is_dropped(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as plain:
            file = plain.makefile("rb", buffering=0)
            file.readline()
            plain.sendall(b"STLS\r\nXINJECTED\r\n")
            self.assertTrue(file.readline().startswith(b"+OK"))
            with any_tls().wrap_socket(plain) as tls:
                tls.sendall(b"CAPA\r\n")
                self.assertTrue(tls.makefile("rb").readline().startswith(b"+OK"))

    def test_pipelining(self):
        texts = [letter(f"mail {n}", "x" * 70 + "\r\n")[1] for n in range(50)]
        self.fill(*texts)
        commands = b"USER ann\r\nPASS inside secret\r\n" + b"".join(
            b"RETR %d\r\nDELE %d\r\n" % (n, n) for n in range(1, 51)) + b"QUIT\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as plain:
            plain.sendall(commands)
            said = plain.makefile("rb").read()
        for text in texts:
            self.assertIn(text + b".\r\n", said)
        self.assertTrue(said.endswith(b"+OK goodbye\r\n"))
        self.assertEqual(self.core.count("ann"), 0)

    def test_curl(self):
        text = letter("by curl", ".\r\nend\r\n")[1]
        self.fill(text)
        for scheme, port, more in (("pop3", self.port, ["--ssl-reqd"]), ("pop3s", self.tls_port, [])):
            got = subprocess.run(["curl", "-sS", "--max-time", "60", "--cacert", self.certificate, "--resolve",
                                  f"{CORE_HOST}:{port}:127.0.0.1", "--user", "ann:inside secret", *more,
                                  f"{scheme}://{CORE_HOST}:{port}/1"], capture_output=True)
            self.assertEqual(got.returncode, 0, got.stderr)
            self.assertEqual(got.stdout, text)

    def test_mpop(self):
        need("mpop")
        texts = [letter(f"mail {n}")[1] for n in range(20)]
        self.fill(*texts)
        maildir = os.path.join(self.folder, "mpop")
        for part in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(maildir, part))
        with open(self.certificate) as file:
            digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()
        pairs = ":".join(digest[at:at + 2] for at in range(0, 64, 2))
        config = os.path.join(self.folder, "mpoprc")
        with open(config, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(f"account a\nhost 127.0.0.1\nport {self.tls_port}\ntls on\ntls_starttls off\n"
                       f"tls_fingerprint {pairs}\nuser ann\npassword inside secret\nkeep off\npipelining on\n"
                       f"received_header off\nuidls_file {self.folder}/uidls\ndelivery maildir {maildir}\n")
        done = subprocess.run(["mpop", f"--file={config}", "a"], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        got = sorted(open(path, "rb").read().replace(b"\n", b"\r\n") for path in glob.glob(f"{maildir}/new/*"))
        self.assertEqual(got, sorted(texts))
        self.assertEqual(self.core.count("ann"), 0)

    def test_getmail(self):
        need("getmail")
        texts = [letter(f"mail {n}")[1] for n in range(5)]
        self.fill(*texts)
        taken = os.path.join(self.folder, "taken")
        home = os.path.join(self.folder, "getmail")
        os.makedirs(home)
        with open(os.path.join(home, "getmailrc"), "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(f"[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\nport = {self.port}\nusername = ann\n"
                       f"password = inside secret\n[destination]\ntype = MDA_external\npath = {shutil.which('tee')}\n"
                       f"arguments = ('-a', '{taken}')\nallow_root_commands = true\n"
                       "[options]\nread_all = false\ndelete = false\ndelivered_to = false\nreceived = false\n")

        def run():
            done = subprocess.run(["getmail", "--getmaildir", home], capture_output=True, text=True, timeout=120,
                                  env=dict(os.environ, HOME=self.folder))
            self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
            with open(taken, "rb") as file:
                return file.read().count(b"Message-ID: ")

        self.assertEqual(run(), 5)
        self.fill(letter("one more")[1])
        self.assertEqual(run(), 6)  # by UIDL, it takes only what is new
        self.assertEqual(self.core.count("ann"), 6)


class Pop3Outside(NodeTest):
    def test_the_sealed_copy(self):
        port = free_port()
        pair = Pair(self.new_folder())
        with open(pair.remote.config) as file:
            text = file.read()
        with open(pair.remote.config, "w") as file:
            file.write(f"{text}\n[pop3]\nlisten = 127.0.0.1:{port}\n" if "\n[pop3]" not in text else
                       text.replace("\n[pop3]\n", f"\n[pop3]\nlisten = 127.0.0.1:{port}\n", 1))
        self.addCleanup(pair.kill9)
        with pair:
            message = letter("sealed")[1]
            smtp_send(pair.core.smtp_port, "bob@elsewhere.test", ANN, message)
            pair.wait_for_same_state(count=1)
            client = poplib.POP3("127.0.0.1", port, timeout=60)
            client.user("ann")
            client.pass_(pair.remote.password("ann"))
            sealed = Pop3.fetch(client, 1)
            self.assertEqual(sealed, pair.remote.message("ann", 1))
            self.assertNotIn(b"A line.", sealed)
            self.assertTrue(pair.open_sealed(sealed).endswith(message))
            client.dele(1)
            client.quit()
            self.assertEqual(pair.remote.count("ann"), 0)
            wait_until(lambda: pair.core.count("ann") == 0, 60, "it goes at core too", interval=0.2)


def client_capabilities(port):
    client = poplib.POP3("127.0.0.1", port, timeout=60)
    capabilities = client.capa()
    client.quit()
    return capabilities


if __name__ == "__main__":
    unittest.main()
