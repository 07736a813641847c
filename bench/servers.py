"""The servers under measurement: fwmail's core, core with remote, and Dovecot. Each lies in a folder of its own."""

import base64
import imaplib
import os
import re
import shutil
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests", "support"))

import fwmail  # noqa: E402
from peers import PEER, Dovecot, require_peer  # noqa: E402
from wire import SmtpClient, free_port  # noqa: E402

USER, PASSWORD = "ann", "inside secret"
ADDRESS = f"{USER}@{fwmail.DOMAIN}"
SENDER = "bob@elsewhere.test"
PATIENCE = 900


class Inbox:
    """One IMAP connection that asks for the number of messages, as little as it can."""

    def __init__(self, port, password):
        self.client = imaplib.IMAP4("127.0.0.1", port, timeout=PATIENCE)
        self.client.login(USER, password)

    def count(self):
        answer = fwmail.ok(self.client.status("INBOX", "(MESSAGES)"))[0]
        return int(re.search(rb"MESSAGES (\d+)", answer).group(1))

    def wait(self, count, interval=0.02):
        """Returns the time at which `count` messages were there."""
        deadline = time.time() + PATIENCE
        while (there := self.count()) < count:
            if time.time() > deadline:
                raise RuntimeError(f"{there} of {count} messages after {PATIENCE} s")
            time.sleep(interval)
        if there > count:
            raise RuntimeError(f"{there} messages where {count} were sent")
        return time.time()

    def close(self):
        self.client.logout()


def node(role, folder, binary, settings=()):
    """The smart host's address is not known before the other node is made."""
    made = fwmail.Node(role, os.path.join(folder, role), binary,
                       [("smarthost.address", "127.0.0.1:1"), ("smarthost.tls", "none"), *settings])
    # The tests want to read everything; a server in use does not write a line for each command.
    substitute(made.config, r"(?m)^log-level = .*$", "log-level = info")
    return made


def substitute(path, pattern, by):
    with open(path) as file:
        text, count = re.subn(pattern, by, file.read())
    assert count == 1, f"{pattern} is in {path} {count} times"
    with open(path, "w") as file:
        file.write(text)


def certificate(folder):
    """One for all servers, of the kind that fwmail makes for itself: the handshake costs each the same."""
    chain, key = os.path.join(folder, "chain.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                    "-subj", "/CN=bench.test", "-keyout", key, "-out", chain], check=True, capture_output=True)
    os.chmod(key, 0o600)
    return chain, key


class Server:
    """Stops with its block; at once, if that fails."""

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind:
            self.kill9()
        else:
            self.stop()


class Core(Server):
    """A core alone, or with a remote that its smart host points straight at. `certificate`: with TLS, and LMTP."""

    name = "fwmail"
    lmtp = reused = False

    def __init__(self, folder, binary, linked, certificate=None):
        settings = []
        if certificate:
            self.tls_port, self.lmtp_port = free_port(), free_port()
            settings = [("tls.certificate", certificate[0]), ("tls.key", certificate[1]), ("imap.listen-tls", f"127.0.0.1:{self.tls_port}"),
                        ("lmtp.listen", f"127.0.0.1:{self.lmtp_port}"), ("imap.max-connections-per-address", "1000")]
        self.core, self.remote = node("core", folder, binary, settings), node("remote", folder, binary)
        substitute(self.core.config, r"(?m)\b127\.0\.0\.1:1$", f"127.0.0.1:{self.remote.smtp_port}")
        substitute(self.remote.config, r"(?m)\b127\.0\.0\.1:1$", f"127.0.0.1:{self.core.smtp_port}")
        self.core.add_user(USER, PASSWORD)
        self.linked = False
        if linked:
            self.link()

    def link(self):
        fwmail.link(self.core, self.remote)
        self.linked = True

    @property
    def imap_port(self):
        return self.core.imap_port

    def make_durable(self):
        """It always is."""

    def forget(self, mailbox):
        """There is nothing that a first FETCH would make."""

    def wait_for_index(self):
        while self.core.status()["users"][0]["not_indexed"]:
            time.sleep(0.5)

    def start(self):
        if self.linked:
            self.remote.start()
        self.start_core()
        return self

    def start_core(self):
        self.core.start()

    def stop(self):
        self.core.stop()
        self.remote.stop()

    def kill9(self):
        self.core.kill9()
        self.remote.kill9()

    def port(self):
        return self.core.smtp_port

    def pid(self):
        # What was started is setpriv, which became fwmail.
        return self.core.process.pid

    def remote_pid(self):
        return self.remote.process.pid

    def inbox(self):
        return Inbox(self.core.imap_port, PASSWORD)

    def remote_inbox(self):
        """The remote knows the user and the INBOX once core's first mail is there."""
        deadline = time.time() + PATIENCE
        while True:
            inbox = None
            try:
                inbox = Inbox(self.remote.imap_port, self.remote.password(USER))
                inbox.count()
                return inbox
            except (imaplib.IMAP4.error, AssertionError):
                if inbox:
                    inbox.close()
                if time.time() > deadline:
                    raise
                time.sleep(0.1)


class DovecotLmtp(Server):
    """Debian's Dovecot; `settings` are lines of its configuration."""

    lmtp = True

    def __init__(self, folder, settings=""):
        self.dovecot = Dovecot(os.path.join(folder, "dovecot"), {USER: PASSWORD}, settings)

    def start(self):
        self.dovecot.start()
        return self

    def stop(self):
        self.dovecot.stop()

    def kill9(self):
        self.dovecot.kill9()

    def port(self):
        return self.dovecot.lmtp_port

    def pid(self):
        return self.dovecot.process.pid

    def inbox(self):
        return Inbox(self.dovecot.imap_port, PASSWORD)


IMAP_SETTINGS = """
ssl = yes
ssl_cert = <{chain}
ssl_key = <{key}
mail_location = {location}
mail_fsync = never
mail_max_userip_connections = 1000
service imap-login {{
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
"""
# Processes that serve one connection after the other, a few of them at once.
REUSED = """
service imap-login {
  service_count = 0
  client_limit = 1000
  process_min_avail = 2
}
service imap {
  service_count = 0
  client_limit = 5
  process_min_avail = 2
}
service lmtp {
  service_count = 0
  process_min_avail = 8
}
"""


class DovecotImap(DovecotLmtp):
    """With TLS, one of its formats, stock or with reused processes, and as durable as fwmail."""

    def __init__(self, folder, kind, reused, certificate):
        self.name, self.kind, self.reused, self.tls_port = kind + ", reused" * reused, kind, reused, free_port()
        own = os.path.join(os.path.realpath(folder), "dovecot")  # all that its private root shows
        mail = os.path.join(own, "mail")
        os.makedirs(own)
        chain, key = (shutil.copy(path, own) for path in certificate)
        super().__init__(folder, IMAP_SETTINGS.format(chain=chain, key=key, location=f"{kind}:{mail}/%n/{kind}", tls_port=self.tls_port) +
                         REUSED * reused)
        self.imap_port, self.lmtp_port = self.dovecot.imap_port, self.dovecot.lmtp_port
        self.mail = mail

    def make_durable(self):
        """Filling need not be: from now on OK means that it is on the disk."""
        self.dovecot.stop()
        substitute(self.dovecot.config, "mail_fsync = never", "mail_fsync = always")
        os.sync()
        self.dovecot.start()

    def forget(self, mailbox):
        """What FETCH has put into Dovecot's cache goes, so that the next one is the first."""
        for folder, _, files in os.walk(self.mail):
            if f"/{mailbox}" in folder.replace("/.", "/"):
                for name in files:
                    if name.startswith("dovecot.index.cache"):
                        os.unlink(os.path.join(folder, name))


class SmtpSource:
    """Postfix's smtp-source, in one private root that stays open: making the root is not measured."""

    name = "smtp-source"

    def __init__(self):
        require_peer("postfix")
        self.shell = subprocess.Popen([PEER, "postfix", "--", "/bin/bash"], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True, bufsize=1)
        self.ask("true")

    def ask(self, command):
        self.shell.stdin.write(f"a=$(date +%s.%N); {command} >/tmp/out 2>&1; s=$?; b=$(date +%s.%N); "
                               f"echo $a $b $s $(tail -n 1 /tmp/out)\n")
        begin, end, status, *said = self.shell.stdout.readline().split(None, 3)
        if status != "0" or said:
            raise RuntimeError(f"{command}: exit {status} {' '.join(said)}")
        return float(begin), float(end)

    def send(self, port, lmtp, count, size, sessions):
        """Returns when it began and when the last message had its 250."""
        # -d: a session sends all its messages over one connection.
        return self.ask(f"smtp-source -d {'-L ' if lmtp else ''}-s {sessions} -m {count} -l {size} -M client.test "
                        f"-f {SENDER} -t {ADDRESS} 127.0.0.1:{port}")

    def close(self):
        self.shell.stdin.close()
        self.shell.wait()


class RandomSource:
    """A sender of our own, whose bodies are random base64: what smtp-source sends compresses to nothing."""

    name = "random base64"

    def send(self, port, lmtp, count, size, sessions):
        share = [count // sessions + (i < count % sessions) for i in range(sessions)]
        pipes = [self.spawn(port, lmtp, n, size) for n in share]
        for ready, _, _ in pipes:
            os.read(ready, 1)
        begin = time.time()
        for _, go, _ in pipes:
            os.write(go, b"g")
        failed = [os.waitpid(pid, 0)[1] for _, _, pid in pipes]
        end = time.time()
        for ready, go, _ in pipes:
            os.close(ready)
            os.close(go)
        if any(failed):
            raise RuntimeError("a sender failed")
        return begin, end

    def spawn(self, port, lmtp, count, size):
        ready, tell = os.pipe()
        wait, go = os.pipe()
        pid = os.fork()
        if pid:
            os.close(tell)
            os.close(wait)
            return ready, go, pid
        status = 1
        try:
            letters = [self.letter(size, i) for i in range(count)]
            with SmtpClient(port, timeout=PATIENCE) as client:
                client.command("LHLO client.test" if lmtp else "EHLO client.test")
                os.write(tell, b"r")
                os.read(wait, 1)
                for octets in letters:
                    client.send(SENDER, [ADDRESS], octets)
                client.quit()
            status = 0
        finally:
            os._exit(status)

    @staticmethod
    def letter(size, number):
        body = base64.encodebytes(os.urandom(size * 3 // 4)).replace(b"\n", b"\r\n")[:size - 2] + b"\r\n"
        return (f"From: <{SENDER}>\r\nTo: <{ADDRESS}>\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
                f"Message-Id: <{number}.{os.getpid()}@client.test>\r\nSubject: from {os.getpid()}\r\n"
                "\r\n").encode() + body

    def close(self):
        pass
