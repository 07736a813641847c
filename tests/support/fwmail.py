"""fwmail under test: nodes as real processes with their own data-dirs, paired by the real commands."""

import imaplib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from peers import Postfix
from wire import PATIENCE, free_port, is_open, spawn, wait_until

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RELEASE = os.path.join(TOP, os.environ.get("FWMAIL_BUILD", "build"), "fwmail")
HOOKS = os.path.join(TOP, os.environ.get("FWMAIL_BUILD_HOOKS", "build-hooks"), "fwmail")
DOMAIN = "example.test"
CORE_HOST, REMOTE_HOST = "core.test", "remote.test"

imaplib._MAXLINE = 100_000_000


def require(binary):
    if not os.access(binary, os.X_OK):
        raise unittest.SkipTest(f"{os.path.relpath(binary, TOP)} is not built")
    return binary


def is_long():
    return os.environ.get("FWMAIL_LONG") == "1"


def long_test(reason):
    return unittest.skipUnless(is_long(), f"long: {reason} (--label long runs it)")


class Cli:
    """The words of the command line, all in this one place."""

    @staticmethod
    def init(role, config, settings):
        return ["init", role, "--config", config] + [word for key, value in settings for word in (f"--{key}", value)]

    @staticmethod
    def run(role, config):
        return [role, "--config", config]

    @staticmethod
    def status(config):
        return ["status", "--json", "--config", config]

    @staticmethod
    def user_add(config, name, address, password_file):
        return ["user", "add", name, "--config", config, "--address", address, "--password-file", password_file]

    @staticmethod
    def outside_password(config, name, label):
        return ["user", "passwd", name, "--config", config, "--outside", "--label", label]

    @staticmethod
    def link_invite(config, name):
        return ["link", "invite", name, "--config", config]

    @staticmethod
    def link_accept(config, name, token):
        return ["link", "accept", name, "--config", config, "--token", token]

    @staticmethod
    def key_export(config, name):
        return ["key", "export", name, "--config", config, "--secret"]

    @staticmethod
    def check(config):
        return ["check", "--config", config]

    @staticmethod
    def sync(config):
        return ["sync", "--config", config]

    @staticmethod
    def open(key_file):
        return ["open", "--key-file", key_file]


class CommandFailed(AssertionError):
    pass


class Node:
    """One core or remote. Its ports are fixed when it is made, so that others can be told of them."""

    def __init__(self, role, directory, binary=RELEASE, settings=(), env=None):
        self.binary = require(binary)
        self.role = role
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        self.data_dir = os.path.join(directory, "data")
        self.config = os.path.join(directory, f"{role}.conf")
        self.log_path = os.path.join(directory, "log")
        self.imap_port, self.smtp_port = free_port(), free_port()
        self.env = dict(os.environ, **(env or {}))
        self.process = None
        self.users = {}
        given = {key for key, _ in settings}
        self.command(Cli.init(role, self.config, [row for row in [
            ("data-dir", self.data_dir),
            ("host-name", CORE_HOST if role == "core" else REMOTE_HOST),
            ("domain", DOMAIN),
            ("log-level", "debug"),
            ("imap.listen", f"127.0.0.1:{self.imap_port}"),
            ("smtp.listen", f"127.0.0.1:{self.smtp_port}"),
            ("imap.max-connections-per-address", "500"),
            ("smtp.max-connections-per-address", "100"),
            ("limits.failed-logins", "1000"),
            ("replicate.batch-delay", "1s"),
            ("replicate.max-mails-per-hour", "1000000"),
            *([("poll.interval", "1s")] if role == "core" else []),
        ] if row[0] not in given or row[0].endswith(".listen")] + list(settings)))

    # Commands.

    def command(self, arguments, input=None, text=True, check=True, env=None):
        done = subprocess.run([self.binary, *arguments], input=input, capture_output=True, text=text, timeout=300 * PATIENCE,
                              env=env or {key: value for key, value in self.env.items() if key != "FWMAIL_CRASH"})
        if check and done.returncode != 0:
            raise CommandFailed(f"fwmail {' '.join(arguments)}: exit {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout

    def status(self):
        return json.loads(self.command(Cli.status(self.config)))

    def check(self):
        """The store of the stopped node is in order."""
        return self.command(Cli.check(self.config))

    def add_user(self, name, password="inside secret"):
        """Makes the user at core; outside it logs in with the generated password."""
        file = os.path.join(self.directory, f"{name}.password")
        with open(file, "w") as stream:
            stream.write(password)
        os.chmod(file, 0o600)
        self.command(Cli.user_add(self.config, name, f"{name}@{DOMAIN}", file))
        outside = last_line(self.command(Cli.outside_password(self.config, name, "phone")))
        self.users[name] = (password, outside)
        return outside

    def set_option(self, section, line):
        """In the configuration, for the next start."""
        with open(self.config, encoding="utf-8") as file:
            text = file.read()
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text.replace(f"[{section}]\n", f"[{section}]\n{line}\n", 1))

    def export_key(self, name):
        """The user's secret key in a file; its user may then open everything."""
        path = os.path.join(self.directory, f"{name}.key")
        with open(path, "w", opener=lambda file, flags: os.open(file, flags, 0o600)) as stream:
            stream.write(self.command(Cli.key_export(self.config, name)))
        return path

    # The process.

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self, wait=True, env=None):
        assert not self.process, f"{self.role} runs already"
        with open(self.log_path, "ab") as log:
            self.process = spawn([self.binary, *Cli.run(self.role, self.config)], log,
                                 env=dict(self.env, **(env or {})))
        if wait:
            wait_until(self.is_up, 30, lambda: f"{self.role} listens\n{self.log()[-3000:]}")
        return self

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.role} ended with {self.process.returncode}:\n{self.log()[-3000:]}")
        return is_open(self.imap_port) and is_open(self.smtp_port)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, timeout=30):
        """SIGTERM drains; the exit status must be 0."""
        if not self.process:
            return
        process, self.process = self.process, None
        if process.poll() is None:
            process.terminate()
        try:
            status = process.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self.role} did not end within {timeout * PATIENCE} s of SIGTERM") from None
        if status not in (0, -signal.SIGKILL):
            raise AssertionError(f"{self.role} ended with {status}:\n{self.log()[-3000:]}")

    def kill9(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    # Mailboxes.

    def password(self, user):
        inside, outside = self.users[user]
        return inside if self.role == "core" else outside

    def imap(self, user, mailbox=None, readonly=True):
        client = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=120)
        client.login(user, self.password(user))
        if mailbox:
            ok(client.select(quoted(mailbox), readonly=readonly))
        return client

    def can_log_in(self, user):
        try:
            with self.imap(user):
                return True
        except imaplib.IMAP4.error:
            return False

    def state(self, user, mailbox="INBOX"):
        """What a client sees: {uid: (Message-ID, flags)}."""
        with self.imap(user, mailbox) as client:
            rows = ok(client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])"))
        state = {}
        # A server may send FLAGS before or behind the literal: imaplib gives what is behind as a row of its own.
        for index, row in enumerate(rows):
            if not isinstance(row, tuple):
                continue
            behind = rows[index + 1] if index + 1 < len(rows) and isinstance(rows[index + 1], bytes) else b""
            text = row[0] + b" " + behind
            flags = frozenset(re.search(rb"FLAGS \(([^)]*)\)", text).group(1).split()) - {b"\\Recent"}
            identity = re.search(rb"<[^>]*>", row[1])
            state[int(re.search(rb"UID (\d+)", text).group(1))] = (identity.group() if identity else b"", flags)
        return state

    def message(self, user, uid, mailbox="INBOX"):
        with self.imap(user, mailbox) as client:
            rows = ok(client.uid("FETCH", str(uid), "(BODY.PEEK[])"))
        return next(row[1] for row in rows if isinstance(row, tuple))

    def messages(self, user, mailbox="INBOX"):
        """{uid: octets} of the whole mailbox."""
        messages = {}
        with self.imap(user, mailbox) as client:
            for uid in ok(client.uid("SEARCH", "ALL"))[0].split():
                rows = ok(client.uid("FETCH", uid.decode(), "(BODY.PEEK[])"))
                messages[int(uid)] = next(row[1] for row in rows if isinstance(row, tuple))
        return messages

    def append(self, user, message, mailbox="INBOX", flags="", date=""):
        """Octet for octet: imaplib's own append() rewrites line endings."""
        with self.imap(user) as client:
            client.send(f"a1 APPEND {quoted(mailbox)} ({flags}) {date} {{{len(message)}}}\r\n".replace("  ", " ").encode())
            if (line := client.readline()).startswith(b"+"):
                client.send(message + b"\r\n")
                line = client.readline()
            while line.startswith(b"* "):
                line = client.readline()
            if not line.startswith(b"a1 OK"):
                raise AssertionError(f"APPEND: {line!r}")

    def count(self, user, mailbox="INBOX"):
        with self.imap(user) as client:
            answer = ok(client.status(quoted(mailbox), "(MESSAGES)"))[0]
        return int(re.search(rb"MESSAGES (\d+)", answer).group(1))


def ok(answer):
    if answer[0] != "OK":
        raise AssertionError(f"IMAP answered {answer[0]} {answer[1]}")
    return answer[1]


def quoted(mailbox):
    return '"' + mailbox.replace("\\", "\\\\").replace('"', '\\"') + '"'


def last_line(text):
    return [line for line in text.splitlines() if line.strip()][-1].strip()


def link(core, remote, name="outside"):
    """Pairs two nodes: an invitation, its acceptance, and the answer carried home."""
    invitation = last_line(core.command(Cli.link_invite(core.config, name)))
    answer = last_line(remote.command(Cli.link_accept(remote.config, "home", invitation)))
    core.command(Cli.link_accept(core.config, name, answer))
    remote.users = core.users


def wait_for_messages(node, user, count, mailbox="INBOX", timeout=60):
    wait_until(lambda: node.count(user, mailbox) >= count, timeout, interval=0.2,
               what=lambda: f"{count} messages in {mailbox} at {node.role}, it has {node.count(user, mailbox)}\n"
                            f"{node.log()[-2000:]}")
    return node.state(user, mailbox)


class Pair:
    """A core and a remote that meet only through a foreign Postfix, which hands a copy of all to a tap."""

    def __init__(self, folder, users=("ann",), max_mail_size="7M", binary=RELEASE, tap_port=None, settings=()):
        self.folder = folder
        # Made once both ends are known; they ask for its port only.
        self.postfix_port = free_port()
        common = [("smarthost.address", f"127.0.0.1:{self.postfix_port}"), ("smarthost.tls", "none"),
                  ("replicate.max-mail-size", max_mail_size), *settings]
        self.core = Node("core", os.path.join(folder, "core"), binary, common)
        self.remote = Node("remote", os.path.join(folder, "remote"), binary, common)
        routes = {CORE_HOST: self.core.smtp_port, DOMAIN: self.core.smtp_port, REMOTE_HOST: self.remote.smtp_port}
        taps = {}
        if tap_port:
            routes["tap.test"], taps = tap_port, {"always_bcc": "tap@tap.test"}
        self.postfix = Postfix(os.path.join(folder, "postfix"), routes=routes, port=self.postfix_port, **taps)
        for user in users:
            self.core.add_user(user)
        link(self.core, self.remote)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        try:
            self.postfix.start()
            self.core.start()
            self.remote.start()
            for user in self.core.users:  # who has an account outside is told by mail as well
                wait_until(lambda: self.knows(user), 30, f"{user} can log in at the remote")
        except BaseException:
            self.kill9()
            raise
        return self

    def knows(self, user):
        self.postfix.take_up_skipped()
        return self.remote.can_log_in(user)

    def kill9(self):
        for part in (self.core, self.remote, self.postfix):
            if part.process:
                part.kill9()

    def stop(self):
        for part in (self.core, self.remote, self.postfix):
            part.stop()

    def lose_remote(self):
        """Another machine in its place, set up as the manual page of the remote says, and not started yet."""
        old = self.remote
        old.kill9()
        shutil.rmtree(old.directory)
        self.remote = Node("remote", old.directory, old.binary, [
            ("smarthost.address", f"127.0.0.1:{self.postfix_port}"), ("smarthost.tls", "none")])
        self.postfix.stop()
        self.postfix.route(REMOTE_HOST, self.remote.smtp_port)
        self.postfix.start()
        self.core.command(["link", "remove", "outside", "--config", self.core.config])
        link(self.core, self.remote)

    def check(self):
        for node in (self.core, self.remote):
            node.check()

    def wait_for_same_state(self, user="ann", mailbox="INBOX", count=None, timeout=60):
        """Until both show the same (UID, Message-ID, flags), and `count` of them; gives that state."""

        def same():
            self.postfix.take_up_skipped()
            inside = self.core.state(user, mailbox)
            return (count is None or len(inside) == count) and inside == self.remote.state(user, mailbox)

        def difference():
            inside, outside = self.core.state(user, mailbox), self.remote.state(user, mailbox)
            only = sorted(set(inside.items()) ^ set(outside.items()))[:10]
            return (f"{mailbox} of {user} the same on both ({count} messages): core has {len(inside)}, remote "
                    f"{len(outside)}, first differences {only}\n{self.remote.log()[-2000:]}")

        wait_until(same, timeout, difference, interval=0.3)
        return self.core.state(user, mailbox)

    def open_sealed(self, sealed, user="ann"):
        """The exact octets that a sealed message was made of, by `fwmail open`."""
        key = os.path.join(self.core.directory, f"{user}.key")
        if not os.path.exists(key):
            self.core.export_key(user)
        return self.core.command(Cli.open(key), input=sealed, text=False)


class NodeTest(unittest.TestCase):
    """A folder that goes with the test; kept where FWMAIL_KEEP is set."""

    @classmethod
    def new_folder(cls):
        folder = tempfile.mkdtemp(prefix="fw-")
        if not os.environ.get("FWMAIL_KEEP"):
            cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        return folder


_serial = iter(range(1, 10**9))


def letter(subject="hello", body="A line.\r\n", sender="bob@elsewhere.test", to=f"ann@{DOMAIN}"):
    """A plain mail; the Message-ID tells it from every other one."""
    identity = f"<{next(_serial)}.{os.getpid()}.{time.monotonic_ns()}@elsewhere.test>"
    text = (f"From: Bob <{sender}>\r\nTo: {to}\r\nSubject: {subject}\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
            f"Message-ID: {identity}\r\n\r\n{body}")
    return identity.encode(), text.encode()
