"""TLS with foreign clients: IMAP and SMTP at both servers, certificates that change, pinned next hops."""

import hashlib
import imaplib
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import unittest

from fwmail import CORE_HOST, DOMAIN, REMOTE_HOST, Node, NodeTest, Pair, letter, link, ok, wait_for_messages
from wire import SmtpClient, SmtpSink, free_port, smtp_send, wait_until

ANN = f"ann@{DOMAIN}"


def certificate(node):
    return os.path.join(node.data_dir, "tls-certificate.pem")


def pem_digest(path):
    """What `openssl x509 -outform DER | sha256sum` says."""
    with open(path) as file:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()


def shown_digest(port, host="127.0.0.1"):
    """The digest of the certificate that is shown on a port with TLS from the start."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, port), timeout=30) as plain, context.wrap_socket(plain) as tls:
        return hashlib.sha256(tls.getpeercert(binary_form=True)).hexdigest()


def make_certificate(folder, name, host):
    paths = [os.path.join(folder, f"{name}.{kind}") for kind in ("crt", "key")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "30", "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}",
                    "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
    return paths


class NamedImap(imaplib.IMAP4):
    """IMAP to a name that no DNS knows: the name is verified, the connection goes to this machine."""

    def _create_socket(self, timeout):
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)


class NamedImapTls(imaplib.IMAP4_SSL):
    def _create_socket(self, timeout):
        return self.ssl_context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout=60),
                                            server_hostname=self.host)


class ClientTls(NodeTest):
    @classmethod
    def setUpClass(cls):
        cls.pair = Pair(cls.new_folder(), settings=[("imap.listen-tls", "127.0.0.1:0")])
        cls.addClassCleanup(cls.pair.kill9)
        cls.pair.start()
        cls.nodes = [(cls.pair.core, CORE_HOST), (cls.pair.remote, REMOTE_HOST)]
        smtp_send(cls.pair.core.smtp_port, "bob@elsewhere.test", ANN, letter("over TLS")[1])
        cls.pair.wait_for_same_state(count=1)

    def tls_port(self, node):
        """The port 0 of the configuration, as status tells it."""
        lines = [line for line in node.status()["listening"] if re.match(r"imap\S*tls|imaps", line)]
        self.assertEqual(len(lines), 1, node.status()["listening"])
        return int(lines[0].rsplit(":", 1)[1])

    def curl(self, node, host, scheme, port, *more):
        return subprocess.run(["curl", "-sS", "--max-time", "60", "--cacert", certificate(node), "--resolve",
                               f"{host}:{port}:127.0.0.1", "--user", f"ann:{node.password('ann')}",
                               f"{scheme}://{host}:{port}/INBOX;UID=1", *more], capture_output=True)

    # IMAP.

    def test_curl_verifies_and_reads(self):
        for node, host in self.nodes:
            for scheme, port, more in (("imaps", self.tls_port(node), []),
                                       ("imap", node.imap_port, ["--ssl-reqd"])):
                with self.subTest(node.role, scheme=scheme):
                    got = self.curl(node, host, scheme, port, *more)
                    self.assertEqual(got.returncode, 0, got.stderr)
                    self.assertEqual(got.stdout, node.message("ann", 1))

    def test_curl_refuses_the_wrong_name_and_the_wrong_certificate(self):
        core, remote = self.pair.core, self.pair.remote
        self.assertEqual(self.curl(core, "other.test", "imaps", self.tls_port(core)).returncode, 60)
        self.assertEqual(self.curl(remote, CORE_HOST, "imaps", self.tls_port(core)).returncode, 60)

    def test_imaplib_verifies_and_reads(self):
        for node, host in self.nodes:
            for implicit in (True, False):
                with self.subTest(node.role, implicit=implicit):
                    context = ssl.create_default_context(cafile=certificate(node))
                    if implicit:
                        client = NamedImapTls(host, self.tls_port(node), ssl_context=context)
                        self.assertNotIn("STARTTLS", client.capabilities)
                    else:
                        client = NamedImap(host, node.imap_port)
                        self.assertIn("STARTTLS", client.capabilities)
                        ok(client.starttls(context))
                        self.assertNotIn("STARTTLS", client.capabilities)
                    self.assertIn(client.sock.version(), ("TLSv1.2", "TLSv1.3"))
                    client.login("ann", node.password("ann"))
                    ok(client.select("INBOX", readonly=True))
                    self.assertIn(b"1", ok(client.uid("SEARCH", "ALL"))[0].split())
                    client.logout()

    def test_a_second_starttls_is_refused(self):
        with NamedImap(CORE_HOST, self.pair.core.imap_port) as client:
            client.starttls(ssl.create_default_context(cafile=certificate(self.pair.core)))
            client.send(b"z STARTTLS\r\n")
            self.assertTrue(client.readline().startswith(b"z BAD"))
        with SmtpClient(self.pair.core.smtp_port) as client:
            client.ehlo()
            self.assertIn("STARTTLS", client.extensions)
            client.start_tls()
            self.assertNotIn("STARTTLS", client.extensions)
            self.assertIn(client.command("STARTTLS", 500, 502, 503, 554)[0], (500, 502, 503, 554))

    def test_a_stranger_must_start_tls_before_login(self):
        address = foreign_address()
        node = Node("core", os.path.join(self.new_folder(), "core"),
                    settings=[("imap.listen", f"{address}:0")])
        node.add_user("ann")
        self.addCleanup(node.kill9)
        node.start()
        port = next(int(line.rsplit(":", 1)[1]) for line in node.status()["listening"] if f" {address}:" in line)
        with imaplib.IMAP4(address, port, timeout=60) as client:
            self.assertIn("LOGINDISABLED", client.capabilities)
            self.assertFalse([word for word in client.capabilities if word.startswith("AUTH=")])
            for command in (lambda: client.login("ann", node.password("ann")),
                            lambda: client.authenticate("PLAIN", lambda _: b"\0ann\0" + b"inside secret")):
                with self.assertRaises(imaplib.IMAP4.error):
                    command()
        context = ssl.create_default_context(cafile=certificate(node))
        context.check_hostname = False  # imaplib would ask for the address
        with imaplib.IMAP4(address, port, timeout=60) as client:
            client.starttls(context)
            self.assertNotIn("LOGINDISABLED", client.capabilities)
            client.login("ann", node.password("ann"))
        node.stop()

    # SMTP.

    def test_curl_delivers_under_tls(self):
        core, (_, message) = self.pair.core, letter("by curl under TLS", to=ANN)

        def send(host):
            return subprocess.run(["curl", "-sS", "--max-time", "60", "--ssl-reqd", "--cacert", certificate(core),
                                   "--resolve", f"{host}:{core.smtp_port}:127.0.0.1", "--mail-from",
                                   "bob@elsewhere.test", "--mail-rcpt", ANN, "--upload-file", "-",
                                   f"smtp://{host}:{core.smtp_port}"], input=message, capture_output=True).returncode

        self.assertEqual(send("other.test"), 60)
        self.assertEqual(send(CORE_HOST), 0)
        found = wait_until(lambda: [mail for mail in core.messages("ann").values() if mail.endswith(message)], 30, "it")
        self.assertEqual(len(found), 1)
        self.assertRegex(found[0], b"with ESMTPS")

    def test_swaks_delivers_under_tls(self):
        if subprocess.run(["perl", "-MNet::SSLeay", "-e", "1"], capture_output=True).returncode:
            self.skipTest("swaks has no TLS here: Perl's Net::SSLeay is not installed")
        done = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(self.pair.core.smtp_port), "--from",
                               "bob@elsewhere.test", "--to", ANN, "--body", "by swaks", "-tls"],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, "=== TLS started")

    def test_plaintext_behind_starttls_is_dropped(self):
        """CVE-2011-0411 and its kin: what came in clear must not count as said under TLS."""
        for node, _ in self.nodes:
            for protocol, port, command, injected in (
                    ("IMAP", node.imap_port, b"a STARTTLS\r\n", b"b NOOP\r\n"),
                    ("SMTP", node.smtp_port, b"STARTTLS\r\n", b"NOOP\r\n")):
                with self.subTest(node.role, protocol=protocol):
                    lines = inject(port, protocol, command + injected)
                    if protocol == "IMAP":
                        self.assertEqual([line[:4] for line in lines], [b"c OK"], lines)
                    else:
                        self.assertEqual([line[:4] for line in lines], [b"500 "], lines)

    # Versions.

    def test_old_tls_is_refused(self):
        for node, _ in self.nodes:
            for port, more in ((self.tls_port(node), []), (node.imap_port, ["-starttls", "imap"]),
                               (node.smtp_port, ["-starttls", "smtp"])):
                for version, good in (("-tls1", False), ("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)):
                    with self.subTest(node.role, more=more, version=version):
                        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", version,
                                               "-cipher", "ALL:@SECLEVEL=0", *more], stdin=subprocess.DEVNULL,
                                              capture_output=True, timeout=60)
                        self.assertEqual(b"Cipher is (NONE)" not in done.stdout, good, done.stdout + done.stderr)
                        if not good:  # it is the server that refuses
                            self.assertIn(b"alert protocol version", done.stderr)


def foreign_address():
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # sends nothing
        except OSError:
            raise unittest.SkipTest("this machine has a loopback address only") from None
        address = probe.getsockname()[0]
    if address.startswith("127."):
        raise unittest.SkipTest("this machine has a loopback address only")
    return address


def inject(port, protocol, octets):
    """Sends STARTTLS and more in one packet; gives what the server says under TLS up to the answer to ours."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        file = plain.makefile("rb", buffering=0)
        file.readline()
        if protocol == "SMTP":
            plain.sendall(b"EHLO client.test\r\n")
            while file.readline()[3:4] == b"-":
                pass
        plain.sendall(octets)
        answer = file.readline()
        assert answer.startswith((b"a OK", b"220")), answer
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(plain) as tls:
            # A command that is unknown in SMTP tells its answer from that of an injected NOOP.
            tls.sendall(b"c NOOP\r\n" if protocol == "IMAP" else b"XOURS\r\n")
            lines, secure = [], tls.makefile("rb")
            while line := secure.readline():
                lines.append(line)
                if line.startswith((b"c ", b"50")):
                    break
    return lines


class Reload(NodeTest):
    def test_sighup_takes_a_new_certificate(self):
        folder = self.new_folder()
        first, second = (make_certificate(folder, name, CORE_HOST) for name in ("first", "second"))
        used = [os.path.join(folder, "used.crt"), os.path.join(folder, "used.key")]

        def use(pair):
            for source, target in zip(pair, used):
                with open(source) as from_file, open(target, "w") as to_file:
                    to_file.write(from_file.read())

        use(first)
        port = free_port()
        node = Node("core", os.path.join(folder, "core"), settings=[
            ("imap.listen-tls", f"127.0.0.1:{port}"), ("tls.certificate", used[0]), ("tls.key", used[1])])
        node.add_user("ann")
        self.addCleanup(node.kill9)
        node.start()
        self.assertEqual(shown_digest(port), pem_digest(first[0]))
        old = NamedImapTls(CORE_HOST, port, ssl_context=ssl.create_default_context(cafile=first[0]))

        use(second)
        self.assertEqual(shown_digest(port), pem_digest(first[0]))
        node.process.send_signal(signal.SIGHUP)
        wait_until(lambda: shown_digest(port) == pem_digest(second[0]), 30, "the new certificate is shown")
        with NamedImap(CORE_HOST, node.imap_port) as client:
            ok(client.starttls(ssl.create_default_context(cafile=second[0])))
            client.login("ann", node.password("ann"))
        old.login("ann", node.password("ann"))  # who is connected stays
        old.logout()

        # What cannot be used changes nothing, and the log says so.
        use([second[0], first[1]])
        node.process.send_signal(signal.SIGHUP)
        wait_until(lambda: re.search(r"(?m)^.*error.*tls.*$", node.log()), 30, lambda: node.log()[-2000:])
        self.assertEqual(shown_digest(port), pem_digest(second[0]))
        self.assertTrue(node.is_running())
        node.stop()


class TlsTrap:
    """An SMTP server with STARTTLS that notes every line it is sent, also under TLS."""

    def __init__(self, pair):
        self.lines, self.handshakes = [], 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*pair)
        self.port = free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:
                return
            try:
                self.serve(sock)
            except OSError:
                pass

    def serve(self, sock):
        sock.settimeout(30)
        sock.sendall(b"220 trap.test ESMTP\r\n")
        file = sock.makefile("rb")
        while line := file.readline(4096):
            self.lines.append(line)
            if line.startswith(b"STARTTLS"):
                sock.sendall(b"220 go on\r\n")
                sock = self.context.wrap_socket(sock, server_side=True)
                self.handshakes += 1
                file = sock.makefile("rb")
            else:
                sock.sendall(b"250-trap.test\r\n250 STARTTLS\r\n" if line.startswith(b"EHLO") else b"250 ok\r\n")

    def stop(self):
        self.listener.close()


class NextHop(NodeTest):
    """Links whose next hop is the peer itself, under TLS that is required."""

    def setUp(self):
        self.folder = self.new_folder()
        self.core = Node("core", os.path.join(self.folder, "core"))
        self.remote = Node("remote", os.path.join(self.folder, "remote"))
        self.core.add_user("ann")
        link(self.core, self.remote)
        for node in (self.core, self.remote):  # the first start makes the certificate
            self.addCleanup(node.kill9)
            node.start()
            wait_until(lambda: node.status()["running"], 30, "it answers")
            node.stop()
        self.plain_config = {node: read(node.config) for node in (self.core, self.remote)}
        self.route(self.remote, "home", self.core.smtp_port, pin=pem_digest(certificate(self.core)))

    def route(self, node, name, port, **options):
        lines = {"next-hop": f"127.0.0.1:{port}", "tls": "required", "verify": "pin", **options}
        with open(node.config, "w") as file:
            file.write(self.plain_config[node] + f"\n[link.{name}]\n"
                       + "".join(f"{key} = {value}\n" for key, value in lines.items()))

    def deliver(self):
        smtp_send(self.core.smtp_port, "bob@elsewhere.test", ANN, letter()[1])
        wait_for_messages(self.core, "ann", 1)

    def assert_waits_and_says(self, reason):
        wait_until(lambda: re.search(f"deferred.*{reason}", self.core.log()), 60,
                   lambda: f"{reason!r} in the log\n{self.core.log()[-3000:]}", interval=0.3)
        row = self.core.status()["links"][0]
        self.assertGreater(row["queued_mails"], 0)
        self.assertEqual(row["mails_sent"], 0)

    def assert_arrives(self):
        """With the right pin; a restart is what makes a changed configuration count."""
        self.core.stop()
        self.route(self.core, "outside", self.remote.smtp_port, pin=pem_digest(certificate(self.remote)))
        self.remote.start()
        self.core.start()
        wait_until(lambda: self.remote.can_log_in("ann"), 60, lambda: self.core.log()[-2000:], interval=0.3)
        self.assertEqual(wait_for_messages(self.remote, "ann", 1), self.core.state("ann"))
        wait_until(lambda: self.core.status()["links"][0]["mails_received"] > 0, 60, "an answer under the other pin")
        self.assertEqual(self.core.status()["links"][0]["last_error"], "")
        for node in (self.core, self.remote):
            node.stop()
            node.check()

    def test_pinned_next_hop_and_the_wrong_pin(self):
        trap = TlsTrap(make_certificate(self.folder, "trap", REMOTE_HOST))
        self.addCleanup(trap.stop)
        self.route(self.core, "outside", trap.port, pin=pem_digest(certificate(self.remote)))
        self.core.start()
        self.deliver()
        wait_until(lambda: trap.handshakes, 60, lambda: self.core.log()[-2000:])
        self.assert_waits_and_says("certificate is not the pinned one")
        self.assertLessEqual({line.split()[0] for line in trap.lines}, {b"EHLO", b"STARTTLS"})
        self.assert_arrives()

    def test_no_tls_where_it_is_required(self):
        sink = SmtpSink()  # knows no STARTTLS
        self.addCleanup(sink.stop)
        self.route(self.core, "outside", sink.port, pin="00" * 32)
        self.core.start()
        self.deliver()
        self.assert_waits_and_says("no TLS")
        self.assertEqual(sink.messages, [])
        self.assert_arrives()

    def test_status_says_why_node_mail_waits(self):
        sink = SmtpSink()
        self.addCleanup(sink.stop)
        self.route(self.core, "outside", sink.port, pin="00" * 32)
        self.core.start()
        self.deliver()
        wait_until(lambda: "no TLS" in self.core.status()["links"][0]["last_error"], 30, "the reason", interval=0.3)
        self.assert_arrives()
        self.assertEqual(self.core.status()["links"][0]["last_error"], "")

    def test_ca_file_and_the_name(self):
        """verify = yes: the right certificate for the name of the next hop, and for another name."""
        pair = make_certificate(self.folder, "localhost", "localhost")
        other = make_certificate(self.folder, "other", "other.test")
        self.plain_config[self.remote] += f"\n[tls]\ncertificate = {other[0]}\nkey = {other[1]}\n"
        self.route(self.remote, "home", self.core.smtp_port, pin=pem_digest(certificate(self.core)))
        self.remote.start()
        self.route(self.core, "outside", 0, **{"next-hop": f"localhost:{self.remote.smtp_port}", "verify": "yes",
                                               "ca-file": other[0]})
        self.core.start()
        self.deliver()
        self.assert_waits_and_says("is not accepted: hostname mismatch")
        self.assertEqual(self.remote.status()["links"][0]["mails_received"], 0)
        for node in (self.core, self.remote):
            node.stop()
        with open(self.remote.config) as file:
            text = file.read().replace(other[0], pair[0]).replace(other[1], pair[1])
        with open(self.remote.config, "w") as file:
            file.write(text)
        self.route(self.core, "outside", 0, **{"next-hop": f"localhost:{self.remote.smtp_port}", "verify": "yes",
                                               "ca-file": pair[0]})
        self.remote.start()
        self.core.start()
        wait_until(lambda: self.remote.can_log_in("ann"), 60, lambda: self.core.log()[-2000:], interval=0.3)
        self.assertEqual(wait_for_messages(self.remote, "ann", 1), self.core.state("ann"))
        for node in (self.core, self.remote):
            node.stop()


def read(path):
    with open(path) as file:
        return file.read()


if __name__ == "__main__":
    unittest.main()
