"""A node dies while what core has lost with a restored backup is told and compared."""

import os
import shutil
import unittest

from fwmail import DOMAIN, HOOKS, NodeTest, Pair, letter
from wire import is_open, smtp_send, wait_until

ANN = f"ann@{DOMAIN}"
POINTS = {
    "link.epoch-begun": "remote",
    "replica.returns-held": "remote",
    "home.body-stored": "core",
    "home.applied": "core",
    "witness.begun": "core",
    "witness.stored": "core",
}


class RestoredPoints(NodeTest):
    def deliver(self, pair, word, count):
        for number in range(count):
            smtp_send(pair.core.smtp_port, "bob@elsewhere.test", ANN, letter(f"{word} {number}")[1])

    def restore(self, pair):
        core = pair.core
        core.kill9()
        shutil.rmtree(core.data_dir)
        shutil.copytree(core.directory + ".backup", core.data_dir)

    def test_each_point(self):
        for point, role in POINTS.items():
            with self.subTest(point=point):
                self.die_at(point, role)

    def die_at(self, point, role):
        folder = self.new_folder()
        pair = Pair(os.path.join(folder, "pair"), binary=HOOKS, settings=[("replicate.resend-after", "3s")])
        self.addCleanup(pair.kill9)
        with open(pair.core.config, encoding="utf-8") as file:
            text = file.read()
        with open(pair.core.config, "w", encoding="utf-8") as file:  # options without a section stand first
            file.write(f"witness = {os.path.join(folder, 'witness')}\n" + text)
        pair.start()
        self.deliver(pair, "first", 2)
        pair.wait_for_same_state(count=2)
        pair.core.stop()
        shutil.copytree(pair.core.data_dir, pair.core.directory + ".backup")
        pair.core.start()
        self.deliver(pair, "later", 2)
        pair.wait_for_same_state(count=4)

        self.restore(pair)
        node = getattr(pair, role)
        node.stop()
        node.start(wait=False, env={"FWMAIL_CRASH": f"{point}:1"})
        if role == "remote":
            pair.core.start()
            self.deliver(pair, "new", 1)
        else:
            wait_until(lambda: not node.is_running() or is_open(node.imap_port), 20, "core is up, or dead")
            if node.is_running():
                self.deliver(pair, "new", 1)
        wait_until(lambda: not node.is_running(), 40, f"{role} dies at {point}")
        node.kill9()
        node.start()
        self.deliver(pair, "last", 1)

        def same():
            pair.postfix.take_up_skipped()
            inside, outside = pair.core.state("ann"), pair.remote.state("ann")
            return inside == outside and len(inside) >= 5

        wait_until(same, 60, "both have all", interval=0.5)
        names = [name for name, _ in pair.core.state("ann").values()]
        self.assertEqual(len(names), len(set(names)))
        self.assertIn(len(names), (5, 6))  # of what died with the node the sender may not have heard
        pair.stop()
        pair.check()


if __name__ == "__main__":
    unittest.main()
