"""The configurations in examples/config: each starts, and the two for one machine carry a mail."""

import contextlib
import imaplib
import os
import re
import subprocess
import unittest

from fwmail import RELEASE, TOP, NodeTest, last_line, letter, ok, require
from wire import any_tls, free_port, is_open, smtp_send, spawn, wait_until

EXAMPLES = os.path.join(TOP, "examples", "config")


def role_of(name):
    return "remote" if "remote" in name else "core"


def value_in(text, key):
    return re.search(rf"^{key} = (.*)$", text, re.M).group(1)


class Examples(NodeTest):
    def setUp(self):
        self.binary = require(RELEASE)
        self.folder = self.new_folder()

    def run_fwmail(self, *words, input=None):
        done = subprocess.run([self.binary, *words], cwd=self.folder, input=input, capture_output=True, timeout=120)
        self.assertEqual(done.returncode, 0, f"fwmail {' '.join(words)}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    @contextlib.contextmanager
    def running(self, role, words, ports):
        """The server, until SIGTERM ends it with status 0."""
        path = os.path.join(self.folder, f"{role}.log")

        def log():
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read()[-2000:]

        def is_up():
            if process.poll() is not None:
                raise AssertionError(f"{role} ended with {process.returncode}: {log()}")
            return all(is_open(port) for port in ports)

        with open(path, "wb") as out:
            process = spawn([self.binary, role, *words], out, cwd=self.folder)
        try:
            wait_until(is_up, 30, lambda: f"{role} listens: {log()}")
            yield
            process.terminate()
            self.assertEqual(process.wait(30), 0, log())
        finally:
            process.kill()
            process.wait()

    def certificate(self):
        files = os.path.join(self.folder, "certificate.pem"), os.path.join(self.folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", "/CN=example.org", "-out", files[0], "-keyout", files[1]],
                       check=True, capture_output=True, timeout=60)
        return files

    def test_every_example_is_started_by_a_test(self):
        names = sorted(os.listdir(EXAMPLES))
        self.assertEqual(names, ["core.conf", "dialled-core.conf", "dialled-remote.conf", "loopback-core.conf",
                                 "loopback-remote.conf", "remote.conf"])

    def check_starts(self, name):
        """As it is, but for places that exist on no machine but the administrator's."""
        role = role_of(name)
        data_dir = os.path.join(self.folder, "data")
        certificate, key = self.certificate()
        self.run_fwmail("init", role, "--config", os.path.join(self.folder, "setup.conf"), "--data-dir", data_dir)
        ports = [free_port() for _ in range(3)]
        words = ["--config", os.path.join(EXAMPLES, name), "--data-dir", data_dir,
                 "--imap.listen", f"127.0.0.1:{ports[0]}", "--imap.listen-tls", f"127.0.0.1:{ports[1]}",
                 "--smtp.listen", f"127.0.0.1:{ports[2]}", "--tls.certificate", certificate, "--tls.key", key]
        if name == "dialled-remote.conf":
            ports.append(free_port())
            words += ["--websocket.listen", f"127.0.0.1:{ports[3]}"]
        with self.running(role, words, ports):
            with imaplib.IMAP4_SSL("127.0.0.1", ports[1], ssl_context=any_tls(), timeout=30) as client:
                self.assertIn("AUTH=PLAIN", client.capabilities)

    def test_core_starts(self):
        self.check_starts("core.conf")

    def test_remote_starts(self):
        self.check_starts("remote.conf")

    def test_dialled_core_starts(self):
        self.check_starts("dialled-core.conf")

    def test_dialled_remote_starts(self):
        self.check_starts("dialled-remote.conf")

    def test_a_mistake_in_an_example_would_show(self):
        with open(os.path.join(EXAMPLES, "core.conf"), encoding="utf-8") as file:
            text = file.read()
        broken = os.path.join(self.folder, "broken.conf")
        with open(broken, "w", encoding="utf-8") as file:
            file.write(text.replace("listen-tls", "listen-tsl"))
        done = subprocess.run([self.binary, "core", "--config", broken], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertIn("listen-tls", done.stderr)

    def take_loopback(self):
        """Copies both, as their comment says, with ports that are free; gives {role: (IMAP port, SMTP port)}."""
        ports = {}
        for role in ("core", "remote"):
            with open(os.path.join(EXAMPLES, f"loopback-{role}.conf"), encoding="utf-8") as file:
                text = file.read()
            own = [line for line in text.split("\n") if line.startswith("listen = ")]
            self.assertEqual(len(own), 2)
            ports[role] = free_port(), free_port()
            for line, port in zip(own, ports[role]):
                text = text.replace(line, f"listen = 127.0.0.1:{port}")
            with open(os.path.join(self.folder, f"{role}.conf"), "w", encoding="utf-8") as file:
                file.write(text)
            self.assertEqual(value_in(text, "data-dir"), f"{role}-data")
        return ports

    def test_loopback_pair_carries_a_mail(self):
        ports = self.take_loopback()
        for role in ports:
            self.run_fwmail("init", role, "--config", f"{role}.conf")
            self.assertTrue(os.path.isdir(os.path.join(self.folder, f"{role}-data")))
        self.run_fwmail("user", "add", "ann", "--config", "core.conf", input=b"inside secret\n")
        password = last_line(self.run_fwmail("user", "passwd", "ann", "--outside", "--config", "core.conf").decode())
        invitation = self.run_fwmail("link", "invite", "outside", "--config", "core.conf")
        answer = self.run_fwmail("link", "accept", "home", "--config", "remote.conf", input=invitation)
        self.run_fwmail("link", "accept", "outside", "--config", "core.conf", input=answer)
        with open(os.path.join(self.folder, "ann.key"), "wb") as file:
            file.write(self.run_fwmail("key", "export", "ann", "--secret", "--config", "core.conf"))
        _, message = letter("from the example", "An example.\r\n", to="ann@example.org")
        with self.running("core", ["--config", "core.conf"], ports["core"]), \
                self.running("remote", ["--config", "remote.conf"], ports["remote"]):
            smtp_send(ports["core"][1], "bob@elsewhere.test", "ann@example.org", message)
            sealed = wait_until(lambda: self.first_message(ports["remote"][0], password), 60, "the mail at the remote",
                                interval=0.3)
        self.assertNotIn(b"An example.", sealed)
        opened = self.run_fwmail("open", "--key-file", "ann.key", input=sealed)
        self.assertTrue(opened.endswith(message), opened)

    def first_message(self, port, password):
        with imaplib.IMAP4("127.0.0.1", port, timeout=30) as client:
            try:
                client.login("ann", password)
            except imaplib.IMAP4.error:
                return None  # core has not told the remote of her yet
            if client.select("INBOX", readonly=True)[0] != "OK":
                return None
            rows = ok(client.fetch("1:*", "(BODY.PEEK[])"))
        return next((row[1] for row in rows if isinstance(row, tuple)), None)


if __name__ == "__main__":
    unittest.main()
