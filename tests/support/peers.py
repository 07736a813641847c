"""Foreign servers for tests: Postfix and Dovecot in private roots (scripts/peer), on loopback ports of the host.

Started within a network namespace (netns.py) Postfix may have an address there.

All that they write lies in one directory of the test, so that they can be killed and started again.
"""

import os
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
import unittest

from wire import free_port, is_open, spawn, wait_until

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEER = os.path.join(TOP, "scripts", "peer")
SKIPPED = 77


def require_peer(name):
    """Makes the private root once; skips the test where this machine does not allow it."""
    done = subprocess.run([PEER, name, "--prepare"], capture_output=True, text=True)
    if done.returncode == SKIPPED:
        raise unittest.SkipTest(done.stderr.strip())
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())


class Peer:
    """What the servers have in common: a directory, a process, a log."""

    name = ""
    address = "127.0.0.1"

    def __init__(self, directory):
        require_peer(self.name)
        self.directory = os.path.realpath(directory)
        os.makedirs(self.directory, exist_ok=True)
        make_reachable(self.directory)
        self.log_path = os.path.join(self.directory, "log")
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def ports(self):
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def start(self):
        assert not self.process, f"{self.name} runs already"
        with open(self.log_path, "ab") as log:
            self.process = spawn([PEER, self.name, "--bind", self.directory, "--", *self.command()], log)
        try:
            wait_until(self.is_up, 30, lambda: f"{self.name} listens\n{self.log()[-3000:]}")
        except BaseException:
            self.process.kill()
            self.process.wait()
            self.process = None
            raise
        return self

    def is_up(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{self.log()[-3000:]}")
        return all(is_open(port, self.address) for port in self.ports())

    def stop(self):
        """Orderly: pid 1 of the namespace, the child of the process that we started, hands the signal on."""
        if not self.process:
            return
        for child in children_of(self.process.pid):
            os.kill(child, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.ended()

    def kill9(self):
        """The whole namespace dies at once, as at a power cut."""
        self.process.kill()
        self.ended()

    def ended(self):
        self.process.wait()
        self.process = None
        wait_until(lambda: not any(is_open(port, self.address) for port in self.ports()), 10, f"{self.name} is gone")

    def restart(self):
        self.stop()
        return self.start()

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.write(text)
        return path


def make_reachable(directory):
    """The server's own users must pass through the test's directory, which mkdtemp makes for us alone."""
    while directory.startswith(os.path.realpath(tempfile.gettempdir()) + "/"):
        if os.stat(directory).st_uid == os.geteuid():
            os.chmod(directory, os.stat(directory).st_mode | 0o011)
        directory = os.path.dirname(directory)


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            return [int(child) for child in children.read().split()]
    except FileNotFoundError:
        return []


POSTFIX_MAIN = """\
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
maillog_file = /dev/stdout
myhostname = {hostname}
mydestination =
local_recipient_maps =
local_transport = error:no local delivery here
alias_maps =
alias_database =
inet_interfaces = {address}
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_tls_security_level = none
smtp_tls_security_level = may
smtp_dns_support_level = disabled
smtp_host_lookup = native
transport_maps = texthash:{directory}/transport
virtual_alias_maps = texthash:{directory}/virtual
default_transport = {default_transport}
relayhost = {relayhost}
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
smtp_connect_timeout = 3s
message_size_limit = {message_size_limit}
mailbox_size_limit = 0
in_flow_delay = 0
append_dot_mydomain = no
biff = no
"""

POSTFIX_MASTER = """\
{address}:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix(Peer):
    """Relays between servers. routes: domain -> port, or (address, port). settings: more of main.cf, with _ in the names."""

    name = "postfix"

    def __init__(self, directory, routes=None, virtual=None, relay_port=None, port=None, hostname="mx.test",
                 message_size_limit=102400000, address="127.0.0.1", **settings):
        super().__init__(directory)
        self.port = port or free_port()
        self.address = address
        self.config = os.path.join(self.directory, "etc")
        os.makedirs(self.config, exist_ok=True)
        os.makedirs(os.path.join(self.directory, "queue"), exist_ok=True)
        main = POSTFIX_MAIN.format(directory=self.directory, hostname=hostname, address=address,
                                   relayhost=next_hop(relay_port) if relay_port else "",
                                   default_transport="smtp" if relay_port else "error:no route in this test",
                                   message_size_limit=message_size_limit)
        lines = [line for line in main.splitlines() if line.partition(" ")[0] not in settings]
        lines += [f"{key} = {value}" for key, value in settings.items()]
        self.write("etc/main.cf", "\n".join(lines) + "\n")
        self.write("etc/master.cf", POSTFIX_MASTER.format(address=address, port=self.port))
        self.write("virtual", "".join(f"{key} {value}\n" for key, value in (virtual or {}).items()))
        self.routes = dict(routes or {})
        self.write_routes()

    def write_routes(self):
        self.write("transport", "".join(f"{domain} smtp:{next_hop(port)}\n" for domain, port in self.routes.items()))

    def route(self, domain, port):
        """Sends a domain elsewhere; takes effect with the next start."""
        self.routes[domain] = port
        self.write_routes()

    def ports(self):
        return [self.port]

    def command(self):
        return ["postfix", "-c", self.config, "start-fg"]

    def queue_size(self):
        count = 0
        for queue in ("maildrop", "incoming", "active", "deferred", "hold"):
            for _, _, files in os.walk(os.path.join(self.directory, "queue", queue)):
                count += len(files)
        return count

    def queue_is_empty(self):
        return self.queue_size() == 0

    def take_up_skipped(self):
        """A mail that an agent still holds when its second try comes qmgr lays aside for five minutes ("skipped, still
        being delivered"), whatever the configured delays: its file says so in the time of its last change."""
        queue = os.path.join(self.directory, "queue")
        skipped = False
        for folder, _, files in os.walk(os.path.join(queue, "incoming")):
            for name in files:
                path = os.path.join(folder, name)
                try:
                    if os.stat(path).st_mtime > time.time() + 10:
                        os.utime(path)
                        skipped = True
                except FileNotFoundError:
                    pass
        if skipped:
            with socket.socket(socket.AF_UNIX) as trigger:
                trigger.connect(os.path.join(queue, "public", "qmgr"))
                trigger.sendall(b"I")

    def wait_for_empty_queue(self, timeout=60):
        def is_empty():
            self.take_up_skipped()
            return self.queue_is_empty()

        wait_until(is_empty, timeout, lambda: f"Postfix's queue is empty; {self.log()[-2000:]}")


def next_hop(place):
    address, port = place if isinstance(place, tuple) else ("127.0.0.1", place)
    return f"[{address}]:{port}"


DOVECOT_CONF = """\
base_dir = /run/dovecot-test
state_dir = {directory}/state
protocols = imap pop3 lmtp
listen = 127.0.0.1
log_path = /dev/stderr
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_format = %Ln
mail_location = maildir:{directory}/mail/%n
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n {directory}/users
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={directory}/mail/%n
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service imap-login {{
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp_port}
  }}
}}
"""


class Dovecot(Peer):
    """IMAP, POP3 and LMTP over one Maildir a user. users: name -> password."""

    name = "dovecot"

    def __init__(self, directory, users, settings=""):
        super().__init__(directory)
        self.imap_port, self.pop3_port, self.lmtp_port = free_port(), free_port(), free_port()
        mail = os.path.join(self.directory, "mail")
        os.makedirs(mail, exist_ok=True)
        os.chmod(mail, 0o1777)
        os.makedirs(os.path.join(self.directory, "state"), exist_ok=True)
        self.write("users", "".join(f"{name}:{password}\n" for name, password in users.items()))
        # A name of its own: the private root has Debian's /etc/dovecot too.
        self.config = self.write("dovecot.conf", DOVECOT_CONF.format(
            directory=self.directory, imap_port=self.imap_port, pop3_port=self.pop3_port,
            lmtp_port=self.lmtp_port) + settings)

    def ports(self):
        return [self.imap_port, self.pop3_port, self.lmtp_port]

    def command(self):
        return ["dovecot", "-F", "-c", self.config]


CYRUS_IMAPD = """\
configdirectory: {directory}/lib
proc_path: {directory}/run/proc
mboxname_lockpath: {directory}/run/lock
idlesocket: {directory}/run/idle
notifysocket: {directory}/run/notify
defaultpartition: default
partition-default: {directory}/mail
altnamespace: {altnamespace}
unixhierarchysep: {unixhierarchysep}
autocreate_quota: 0
admins: admin
allowplaintext: yes
sasl_pwcheck_method: saslauthd
sasl_saslauthd_path: {directory}/mux
sasl_mech_list: PLAIN LOGIN
"""
CYRUS_MASTER = """\
START {{
  recover cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -C {directory}/imapd.conf -r"
}}
SERVICES {{
  imap cmd="imapd -C {directory}/imapd.conf" listen="127.0.0.1:{port}" prefork=1 maxchild=20
}}
EVENTS {{
}}
"""
CYRUS_START = """\
set -e
mkdir -p {directory}/lib {directory}/mail {directory}/run/proc {directory}/run/lock
chown -R cyrus:mail {directory}/lib {directory}/mail {directory}/run
exec /usr/sbin/cyrmaster -C {directory}/imapd.conf -M {directory}/cyrus.conf
"""


class Passwords(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """saslauthd's protocol, which Cyrus asks about passwords: four counted strings, one back. All have one password."""

    daemon_threads = True

    def __init__(self, path, password):
        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                words = [self.rfile.read(int.from_bytes(self.rfile.read(2), "big")) for _ in range(4)]
                answer = b"OK" if words[1] == password.encode() else b"NO"
                self.wfile.write(len(answer).to_bytes(2, "big") + answer)

        super().__init__(path, Handler)
        os.chmod(path, 0o777)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Cyrus(Peer):
    """IMAP. The user `admin` makes mailboxes: user.NAME. Everyone has the one password."""

    name = "cyrus"

    def __init__(self, directory, password, altnamespace="no", unixhierarchysep="no"):
        super().__init__(directory)
        self.imap_port = free_port()
        words = {"directory": self.directory, "port": self.imap_port, "altnamespace": altnamespace,
                 "unixhierarchysep": unixhierarchysep}
        self.write("imapd.conf", CYRUS_IMAPD.format(**words))
        self.write("cyrus.conf", CYRUS_MASTER.format(**words))
        self.script = CYRUS_START.format(**words)
        self.passwords = Passwords(os.path.join(self.directory, "mux"), password)

    def ports(self):
        return [self.imap_port]

    def command(self):
        return ["/bin/sh", "-c", self.script]
