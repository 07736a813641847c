"""A name server with a fixed mind, for tests: MX and A over UDP."""

import socket
import struct
import threading

MX, A = 15, 1


class FakeDns:
    """mx: domain -> [(preference, host)], the host "." for a null MX; a: name -> [address].

    What stands in neither does not exist; what stands in `silent` is never answered."""

    def __init__(self, mx=None, a=None, silent=()):
        self.mx, self.a, self.silent = mx or {}, a or {}, set(silent)
        self.asked = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def stop(self):
        self.socket.close()

    def serve(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            if answer := self.answer(query):
                self.socket.sendto(answer, peer)

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, kind = ".".join(labels).lower(), struct.unpack(">H", query[at + 1:at + 3])[0]
        self.asked.append((name, kind))
        if name in self.silent:
            return None
        records = []
        if kind == MX:
            records = [struct.pack(">H", preference) + packed(host) for preference, host in self.mx.get(name, [])]
        if kind == A:
            records = [socket.inet_aton(address) for address in self.a.get(name, [])]
        known = name in self.mx or name in self.a
        head = query[:2] + (b"\x81\x80" if known else b"\x81\x83") + struct.pack(">HHHH", 1, len(records), 0, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data for data in records)
        return head + query[12:at + 5] + body


def packed(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"
