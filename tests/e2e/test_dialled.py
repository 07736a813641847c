"""The way home by a line that core dials: both directions, cuts, strangers, refusals. No SMTP between the two."""

import base64
import os
import random
import socket
import ssl
import struct
import time
import unittest

from dialled import DialledTest
from fwmail import DOMAIN, CommandFailed, letter, ok
from wire import any_tls, smtp_send, wait_until

ANN = f"ann@{DOMAIN}"


def big(size, seed=1):
    return base64.encodebytes(random.Random(seed).randbytes(size * 3 // 4)).decode().replace("\n", "\r\n")


class Dialled(DialledTest):
    def deliver(self, count=1, size=100):
        for number in range(count):
            smtp_send(self.core.smtp_port, "bob@elsewhere.test", ANN, letter("news", big(size, number))[1])

    def flag(self, node, uid, flag):
        with node.imap("ann", "INBOX", readonly=False) as client:
            ok(client.uid("STORE", str(uid), "+FLAGS", f"({flag})"))

    def test_both_ways(self):
        self.start()
        since = self.core.line()["since"]
        self.assertLess(abs(time.time() - since), 60)
        self.deliver(3)
        state = self.same_state(3)
        uids = sorted(state)
        self.flag(self.remote, uids[0], "\\Seen")
        self.flag(self.core, uids[1], "\\Flagged")
        wait_until(lambda: {b"\\Seen"} <= self.core.state("ann")[uids[0]][1], 30, "the flag comes home")
        self.same_state(3)
        self.deliver(1, 3_000_000)
        self.same_state(4)
        self.assertEqual(self.wire.connections, 1)
        self.assertEqual(self.core.line()["since"], since)
        for node in (self.core, self.remote):
            row = node.status()["links"][0]
            self.assertGreater(row["mails_received"], 0)
            self.assertEqual(row["mails_refused"], 0)
            self.assertEqual(row["last_error"], "")
            self.assertIn("the dialled line is open, since", node.command(["status", "--config", node.config]))
            self.assertEqual(node.log().count(" is open, TLSv1.3"), 1)
        self.check_stores()
        self.assertIn("is lost: this server stops", self.core.log())
        self.assertIn("(1001 this server stops) ", self.remote.log().replace("\n", " "))

    def test_the_remote_waits_for_core(self):
        self.start()
        self.deliver()
        uid, = self.same_state(1)
        self.core.kill9()
        wait_until(lambda: not self.remote.is_line_open(), 30, "the remote sees the line go")
        self.assertIn("NOT open", self.remote.command(["status", "--config", self.remote.config]))
        self.flag(self.remote, uid, "\\Answered")
        wait_until(lambda: self.remote.status()["links"][0]["queued_mails"], 30, "the node mail waits")
        self.assertIn("the line is not open", self.remote.status()["links"][0]["last_error"])
        self.core.start()
        self.wait_for_line()
        wait_until(lambda: b"\\Answered" in self.core.state("ann")[uid][1], 10, "the flag comes home at once")
        self.same_state(1)

    def test_core_waits_for_the_remote(self):
        self.core.start()
        self.deliver(3)
        wait_until(lambda: "is dialled in vain" in self.core.log(), 30, "core tells")
        self.assertIn("NOT open: ", self.core.command(["status", "--config", self.core.config]))
        wait_until(lambda: self.core.status()["links"][0]["queued_mails"], 30, "the node mail waits")
        self.remote.start()
        self.wait_for_line()
        self.same_state(3)
        self.assertEqual(self.core.log().count("is dialled in vain"), 1)

    def test_killed(self):
        self.start()
        count = 0
        for node in (self.core, self.remote, self.core, self.remote):
            self.deliver(5, 200_000)
            count += 5
            wait_until(lambda: self.wire.octets > 0, 30, "something goes")
            self.wire.octets = 0
            node.kill9()
            node.start()
        self.wait_for_line()
        self.same_state(count, timeout=180)
        self.check_stores()

    def test_cut(self):
        self.start()
        self.deliver()
        self.same_state(1)
        count = 1
        for at in (1, 300, 5_000, 200_000, 700_000):
            opened = self.core.log().count(" is open, ")
            self.wire.cut_at = at
            self.deliver(2, 400_000)
            count += 2
            wait_until(lambda: self.wire.cut_at is None, 30, f"it is cut after {at} octets")
            self.flag(self.core, max(self.core.state("ann")), "\\Seen")
            # A line that did not last is not dialled again at once.
            wait_until(lambda: self.core.log().count(" is open, ") > opened, 40, "it is dialled again")
        self.same_state(count, timeout=120)
        for node in (self.core, self.remote):
            self.assertEqual(node.status()["links"][0]["mails_refused"], 0)
        self.assertIn("is lost: ", self.core.log())
        self.assertIn("is lost: ", self.remote.log())
        self.check_stores()

    def test_a_newer_line_takes_the_place(self):
        self.start()
        self.wire.forget()
        self.core.kill9()
        self.core.start()
        self.wait_for_line()
        wait_until(lambda: "a newer line of this link has taken its place" in self.remote.log(), 30, "the old one goes")
        self.deliver()
        self.same_state(1)

    def test_a_dead_line_is_noticed_by_both(self):
        self.start()
        lost = [node.log().count(" is lost: ") for node in (self.core, self.remote)]
        begin = time.monotonic()
        time.sleep(65)  # pings go, nothing else, and that is enough
        self.assertEqual([node.log().count(" is lost: ") for node in (self.core, self.remote)], lost)
        self.wire.forget()
        for node in (self.core, self.remote):
            wait_until(lambda: "is lost: reading: the peer took too long" in node.log(), 75, f"{node.role} notices")
        self.assertGreater(time.monotonic() - begin, 100)
        self.wait_for_line()
        self.deliver()
        self.same_state(1)

    def test_wrong_pin(self):
        self.core.replace(f"pin = {self.pin}", f"pin = {'00' * 32}")
        self.core.start()
        self.remote.start()
        self.deliver()
        said = "the peer's certificate is not the pinned one"
        wait_until(lambda: said in self.core.log(), 30, "core does not take the certificate")
        self.assertIn(said, self.core.line()["error"])
        self.assertFalse(self.remote.is_line_open())
        self.core.stop()
        self.core.replace(f"pin = {'00' * 32}", f"pin = {self.pin}")
        self.core.start()
        self.same_state(1)

    def test_an_unknown_authority(self):
        self.core.replace("verify = pin", "verify = yes")
        self.core.start()
        self.remote.start()
        wait_until(lambda: "certificate is not accepted" in self.core.log(), 30, "core does not take the certificate")

    def test_another_remote(self):
        """One that core has no link with stands at the place."""
        other = type(self)("test_another_remote")
        other.setUp()
        self.addCleanup(other.doCleanups)
        self.wire.to = other.websocket_port
        self.core.replace("verify = pin", "verify = no")
        other.remote.start()
        self.core.start()
        wait_until(lambda: "it does not take a line of this link" in self.core.log(), 30, "core is not taken")
        wait_until(lambda: "it knows no link that may be dialled" in other.remote.log(), 30, "nor is it known")
        self.deliver()
        self.assertFalse(self.core.is_line_open())
        self.wire.to = self.websocket_port
        self.remote.start()
        self.wait_for_line(60)
        self.same_state(1)

    def test_a_link_that_is_not_dialled(self):
        self.remote.replace("dialled = yes", "dialled = no")
        self.remote.start()
        self.core.start()
        wait_until(lambda: "which there needs dialled = yes" in self.core.log(), 30, "core is told")
        self.assertIn("is refused: it knows no link that may be dialled", self.remote.log())

    def stranger(self):
        sock = socket.create_connection(("127.0.0.1", self.websocket_port), timeout=60)
        return any_tls().wrap_socket(sock)

    def upgrade(self):
        stream = self.stranger()
        stream.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       b"Sec-WebSocket-Protocol: fwmail.frame.1\r\n\r\n")
        header = b""
        while not header.endswith(b"\r\n\r\n"):
            header += stream.recv(1)
        self.assertIn(b" 101 ", header.split(b"\r\n")[0])
        challenge = stream.recv(100)
        self.assertEqual((challenge[:3], len(challenge)), (b"\x82\x21\x01", 35))
        return stream, challenge

    @staticmethod
    def frame(octets):
        size = bytes([0x80 | len(octets)]) if len(octets) < 126 else struct.pack("!BH", 0xfe, len(octets))
        return b"\x82" + size + b"\0\0\0\0" + octets

    @staticmethod
    def rest(stream):
        octets = b""
        try:
            while piece := stream.recv(4096):
                octets += piece
        except (ConnectionError, ssl.SSLError):
            pass
        return octets

    def test_strangers(self):
        self.start()
        refused = b"\x88\x02\x03\xf0"  # 1008, and no more
        for hello in (b"\x02" + os.urandom(64), b"", b"\x01" + os.urandom(32), b"\x03\x05\x00", b"\x04",
                      b"\x05\x01frame", b"\x02" + os.urandom(63), os.urandom(65)):
            stream, _ = self.upgrade()
            stream.sendall(self.frame(hello))
            self.assertEqual(self.rest(stream), refused)
        stream, _ = self.upgrade()
        stream.sendall(self.frame(b"\x02" + os.urandom(1500)))
        self.assertEqual(self.rest(stream)[:4], b"\x88\x02\x03\xf1")  # 1009: too large before it is known who it is
        self.assertNotEqual(self.upgrade()[1], self.upgrade()[1])
        for text in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /outside HTTP/1.1\r\nContent-Length: 9\r\n\r\n"):
            stream = self.stranger()
            stream.sendall(text)
            self.assertEqual(self.rest(stream).split(b"\r\n")[0], b"HTTP/1.1 426 Upgrade Required")
        begin = time.monotonic()
        streams = [self.upgrade()[0], self.stranger()]
        for stream in streams:
            self.rest(stream)
        self.assertLess(time.monotonic() - begin, 25)
        with self.assertRaises(OSError):  # no more than ten at one time
            streams = [self.stranger() for _ in range(12)]
        del streams
        log = self.remote.log()
        self.assertIn("a line from 127.0.0.1 is refused: it knows no link that may be dialled", log)
        warnings = [row for row in log.split("\n") if " is refused: " in row and "warning" in row.lower()]
        self.assertLessEqual(len(warnings), 7)
        self.assertEqual(self.wire.connections, 1)
        self.deliver()
        self.same_state(1)

    def test_the_link_is_removed(self):
        self.start()
        self.remote.command(["link", "remove", "home", "--config", self.remote.config])
        wait_until(lambda: "the link is no longer active" in self.remote.log(), 45, "the line goes with the link")
        wait_until(lambda: "it does not take a line of this link" in self.core.log(), 30, "core dials in vain")

    def test_no_place_to_be_dialled_at(self):
        self.remote.replace(f"listen = 127.0.0.1:{self.websocket_port}", "")
        with self.assertRaises(CommandFailed) as caught:
            self.remote.command(["remote", "--config", self.remote.config])
        self.assertIn("set listen in [websocket]", str(caught.exception))
        self.core.replace(f"pin = {self.pin}", "pin = none")
        with self.assertRaises(CommandFailed) as caught:
            self.core.command(["core", "--config", self.core.config])
        self.assertIn("link.outside.pin is not the SHA-256", str(caught.exception))


class LargerThanTaken(DialledTest):
    core_settings = (("replicate.resend-after", "5s"),)
    remote_settings = (("replicate.max-mail-size", "64k"),)

    def test_larger_than_the_peer_takes(self):
        self.start()
        smtp_send(self.core.smtp_port, "bob@elsewhere.test", ANN, letter("large", big(4_000_000))[1])
        said = "give max-mail-size in [replicate] the same value on both sides"
        wait_until(lambda: said in self.core.log(), 30, "core tells what is wrong")
        self.assertIn(said, self.core.status()["links"][0]["last_error"])
        self.assertTrue(self.core.is_line_open())
        self.remote.stop()
        self.remote.replace("max-mail-size = 64k", "max-mail-size = 7M")
        self.remote.start()
        self.same_state(1, timeout=90)


class BySmtpMeanwhile(DialledTest):
    def setUp(self):
        super().setUp()
        self.remote.replace("dialled = yes", f"dialled = yes\nnext-hop = 127.0.0.1:{self.core.smtp_port}")

    def test_a_next_hop_stands_in(self):
        self.start()
        smtp_send(self.core.smtp_port, "bob@elsewhere.test", ANN, letter()[1])
        uid, = self.same_state(1)
        self.wire.down = True
        self.wire.cut()
        wait_until(lambda: not self.remote.is_line_open(), 30, "the line is closed")
        with self.remote.imap("ann", "INBOX", readonly=False) as client:
            ok(client.uid("STORE", str(uid), "+FLAGS", "(\\Flagged)"))
        wait_until(lambda: b"\\Flagged" in self.core.state("ann")[uid][1], 30, "it comes home by SMTP")
        self.assertFalse(self.core.is_line_open())


if __name__ == "__main__":
    unittest.main()
