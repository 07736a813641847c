"""A body that does not come gets a stub; when it comes after all the message gets a new number."""

import unittest

from fwmail import DOMAIN, letter, wait_for_messages
from lossy import LossyPair
from wire import smtp_send, wait_until

ANN = f"ann@{DOMAIN}"


class Stub(LossyPair):
    def test_stub_and_late_body(self):
        self.sink.wait_for(1)
        self.pass_on()
        first, large = letter("large", "A line that fills the mail.\r\n" * 9000)
        smtp_send(self.core.smtp_port, "bob@elsewhere.test", ANN, large)
        wait_for_messages(self.core, "ann", 1)
        second, small = letter("small")
        smtp_send(self.core.smtp_port, "bob@elsewhere.test", ANN, small)
        wait_for_messages(self.core, "ann", 2)
        self.settle()
        lost = self.pass_on(lose_piece=True)
        state = wait_for_messages(self.remote, "ann", 2, timeout=30)
        self.assertEqual(sorted(state), [1, 2])  # core's UIDs, the stub under the first
        self.assertNotIn(first, {identity for identity, _ in state.values()})
        self.assertEqual(state[2][0], second)
        self.assertEqual(self.remote.status()["users"][0]["stubs"], 1)

        self.hand_over(lost)

        def both():
            self.pass_on()
            inside, outside = self.core.state("ann"), self.remote.state("ann")
            return inside if inside == outside else None

        state = wait_until(both, 40, "core gives the message a new number, and the remote follows", interval=0.5)
        self.assertEqual({uid: identity for uid, (identity, _) in state.items()}, {2: second, 3: first})
        key = self.core.export_key("ann")
        opened = self.core.command(["open", "--key-file", key], input=self.remote.message("ann", 3), text=False)
        self.assertEqual(opened, self.core.message("ann", 3))


if __name__ == "__main__":
    unittest.main()
