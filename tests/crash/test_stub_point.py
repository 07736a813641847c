"""The remote dies between storing a stub and showing it."""

import unittest

from fwmail import DOMAIN, HOOKS, letter, wait_for_messages
from lossy import LossyPair
from wire import smtp_send, wait_until

ANN = f"ann@{DOMAIN}"


class StubPoint(LossyPair):
    binary = HOOKS

    def test_replica_stub_stored(self):
        self.sink.wait_for(1)
        self.pass_on()
        self.remote.stop()
        self.remote.start(env={"FWMAIL_CRASH": "replica.stub-stored"})
        identity, large = letter("large", "A line that fills the mail.\r\n" * 9000)
        smtp_send(self.core.smtp_port, "bob@elsewhere.test", ANN, large)
        self.settle()
        lost = self.pass_on(lose_piece=True)
        wait_until(lambda: not self.remote.is_running(), 30, "the remote dies at the crash point")
        self.remote.kill9()
        self.remote.start()
        wait_for_messages(self.remote, "ann", 1, timeout=30)
        self.assertEqual(self.remote.status()["users"][0]["stubs"], 1)

        self.hand_over(lost)

        def both():
            self.pass_on()
            inside, outside = self.core.state("ann"), self.remote.state("ann")
            return inside if inside == outside else None

        state = wait_until(both, 40, "core gives the message a new number, and the remote follows", interval=0.5)
        self.assertEqual({uid: name for uid, (name, _) in state.items()}, {2: identity})
        for node in (self.core, self.remote):
            node.stop()
            node.check()


if __name__ == "__main__":
    unittest.main()
