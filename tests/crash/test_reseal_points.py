"""Either side dies while mail is being sealed anew; then it goes on where it was."""

import imaplib
import os
import unittest

from fwmail import DOMAIN, HOOKS, NodeTest, Pair, letter
from test_agreement import wait_for_agreement
from wire import smtp_send, wait_until

ANN = f"ann@{DOMAIN}"
COUNT = 70  # more than are sealed anew at a time
POINTS = [("core", f"poller.sealed-anew:{passage}") for passage in (1, 2)]
POINTS += [("core", f"poller.resealed:{passage}") for passage in (1, 2)]
POINTS += [("remote", f"{point}:{passage}") for point in ("replica.bodies-stored", "replica.referenced", "replica.applied",
                                                          "replica.attached") for passage in (1, 2)]


class ResealPoints(NodeTest):
    def test_each_point(self):
        pair = Pair(os.path.join(self.new_folder(), "pair"), binary=HOOKS, max_mail_size="100K",
                    settings=[("replicate.resend-after", "3s")])
        self.addCleanup(pair.kill9)
        pair.start()
        for number in range(COUNT):
            smtp_send(pair.core.smtp_port, "bob@elsewhere.test", ANN, letter(f"number {number}")[1])
        state = pair.wait_for_same_state(count=COUNT)
        for role, point in POINTS:
            with self.subTest(point=point):
                before = pair.remote.messages("ann")
                node = getattr(pair, role)
                node.stop()
                pair.core.command(["key", "rotate", "ann", "--reseal", "--config", pair.core.config])
                node.start(wait=False, env={"FWMAIL_CRASH": point})
                wait_until(lambda: not node.is_running(), 60, "it dies", interval=0.1)
                node.kill9()
                node.start()
                key = pair.core.export_key("ann")

                def is_sealed_anew():
                    pair.postfix.take_up_skipped()
                    try:
                        now = pair.remote.messages("ann")
                    except (imaplib.IMAP4.abort, AssertionError):  # just now: NO, and BYE
                        return False
                    return all(now.get(uid) != octets for uid, octets in before.items())
                wait_until(is_sealed_anew, 60, lambda: f"all is shown sealed anew\n{pair.core.log()[-1000:]}\n"
                           f"{pair.remote.log()[-1000:]}", interval=0.5)
                self.assertEqual(pair.core.state("ann"), state)
                self.assertEqual(pair.remote.state("ann"), state)
                inside = pair.core.messages("ann")
                for uid, sealed in list(pair.remote.messages("ann").items())[::9]:
                    plain = pair.core.command(["open", "--key-file", key], input=sealed, text=False)
                    self.assertEqual(plain, inside[uid], uid)
        wait_for_agreement(pair.core, pair.remote)
        pair.core.command(["sync", "ann", "--compare", "--wait", "60s", "--config", pair.core.config])
        self.assertEqual(pair.core.status()["links"][0]["accounts_differing"], 0)
        pair.stop()
        pair.check()


if __name__ == "__main__":
    unittest.main()
