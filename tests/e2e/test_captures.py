"""What real mail clients said once (tests/captures, recorded by scripts/capture), said again: the answers are the same."""

import os
import unittest

from captures import FOLDER, Capture, Replay, add_account
from fwmail import Node, NodeTest
from wire import free_port, is_open, wait_until


class Captures(NodeTest):
    @classmethod
    def setUpClass(cls):
        cls.ports = {"pop3": free_port(), "smtp": free_port()}
        cls.core = Node("core", os.path.join(cls.new_folder(), "core"), settings=[
            ("pop3.listen", f"127.0.0.1:{cls.ports['pop3']}"), ("submission.listen", f"127.0.0.1:{cls.ports['smtp']}")])
        cls.ports["imap"] = cls.core.imap_port
        cls.addClassCleanup(cls.core.kill9)
        cls.core.start()
        wait_until(lambda: all(map(is_open, cls.ports.values())), 30, "all ports")

    def replay(self, name):
        capture = Capture(os.path.join(FOLDER, f"{name}.txt"))
        if capture.user not in self.core.users:
            add_account(self.core, capture.user)
        self.assertGreater(len(capture.rows), 5)
        differences = Replay(capture, self.core, self.ports, capture.user).run()
        if differences:
            self.fail("\n".join(differences))


def add(name):
    setattr(Captures, f"test_{name}", lambda self: self.replay(name))


for file in sorted(os.listdir(FOLDER)):
    if file.endswith(".txt"):
        add(file[:-4])


if __name__ == "__main__":
    unittest.main()
