"""A node dies between applying a frame that came by a dialled line and answering; and after an answer, before it is noted."""

import unittest

from dialled import DialledTest
from fwmail import DOMAIN, HOOKS, letter, ok
from wire import smtp_send, wait_until

ANN = f"ann@{DOMAIN}"


class DialledPoints(DialledTest):
    binary = HOOKS

    def die_at(self, node, point, disturb):
        """What waits for the node, and what it says to that, has it die there; then it is started again."""
        node.stop()
        disturb()
        node.start(wait=False, env={"FWMAIL_CRASH": f"{point}:1"})
        wait_until(lambda: not node.is_running(), 60, f"{node.role} dies at {point}", interval=0.1)
        node.kill9()
        node.start()

    def test_each_point(self):
        self.start()
        smtp_send(self.core.smtp_port, "bob@elsewhere.test", ANN, letter()[1])
        self.same_state(1)
        for count, point in enumerate(("line.applied", "queue.sent"), 2):
            with self.subTest(point=point):
                self.die_at(self.remote, point,
                            lambda: smtp_send(self.core.smtp_port, "bob@elsewhere.test", ANN, letter()[1]))
                self.same_state(count, timeout=120)
                self.die_at(self.core, point, lambda: self.flag_outside(count))
                state = self.same_state(count, timeout=120)
                self.assertIn(b"\\Flagged", state[count][1])
        for node in (self.core, self.remote):
            self.assertEqual(node.status()["links"][0]["mails_refused"], 0)
        self.check_stores()

    def flag_outside(self, uid):
        with self.remote.imap("ann", "INBOX", readonly=False) as client:
            ok(client.uid("STORE", str(uid), "+FLAGS", "(\\Flagged)"))


if __name__ == "__main__":
    unittest.main()
