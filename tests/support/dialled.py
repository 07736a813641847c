"""A core that dials its remote, with a wire between them that a test can cut, stop or count."""

import hashlib
import os
import socket
import ssl
import subprocess
import threading

from fwmail import RELEASE, Node, NodeTest, link
from wire import free_port, wait_until


class Wire:
    """Passes TCP connections on to a port of this machine."""

    def __init__(self, to):
        self.to = to
        self.port = free_port()
        self.lock = threading.Lock()
        self.pairs = []
        self.octets = 0  # both ways, of all connections
        self.connections = 0
        self.cut_at = None  # when so many octets more have passed, once
        self.flowing = threading.Event()
        self.flowing.set()
        self.down = False
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = None if self.down else socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                far = None
            if far is None:
                threading.Thread(target=self.turn_away, args=(near,), daemon=True).start()
                continue
            with self.lock:
                self.connections += 1
                self.pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(source, sink, self.flowing), daemon=True).start()

    @staticmethod
    def turn_away(near):
        """When it has spoken: what nobody reads would make a reset of the end, now and then."""
        near.settimeout(10)
        try:
            near.recv(8192)
        except OSError:
            pass
        near.close()

    def carry(self, source, sink, flowing):
        try:
            while octets := source.recv(8192):
                flowing.wait()
                with self.lock:
                    self.octets += len(octets)
                    if self.cut_at is not None:
                        self.cut_at -= len(octets)
                        if self.cut_at <= 0:
                            self.cut_at = None
                            break
                sink.sendall(octets)
        except OSError:
            pass
        flowing.wait()  # the other end does not hear of it
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def forget(self):
        """What is open stays so and carries nothing any more; new connections do."""
        with self.lock:
            self.pairs = []
        self.flowing.clear()
        self.flowing = threading.Event()
        self.flowing.set()

    def stop(self):
        self.listener.close()
        self.cut()


def certificate(folder):
    """(certificate file, key file, pin)"""
    files = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=remote.test", "-out", files[0], "-keyout", files[1]],
                   check=True, capture_output=True, timeout=60)
    with open(files[0], encoding="ascii") as file:
        der = ssl.PEM_cert_to_DER_cert(file.read())
    return *files, hashlib.sha256(der).hexdigest()


class LineNode(Node):
    """One whose SMTP no other node knows of: what travels between nodes goes by the line, or not at all."""

    def replace(self, before, after):
        """Whole lines of the configuration."""
        with open(self.config, encoding="utf-8") as file:
            text = file.read()
        assert text.count(f"\n{before}\n") == 1, f"{before!r} is not once in {self.config}"
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text.replace(f"\n{before}\n", f"\n{after}\n"))

    def line(self):
        return self.status()["links"][0]["line"]

    def is_line_open(self):
        links = self.status()["links"]
        return bool(links) and links[0]["line"]["open"]


class DialledTest(NodeTest):
    binary = RELEASE
    core_settings = ()
    remote_settings = ()
    users = ("ann",)

    def setUp(self):
        folder = self.new_folder()
        file, key, self.pin = certificate(folder)
        self.websocket_port, self.deaf_port = free_port(), free_port()
        self.wire = Wire(self.websocket_port)
        self.addCleanup(self.wire.stop)
        self.core = LineNode("core", os.path.join(folder, "core"), self.binary, settings=[
            ("link.outside.dial", f"127.0.0.1:{self.wire.port}"), ("link.outside.verify", "pin"),
            ("link.outside.pin", self.pin), *self.core_settings])
        self.remote = LineNode("remote", os.path.join(folder, "remote"), self.binary, settings=[
            ("websocket.listen", f"127.0.0.1:{self.websocket_port}"), ("link.home.dialled", "yes"),
            ("tls.certificate", file), ("tls.key", key), *self.remote_settings])
        # While the two are paired each believes that its SMTP is at a port where nobody listens.
        for node in (self.core, self.remote):
            node.replace(f"listen = 127.0.0.1:{node.smtp_port}", f"listen = 127.0.0.1:{self.deaf_port}")
        for user in self.users:
            self.core.add_user(user)
        link(self.core, self.remote)
        for node in (self.core, self.remote):
            node.replace(f"listen = 127.0.0.1:{self.deaf_port}", f"listen = 127.0.0.1:{node.smtp_port}")
            self.addCleanup(node.kill9)

    def start(self):
        for node in (self.core, self.remote):
            node.start()
        self.wait_for_line()

    def wait_for_line(self, timeout=30):
        wait_until(lambda: self.core.is_line_open() and self.remote.is_line_open(), timeout, interval=0.3,
                   what=lambda: f"a line\n{self.core.log()[-1500:]}\n{self.remote.log()[-1500:]}")

    def same_state(self, count, user="ann", mailbox="INBOX", timeout=60):
        def same():
            if not self.remote.can_log_in(user):
                return False
            inside = self.core.state(user, mailbox)
            return len(inside) == count and inside == self.remote.state(user, mailbox)

        wait_until(same, timeout, interval=0.3,
                   what=lambda: f"{count} messages on both: {self.core.log()[-3000:]}\n{self.remote.log()[-3000:]}")
        return self.core.state(user, mailbox)

    def check_stores(self):
        for node in (self.core, self.remote):
            node.stop()
            node.check()
