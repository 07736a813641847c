"""Sockets for tests: free ports, waiting, an octet-exact SMTP client, and an SMTP server that keeps all."""

import base64
import fcntl
import os
import random
import socket
import socketserver
import ssl
import subprocess
import threading
import time


# Under sanitizers everything takes several times as long; a limit that is reached only by what is wrong may wait.
SANITIZER = os.environ.get("FWMAIL_SANITIZER")
PATIENCE = {"asan": 4, "tsan": 8}.get(SANITIZER, 1)


class Timeout(AssertionError):
    pass


def wait_until(condition, timeout, what, interval=0.05):
    """Polls until condition() gives something true, and returns that."""
    deadline = time.monotonic() + timeout * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Timeout(f"not within {timeout * PATIENCE} s: {what() if callable(what) else what}")
        time.sleep(interval)


_held = []


def free_port():
    """A port that no other test process is given: outside the ephemeral range, under a lock held till we end."""
    folder = "/tmp/fwmail-test-ports"
    os.makedirs(folder, mode=0o777, exist_ok=True)
    while True:
        port = random.randrange(20000, 32000)
        lock = open(f"{folder}/{port}", "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _held.append(lock)
        return port


def is_open(port, host="127.0.0.1"):
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def any_tls():
    """A client context that accepts the self-signed certificate of a test server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def spawn(command, log, **options):
    """A child that does not outlive us, even if we are killed. (The kernel ties it to this thread.)"""
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command], stdin=subprocess.DEVNULL,
                            stdout=log, stderr=log, **options)


class SmtpReply(Exception):
    """An SMTP answer that was not the one wanted."""

    def __init__(self, command, code, text):
        super().__init__(f"{command}: {code} {text}")
        self.command, self.code, self.text = command, code, text


class SmtpClient:
    """Speaks SMTP without touching the message: smtplib rewrites line endings, and that hides faults."""

    def __init__(self, port, host="127.0.0.1", tls=False, timeout=60):
        self.sock = socket.create_connection((host, port), timeout=timeout * PATIENCE)
        if tls:
            self.sock = any_tls().wrap_socket(self.sock)
        self.file = self.sock.makefile("rb")
        self.extensions = []
        self.expect("greeting", 220)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.sock.close()

    def read_reply(self):
        lines = []
        while True:
            line = self.file.readline(8192)
            if not line:
                raise ConnectionError("the SMTP server closed the connection")
            lines.append(line[4:].decode("utf-8", "replace").rstrip("\r\n"))
            if line[3:4] != b"-":
                return int(line[:3]), "\n".join(lines)

    def expect(self, command, *codes):
        code, text = self.read_reply()
        if code not in codes:
            raise SmtpReply(command, code, text)
        return code, text

    def command(self, line, *codes):
        self.sock.sendall(line.encode("utf-8") + b"\r\n")
        return self.expect(line.split("\r")[0][:60], *(codes or (250,)))

    def ehlo(self, name="client.test"):
        self.extensions = self.command(f"EHLO {name}")[1].split("\n")[1:]

    def start_tls(self):
        self.command("STARTTLS", 220)
        self.file.close()
        self.sock = any_tls().wrap_socket(self.sock)
        self.file = self.sock.makefile("rb")
        self.ehlo()

    def auth_plain(self, user, password):
        token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.command(f"AUTH PLAIN {token}", 235)

    def send(self, sender, recipients, message, mail_parameters=""):
        """One transaction; message is octets. What does not end in CRLF gets one, as DATA demands."""
        self.command(f"MAIL FROM:<{sender}>{mail_parameters}")
        for recipient in recipients:
            self.command(f"RCPT TO:<{recipient}>", 250, 251)
        self.command("DATA", 354)
        self.sock.sendall(dot_stuffed(message) + b".\r\n")
        return self.expect("end of data", 250)[1]

    def quit(self):
        self.command("QUIT", 221)
        self.close()


def dot_stuffed(message):
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    if message.startswith(b"."):
        message = b"." + message
    return message.replace(b"\r\n.", b"\r\n..")


def smtp_send(port, sender, recipients, message, auth=None, starttls=False, tls=False):
    """Sends one message and returns the server's last answer; SmtpReply tells a refusal."""
    if isinstance(recipients, str):
        recipients = [recipients]
    with SmtpClient(port, tls=tls) as client:
        client.ehlo()
        if starttls:
            client.start_tls()
        if auth:
            client.auth_plain(*auth)
        answer = client.send(sender, recipients, message)
        client.quit()
        return answer


class Received:
    """One message as the sink got it, without dot-stuffing."""

    def __init__(self, sender, recipients, data):
        self.sender, self.recipients, self.data = sender, recipients, data


class SmtpSink:
    """An SMTP server that keeps what it is sent; answer(received) may return a refusal such as "550 no"."""

    def __init__(self, answer=None, port=None, host="127.0.0.1", greeting="220 sink.test ESMTP", extensions=()):
        self.greeting, self.extensions = greeting, extensions
        self.commands = []  # MAIL and RCPT as they came
        self.messages = []
        self.lock = threading.Lock()
        self.answer = answer or (lambda received: None)
        self.port = port or free_port()
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                try:
                    sink.serve(self.rfile, self.wfile)
                except (ConnectionError, ValueError):
                    pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self.server = Server((host, self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def serve(self, rfile, wfile):
        def say(text):
            wfile.write(text.encode() + b"\r\n")

        say(self.greeting)
        if not self.greeting.startswith("220"):
            return
        sender, recipients = None, []
        while line := rfile.readline(4096):
            verb = line[:4].upper()
            if verb in (b"MAIL", b"RCPT"):
                self.commands.append(line.decode("utf-8", "replace").strip())
            if verb in (b"EHLO", b"HELO"):
                more = ["250-8BITMIME", *(f"250-{word}" for word in self.extensions), "250 SIZE 0"]
                say("\r\n".join(["250-sink.test", *more]) if verb == b"EHLO" else "250 sink.test")
            elif verb == b"MAIL":
                sender, recipients = path_of(line), []
                say("250 2.1.0 ok")
            elif verb == b"RCPT":
                recipients.append(path_of(line))
                say("250 2.1.5 ok")
            elif verb == b"DATA":
                say("354 go on")
                received = Received(sender, recipients, read_data(rfile))
                refusal = self.answer(received)
                if not refusal:
                    with self.lock:
                        self.messages.append(received)
                say(refusal or "250 2.0.0 kept")
            elif verb == b"QUIT":
                say("221 2.0.0 bye")
                return
            else:
                say("250 2.0.0 ok" if verb in (b"RSET", b"NOOP") else "502 5.5.2 not here")

    def wait_for(self, count, timeout=30):
        wait_until(lambda: len(self.messages) >= count, timeout,
                   lambda: f"{count} messages at the sink, {len(self.messages)} came")
        return list(self.messages)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def path_of(line):
    return line.split(b"<", 1)[1].split(b">", 1)[0].decode("utf-8", "replace")


def read_data(rfile):
    lines = []
    while (line := rfile.readline()) != b".\r\n":
        if not line:
            raise ConnectionError
        lines.append(line[1:] if line.startswith(b".") else line)
    return b"".join(lines)
