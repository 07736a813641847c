"""Two servers that are to hold the same mailbox, and what goes between them, counted: fwmail's core and remote, two
Dovecots that mbsync or dsync brings together."""

import os
import socket
import subprocess
import threading
import time

from client import Imap
from servers import PASSWORD, USER, Core, DovecotLmtp, free_port, substitute

PATIENCE = 1800
MAILBOX = "Big"


class Counter:
    """Hands a port's connections on, and counts their octets."""

    def __init__(self, target):
        self.target, self.connections, self.octets, self.latest = target, 0, 0, time.time()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            self.connections += 1
            for here, there in ((client, server), (server, client)):
                threading.Thread(target=self.pump, args=(here, there), daemon=True).start()

    def pump(self, here, there):
        try:
            while octets := here.recv(1 << 16):
                self.octets += len(octets)
                self.latest = time.time()
                there.sendall(octets)
            there.shutdown(socket.SHUT_WR)
        except OSError:
            here.close()
            there.close()


class Counters:
    """What has gone over several of them since `begin`."""

    def __init__(self, *counters):
        self.counters = counters
        self.begin()

    def begin(self):
        self.start = time.time()
        self.before = self.octets(), self.connections()

    def octets(self):
        return sum(c.octets for c in self.counters)

    def connections(self):
        return sum(c.connections for c in self.counters)

    def passed(self):
        return self.octets() - self.before[0], self.connections() - self.before[1]

    def wait_for_silence(self, seconds):
        while time.time() - max(self.start, *(c.latest for c in self.counters)) < seconds:
            time.sleep(0.1)


def unseen(client):
    answer = client.do(f"STATUS {MAILBOX} (MESSAGES UNSEEN)")
    words = answer.decode().replace("(", " ").replace(")", " ").split()
    return int(words[words.index("MESSAGES") + 1]), int(words[words.index("UNSEEN") + 1])


def wait(client, messages, unread):
    deadline = time.time() + PATIENCE
    while (there := unseen(client)) != (messages, unread):
        if time.time() > deadline:
            raise RuntimeError(f"{there} instead of {messages} messages, {unread} of them unread, after {PATIENCE} s")
        time.sleep(0.05)


class Linked:
    name = "core and remote"

    def __init__(self, folder, binary):
        self.pair = Core(folder, binary, linked=True)
        core, remote = self.pair.core, self.pair.remote
        out, home = Counter(remote.smtp_port), Counter(core.smtp_port)
        for node, old, new in ((core, remote.smtp_port, out.port), (remote, core.smtp_port, home.port)):
            substitute(node.config, rf"(?m)\b127\.0\.0\.1:{old}$", f"127.0.0.1:{new}")
        self.counters = Counters(out, home)

    def fill(self, messages):
        self.pair.start()
        self.client = Imap(self.pair.core.imap_port, USER, PASSWORD)
        self.client.do(f"CREATE {MAILBOX}")
        self.client.fill(MAILBOX, messages)
        self.client.do(f"SELECT {MAILBOX}")
        self.pair.remote_inbox().close()
        self.outside = Imap(self.pair.remote.imap_port, USER, self.pair.remote.password(USER))
        deadline = time.time() + PATIENCE
        while True:
            try:
                wait(self.outside, len(messages), len(messages))
                break
            except RuntimeError:
                if time.time() > deadline:
                    raise
                time.sleep(0.5)
        self.counters.wait_for_silence(5)

    def carry(self, messages, unread):
        wait(self.outside, messages, unread)

    def close(self):
        self.client.close()
        self.outside.close()
        self.pair.stop()


class Mbsync:
    name = "mbsync"

    def __init__(self, folder, binary):
        del binary
        self.folder = folder
        self.servers = [DovecotLmtp(os.path.join(folder, side), "mail_fsync = never\n") for side in ("near", "far")]

    def fill(self, messages, expunge="None"):
        for server in self.servers:
            server.start()
        counters = [Counter(server.dovecot.imap_port) for server in self.servers]
        self.counters = Counters(*counters)
        with open(os.path.join(self.folder, "mbsyncrc"), "w") as file:
            for name, counter in zip(("near", "far"), counters):
                file.write(f"IMAPAccount {name}\nHost 127.0.0.1\nPort {counter.port}\nUser {USER}\nPass \"{PASSWORD}\"\n"
                           f"SSLType None\nAuthMechs LOGIN\nTimeout 600\n\nIMAPStore {name}\nAccount {name}\n\n")
            file.write(f"Channel all\nFar :far:\nNear :near:\nPatterns {MAILBOX}\nCreate Both\nSync All\nExpunge {expunge}\n"
                       f"SyncState {self.folder}/state-\n")
        os.chmod(file.name, 0o600)
        self.client, self.outside = (Imap(server.dovecot.imap_port, USER, PASSWORD) for server in self.servers)
        self.client.do(f"CREATE {MAILBOX}")
        self.client.fill(MAILBOX, messages)
        self.client.do(f"SELECT {MAILBOX}")
        self.mbsync()
        wait(self.outside, len(messages), len(messages))

    def mbsync(self, patience=PATIENCE):
        run = subprocess.run(["mbsync", "-q", "-c", os.path.join(self.folder, "mbsyncrc"), "all"], timeout=patience,
                             capture_output=True, text=True)
        if run.returncode:
            raise RuntimeError(f"mbsync: {run.stderr}")

    def carry(self, messages, unread):
        self.mbsync()
        wait(self.outside, messages, unread)

    def close(self):
        self.client.close()
        self.outside.close()
        for server in self.servers:
            server.stop()
