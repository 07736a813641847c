"""A mail client that costs little beside the server: large reads, no parsing beyond the tagged line, whole pipelines
in one write; and several of them at once, each a process of its own."""

import os
import secrets
import select
import socket
import ssl
import time

TIME = 900


def connect(port, tls=False):
    sock = socket.create_connection(("127.0.0.1", port), timeout=TIME)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = context.wrap_socket(sock)
    return sock


class Imap:
    def __init__(self, port, user, password, tls=False, mailbox=None):
        self.sock = connect(port, tls)
        self.buffer = bytearray(1 << 20)
        self.view = memoryview(self.buffer)
        # No message ends in such a line.
        self.prefix, self.serial = secrets.token_hex(3), 0
        self.octets = 0
        self.read_line()
        self.do(f'LOGIN {user} "{password}"')
        if mailbox:
            self.do(f"SELECT {mailbox}")

    def read_line(self):
        line = b""
        while not line.endswith(b"\r\n"):
            got = self.sock.recv(65536)
            if not got:
                raise RuntimeError(f"the server has closed: {line[-200:]}")
            line += got
        return line

    def send(self, command):
        self.serial += 1
        self.sock.sendall(b"%s%d %s\r\n" % (self.prefix.encode(), self.serial, self.octets_of(command)))

    @staticmethod
    def octets_of(command):
        return command if isinstance(command, bytes) else command.encode()

    def finish(self):
        """Reads up to the answer of the last command; returns what lies in front of it, at most 64 KiB of the end."""
        tag = b"%s%d " % (self.prefix.encode(), self.serial)
        tail = b""
        while True:
            count = self.sock.recv_into(self.buffer)
            if count == 0:
                raise RuntimeError(f"the server has closed: {tail[-200:]}")
            self.octets += count
            tail = bytes(self.view[max(0, count - 65536):count]) if count >= 65536 else tail[-65536:] + bytes(self.view[:count])
            if not tail.endswith(b"\r\n"):
                continue
            at = tail.rfind(b"\n" + tag) + 1
            if at == 0 and not tail.startswith(tag):
                continue
            if not tail[at:].startswith(tag + b"OK"):
                raise RuntimeError(f"the server says {tail[at:]!r}")
            return tail[:at]

    def do(self, command):
        self.send(command)
        return self.finish()

    def timed(self, command):
        """Milliseconds."""
        begin = time.perf_counter()
        self.do(command)
        return (time.perf_counter() - begin) * 1000

    def pipelined(self, commands):
        """All commands in as few writes as there can be, while the answers are read."""
        data = b""
        for command in commands:
            self.serial += 1
            data += b"%s%d %s\r\n" % (self.prefix.encode(), self.serial, self.octets_of(command))
        pid = os.fork()
        if pid == 0:
            try:
                self.sock.sendall(data)
            finally:
                os._exit(0)
        self.finish()
        os.waitpid(pid, 0)

    def append(self, mailbox, message):
        self.do(b"APPEND %s {%d+}\r\n%s" % (mailbox.encode(), len(message), message))

    def fill(self, mailbox, messages, at_once=200):
        for i in range(0, len(messages), at_once):
            some = messages[i:i + at_once]
            self.do(b"APPEND %s%s" % (mailbox.encode(), b"".join(b" {%d+}\r\n%s" % (len(m), m) for m in some)))

    def close(self):
        try:
            self.do("LOGOUT")
        except (RuntimeError, OSError):
            pass
        self.sock.close()


class Lmtp:
    """MAIL, RCPT and DATA in one write (RFC 2920)."""

    def __init__(self, port, sender, recipient):
        self.sock = connect(port)
        self.file = self.sock.makefile("rb")
        self.head = f"MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode()
        self.expect(b"220")
        self.sock.sendall(b"LHLO client.test\r\n")
        self.expect(b"250")

    def expect(self, code):
        while True:
            line = self.file.readline()
            if not line.startswith(code):
                raise RuntimeError(f"LMTP: {line!r}")
            if line[3:4] == b" ":
                return

    def deliver(self, message):
        """The message has its dots doubled and ends in CRLF."""
        self.sock.sendall(self.head)
        for code in (b"250", b"250", b"354"):
            self.expect(code)
        self.sock.sendall(message + b".\r\n")
        self.expect(b"250")

    def close(self):
        self.sock.close()


class Crowd:
    """`count` processes; each makes ready, waits for the others, and works. Seconds of the whole, and of the clients' CPU."""

    def __init__(self, count, prepare, work):
        pipes = [self.spawn(i, prepare, work) for i in range(count)]
        for ready, _, _ in pipes:
            os.read(ready, 1)
        cpu = sum(os.times()[2:4])
        begin = time.perf_counter()
        for _, go, _ in pipes:
            os.write(go, b"g")
        failed = [os.waitpid(pid, 0)[1] for _, _, pid in pipes]
        self.seconds = time.perf_counter() - begin
        self.cpu = sum(os.times()[2:4]) - cpu
        for ready, go, _ in pipes:
            os.close(ready)
            os.close(go)
        if any(failed):
            raise RuntimeError("a client failed")

    @staticmethod
    def spawn(index, prepare, work):
        ready, tell = os.pipe()
        wait, go = os.pipe()
        pid = os.fork()
        if pid:
            os.close(tell)
            os.close(wait)
            return ready, go, pid
        status = 1
        try:
            made = prepare(index)
            os.write(tell, b"r")
            os.read(wait, 1)
            work(made, index)
            status = 0
        except Exception as error:  # the parent tells of it
            print(f"bench: client: {error}", flush=True)
        finally:
            os._exit(status)


def idle_latency(idler, act):
    """Milliseconds from act()'s return to the EXISTS that the idler hears; negative: it was faster than the answer."""
    idler.send("IDLE")
    idler.read_line()
    act()
    begin = time.perf_counter()
    seen = b""
    while b"EXISTS\r\n" not in seen:
        if not select.select([idler.sock], [], [], TIME)[0]:
            raise RuntimeError("IDLE tells nothing")
        seen += idler.sock.recv(65536)
    spent = (time.perf_counter() - begin) * 1000
    idler.sock.sendall(b"DONE\r\n")
    idler.finish()
    return spent
