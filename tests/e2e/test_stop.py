"""A node that has to cut sessions when it stops: it ends in order, and the next start knows of it."""

import os
import signal
import socket
import unittest

from fwmail import DOMAIN, Node, NodeTest, letter
from wire import smtp_send, wait_until


class Stop(NodeTest):
    def test_a_client_that_does_not_read_is_cut(self):
        node = Node("core", os.path.join(self.new_folder(), "core"))
        self.addCleanup(node.kill9)
        node.add_user("ann")
        node.start()
        smtp_send(node.smtp_port, "bob@elsewhere.test", f"ann@{DOMAIN}", letter(body="x" * 70 + "\r\n")[1])
        wait_until(lambda: node.count("ann") == 1, 30, "the letter is there")
        node.append("ann", letter(body=("y" * 70 + "\r\n") * 300_000)[1])
        with socket.create_connection(("127.0.0.1", node.imap_port), timeout=30) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(b'a LOGIN ann "inside secret"\r\nb SELECT INBOX\r\nc FETCH 1:2 BODY.PEEK[]\r\n')
            wait_until(lambda: b"* 2 FETCH" in client.recv(1 << 20, socket.MSG_PEEK) or client.recv(2048) == b"", 30,
                       "the large message is on its way")
            process = node.process
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: "stopping" in node.log(), 10, "the node stops")
            process.send_signal(signal.SIGTERM)  # at once
            self.assertEqual(process.wait(10), 0)
        node.process = None
        self.assertIn("sessions were cut", node.log())
        node.start()
        self.assertIn("not a clean one", node.log())
        node.stop()
        before = node.log().count("not a clean one")
        node.start()
        self.assertEqual(node.count("ann"), 2)
        node.stop()
        self.assertEqual(node.log().count("not a clean one"), before)
        node.check()


if __name__ == "__main__":
    unittest.main()
