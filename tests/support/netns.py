"""Network namespaces for tests: hosts, a firewall between them, and a capture of what passes.

A namespace has no name. It is held by a descriptor of this process and by what runs in it, so it goes with them however
the test ends, and two runs never meet. Within `with host:` the sockets that this thread makes, and the processes that it
starts, are the host's; they stay there. To look around while a test runs: nsenter --net=/proc/PID/fd/DESCRIPTOR.
"""

import collections
import ctypes
import errno
import json
import os
import socket
import struct
import subprocess
import threading
import unittest

CLONE_NEWNET = 0x40000000
ETH_P_ALL, ETH_P_IP, ETH_P_ARP = 0x0003, 0x0800, 0x0806
SOL_PACKET, PACKET_STATISTICS, SO_RCVBUFFORCE = 263, 6, 33
SYN, ACK = 0x02, 0x10

_libc = ctypes.CDLL(None, use_errno=True)


def _call(function, *arguments):
    if function(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{function.__name__}: {os.strerror(ctypes.get_errno())}")


class Namespace:
    """A host: a network of its own, with its loopback up."""

    def __init__(self):
        with open("/proc/thread-self/ns/net", "rb") as home:
            try:
                _call(_libc.unshare, CLONE_NEWNET)
            except OSError as error:
                if error.errno in (errno.EPERM, errno.ENOSYS, errno.EINVAL):
                    raise unittest.SkipTest(f"network namespaces cannot be made here: {error}") from None
                raise
            try:
                self.descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            finally:
                _call(_libc.setns, home.fileno(), CLONE_NEWNET)
        self.homes = []
        self.sysctl("net.ipv6.conf.all.disable_ipv6", 1)  # so that all there is to see is IPv4
        self.ip("link set lo up")

    def close(self):
        os.close(self.descriptor)

    def __enter__(self):
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _call(_libc.setns, self.descriptor, CLONE_NEWNET)
        self.homes.append(home)
        return self

    def __exit__(self, *_):
        home = self.homes.pop()
        _call(_libc.setns, home, CLONE_NEWNET)
        os.close(home)

    @property
    def path(self):
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def run(self, *command, input=None):
        with self:
            done = subprocess.run(command, input=input, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def ip(self, words):
        return self.run("ip", *words.split())

    def sysctl(self, name, value):
        path = "/proc/sys/" + name.replace(".", "/")
        with self:
            if os.path.exists(path):
                with open(path, "w", encoding="ascii") as file:
                    file.write(str(value))

    def connect(self, address, port, timeout):
        with self:
            return socket.create_connection((address, port), timeout=timeout)


class Firewall(Namespace):
    """A router whose rules are nftables'. Each host that it joins has a /24: the host .2 in it, the router .1."""

    def __init__(self):
        super().__init__()
        self.sysctl("net.ipv4.ip_forward", 1)

    def join(self, name, network):
        """A host behind the interface `name`; gives it and its address."""
        host = Namespace()
        self.ip(f"link add {name} type veth peer name eth0 netns {host.path}")
        self.ip(f"address add {network}.1/24 dev {name}")
        self.ip(f"link set {name} up")
        host.ip(f"address add {network}.2/24 dev eth0")
        host.ip("link set eth0 up")
        host.ip(f"route add default via {network}.1")
        return host, f"{network}.2"

    def load(self, rules):
        self.run("nft", "-f", "-", input=rules)

    def counter(self, name):
        """Packets that a named counter has seen."""
        rows = json.loads(self.run("nft", "--json", "list", "counters"))["nftables"]
        return next(row["counter"]["packets"] for row in rows if row.get("counter", {}).get("name") == name)


Opening = collections.namedtuple("Opening", "source destination port")


class Capture:
    """All that passes eth0 of a host, from now until stop(): who spoke with whom, and who opened TCP connections."""

    def __init__(self, host):
        with host:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.socket.bind(("eth0", ETH_P_ALL))
        self.socket.settimeout(0.2)
        self.pairs = collections.Counter()  # (source, destination): packets
        self.openings = collections.Counter()  # Opening: SYNs
        self.strange = collections.Counter()  # of neither IPv4 nor ARP, by EtherType
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while True:
            try:
                octets, (_, protocol, *_) = self.socket.recvfrom(128)
            except TimeoutError:
                if self.stopping.is_set():
                    return
                continue
            if protocol == ETH_P_IP:
                self.see(octets)
            elif protocol != ETH_P_ARP:
                self.strange[protocol] += 1

    def see(self, octets):
        """RFC 791 3.1, RFC 9293 3.1. A fragment other than the first has no port; nothing here makes any."""
        source, destination = socket.inet_ntoa(octets[12:16]), socket.inet_ntoa(octets[16:20])
        self.pairs[source, destination] += 1
        header = (octets[0] & 0x0f) * 4
        if octets[9] == socket.IPPROTO_TCP and octets[header + 13] & (SYN | ACK) == SYN:
            port, = struct.unpack_from("!H", octets, header + 2)
            self.openings[Opening(source, destination, port)] += 1

    def stop(self):
        """Reads what has come; whatever the kernel had to drop would make the capture worthless."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        self.thread.join(30)
        _, dropped = struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self.socket.close()
        assert not self.thread.is_alive() and not dropped, f"{dropped} packets are missing in the capture"

    def addresses(self):
        """Everybody who was heard or spoken to."""
        return {address for pair in self.pairs for address in pair}
