"""The remote dies when it has told what differs from core, and core does not know that yet."""

import os
import unittest

from fwmail import DOMAIN, HOOKS, NodeTest, Pair, letter
from test_agreement import wait_for_agreement
from wire import smtp_send, wait_until

ANN = f"ann@{DOMAIN}"


class ComparePoint(NodeTest):
    def test_link_compared(self):
        pair = Pair(os.path.join(self.new_folder(), "pair"), binary=HOOKS, settings=[("replicate.resend-after", "3s")])
        self.addCleanup(pair.kill9)
        pair.start()
        smtp_send(pair.core.smtp_port, "bob@elsewhere.test", ANN, letter("news")[1])
        pair.wait_for_same_state(count=1)
        command = ["sync", "ann", "--compare", "--config", pair.core.config]
        pair.core.command([*command, "--wait", "60s"])
        pair.remote.stop()
        pair.remote.start(env={"FWMAIL_CRASH": "link.compared:1"})
        pair.core.command(command)
        wait_until(lambda: pair.remote.process.poll() is not None, 60, "the remote dies")
        before = pair.core.status()["users"][0]["comparisons"]
        pair.remote.kill9()
        pair.remote.start()
        pair.postfix.take_up_skipped()
        wait_until(lambda: pair.core.status()["users"][0]["comparisons"] > before, 60, "core hears of the outcome",
                   interval=0.2)
        self.assertEqual(pair.core.status()["links"][0]["accounts_differing"], 0)
        wait_for_agreement(pair.core, pair.remote)
        pair.stop()
        pair.check()


if __name__ == "__main__":
    unittest.main()
