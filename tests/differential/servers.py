"""The servers that are compared, each with an account of its own for every session."""

import os
import socketserver
import sys
import threading

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "support"))

from fwmail import Cli, DOMAIN, Node  # noqa: E402
from peers import Dovecot, Peer  # noqa: E402
from raw_imap import RawImap  # noqa: E402
from wire import free_port  # noqa: E402

USES = ("Archive", "Drafts", "Junk", "Sent", "Trash")
PASSWORD = "secret-word"
QUOTA_KIB, QUOTA_MESSAGES = 1024 * 1024, 5000


class Fwmail:
    name = "fwmail"
    quota_root = ""

    def __init__(self, folder):
        self.node = Node("core", os.path.join(folder, "core"), settings=[
            ("limits.account-size", str(QUOTA_KIB * 1024)), ("limits.account-messages", str(QUOTA_MESSAGES)),
            ("limits.failed-logins", "1000000")])
        self.port = self.node.imap_port
        self.password_file = os.path.join(folder, "password")
        with open(self.password_file, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(PASSWORD)

    def start(self):
        self.node.start()
        return self

    def stop(self):
        self.node.stop()
        self.node.check()

    def kill9(self):
        self.node.kill9()

    def new_user(self, seed):
        name = f"u{seed}"
        self.node.command(Cli.user_add(self.node.config, name, f"{name}@{DOMAIN}", self.password_file))
        return name, PASSWORD


DOVECOT = """\
auth_failure_delay = 0
default_client_limit = 4096
mail_max_userip_connections = 1000
mail_fsync = never
auth_mechanisms = plain login scram-sha-256
mail_plugins = quota
mail_location = sdbox:{directory}/mail/%n
passdb {{
  driver = static
  args = password={password}
}}
plugin {{
  quota = count:all
  quota_rule = *:storage={storage}:messages={messages}
  quota_vsizes = yes
}}
protocol imap {{
  mail_plugins = $mail_plugins imap_quota imap_zlib
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  service_count = 0
  process_min_avail = 1
}}
service imap {{
  service_count = 500
  process_min_avail = 2
}}
namespace inbox {{
{uses}}}
"""
DOVECOT_USE = """\
  mailbox {name} {{
    special_use = \\{name}
  }}
"""

class DovecotServer(Dovecot):
    """sdbox, with the mailboxes that every account of fwmail has."""

    quota_root = "all"

    def __init__(self, folder):
        directory = os.path.join(folder, "dovecot")
        super().__init__(directory, {}, DOVECOT.format(
            directory=os.path.realpath(directory), password=PASSWORD, storage=QUOTA_KIB, messages=QUOTA_MESSAGES,
            uses="".join(DOVECOT_USE.format(name=name) for name in USES)))
        self.port = self.imap_port

    def new_user(self, seed):
        """With the mailboxes that every account of fwmail has."""
        with RawImap(self.port, f"u{seed}", PASSWORD) as client:
            for name in USES:
                client.must(f"CREATE {name}")
            for name in (*USES, "INBOX"):
                client.must(f"SELECT {name}")
                client.must(f"SUBSCRIBE {name}")
        return f"u{seed}", PASSWORD


IMAPD_CONF = """\
configdirectory: {directory}/lib
proc_path: {directory}/run/proc
mboxname_lockpath: {directory}/run/lock
defaultpartition: default
partition-default: {directory}/mail
altnamespace: yes
unixhierarchysep: yes
autocreate_quota: 0
autocreate_inbox_folders: {uses}
{xlist}
conversations: no
expunge_mode: immediate
delete_mode: immediate
allowplaintext: yes
munge8bit: no
failedloginpause: 0
plaintextloginpause: 0
maxlogins_per_host: 0
sasl_pwcheck_method: saslauthd
sasl_saslauthd_path: {directory}/mux
sasl_mech_list: PLAIN LOGIN
idlesocket: {directory}/run/idle
notifysocket: {directory}/run/notify
lmtpsocket: {directory}/run/lmtp
"""
CYRUS_CONF = """\
START {{
  recover cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -C {directory}/imapd.conf -r"
}}
SERVICES {{
  imap cmd="imapd -C {directory}/imapd.conf -T 60" listen="127.0.0.1:{port}" prefork=4 maxchild=60
}}
EVENTS {{
}}
DAEMON {{
  idled cmd="idled -C {directory}/imapd.conf"
}}
"""
CYRUS_START = """\
set -e
mkdir -p {directory}/lib {directory}/mail {directory}/run/proc {directory}/run/lock
chown -R cyrus:mail {directory}/lib {directory}/mail {directory}/run
su -s /bin/sh cyrus -c '/usr/lib/cyrus/bin/makedirs {directory}/imapd.conf' || :
exec /usr/sbin/cyrmaster -C {directory}/imapd.conf -M {directory}/cyrus.conf
"""


class Passwords(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """What Cyrus asks whether a password is right: saslauthd's protocol, four counted strings and an answer."""

    daemon_threads = True

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            words = [self.rfile.read(int.from_bytes(self.rfile.read(2), "big")) for _ in range(4)]
            answer = b"OK" if words[1] == PASSWORD.encode() else b"NO"
            self.wfile.write(len(answer).to_bytes(2, "big") + answer)

    def __init__(self, path):
        super().__init__(path, self.Handler)
        os.chmod(path, 0o777)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class CyrusServer(Peer):
    """With names as fwmail has them: INBOX beside the others, and / between levels."""

    name = "cyrus"
    quota_root = ""

    def __init__(self, folder):
        super().__init__(os.path.join(folder, "cyrus"))
        self.port = free_port()
        words = {"directory": self.directory, "port": self.port, "uses": "|".join(USES),
                 "xlist": "\n".join(f"xlist-{name.lower()}: {name}" for name in USES)}
        self.write("imapd.conf", IMAPD_CONF.format(**words))
        self.write("cyrus.conf", CYRUS_CONF.format(**words))
        self.script = CYRUS_START.format(**words)
        self.passwords = Passwords(os.path.join(self.directory, "mux"))

    def ports(self):
        return [self.port]

    def command(self):
        return ["/bin/sh", "-c", self.script]

    def new_user(self, seed):
        with RawImap(self.port, f"u{seed}", PASSWORD) as client:
            for name in (*USES, "INBOX"):
                client.must(f"SUBSCRIBE {name}")
        return f"u{seed}", PASSWORD
