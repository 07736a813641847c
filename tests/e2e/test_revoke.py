"""A password that is revoked, or a user who is removed, ends the sessions that are open."""

import imaplib
import os
import unittest

from fwmail import Node, NodeTest


class Revoke(NodeTest):
    def setUp(self):
        self.node = Node("core", os.path.join(self.new_folder(), "core"))
        self.addCleanup(self.node.kill9)
        self.outside = self.node.add_user("ann")
        self.node.start()

    def user(self, *words):
        self.node.command(["user", *words, "--config", self.node.config])

    def idle(self, password):
        client = imaplib.IMAP4("127.0.0.1", self.node.imap_port, timeout=20)
        client.login("ann", password)
        client.select("INBOX")
        client.send(b"a1 IDLE\r\n")
        self.assertTrue(client.readline().startswith(b"+"))
        return client

    def assert_cut(self, client):
        self.assertIn(b"* BYE ", client.readline())
        self.assertEqual(client.readline(), b"")

    def test_the_lost_phone_hears_nothing_more(self):
        phone = self.idle(self.outside)
        self.user("passwd", "ann", "--outside", "--label", "phone", "--revoke")
        self.assert_cut(phone)
        with self.assertRaises(imaplib.IMAP4.error):
            self.idle(self.outside)
        self.idle("inside secret")

    def test_one_more_password_cuts_nobody_and_removal_cuts_all(self):
        inside, phone = self.idle("inside secret"), self.idle(self.outside)
        self.user("passwd", "ann", "--outside", "--label", "tablet")
        for client in (inside, phone):
            client.send(b"DONE\r\n")
            self.assertTrue(client.readline().startswith(b"a1 OK"))
        self.user("remove", "ann")
        self.assert_cut(inside)
        self.assert_cut(phone)


if __name__ == "__main__":
    unittest.main()
