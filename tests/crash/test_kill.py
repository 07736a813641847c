"""kill -9 of core, remote and Postfix at random while mail flows: then everything is there, once, on both."""

import os
import random
import threading
import time
import unittest

from fwmail import DOMAIN, HOOKS, NodeTest, Pair, is_long, letter
from wire import SmtpReply, smtp_send, wait_until

ANN = f"ann@{DOMAIN}"


class Sender(threading.Thread):
    """Sends every mail until it has been answered 250, as an MTA does: a lost answer means the same octets again."""

    def __init__(self, port, count):
        super().__init__(daemon=True)
        self.port = port
        self.letters = [letter(f"number {number}", f"body {number}\r\n" * (number % 50 + 1)) for number in range(count)]
        self.accepted = 0
        self.repeats = 0
        self.error = None

    def run(self):
        try:
            for _, message in self.letters:
                self.send(message)
                self.accepted += 1
        except Exception as error:
            self.error = error

    def send(self, message):
        deadline = time.monotonic() + 120
        while True:
            try:
                smtp_send(self.port, "bob@elsewhere.test", ANN, message)
                return
            except (OSError, ValueError, SmtpReply) as error:
                if isinstance(error, SmtpReply) and error.code // 100 == 5 or time.monotonic() > deadline:
                    raise
                self.repeats += 1
                time.sleep(0.1)


class Kill(NodeTest):
    def flow(self, count, victims, kills_every):
        seed = int(os.environ.get("FWMAIL_SEED") or random.randrange(10**6))
        chance = random.Random(seed)
        with self.subTest(seed=seed):
            pair = Pair(self.new_folder(), binary=HOOKS)
            self.addCleanup(pair.kill9)
            pair.start()
            sender = Sender(pair.core.smtp_port, count)
            sender.start()
            kills = 0
            # From this thread: a child is tied to the thread that started it.
            while sender.is_alive() or kills < 3:
                time.sleep(chance.uniform(*kills_every))
                victim = getattr(pair, chance.choice(victims))
                victim.kill9()
                time.sleep(chance.uniform(0, 0.3))
                victim.start()
                kills += 1
            sender.join()
            if sender.error:
                raise sender.error
            self.assertEqual(sender.accepted, count)
            for _ in range(3):  # and while the rest is on its way
                time.sleep(chance.uniform(*kills_every))
                victim = getattr(pair, chance.choice(victims))
                victim.kill9()
                victim.start()

            state = pair.wait_for_same_state(timeout=60 + count, count=count)
            identities = [identity for identity, _ in state.values()]
            self.assertEqual(sorted(identities), sorted(identity for identity, _ in sender.letters))
            self.check_bodies(pair, chance.sample(sorted(state), min(count, 20)))
            self.check_quiet(pair, state)
            pair.stop()
            pair.check()

    def check_bodies(self, pair, uids):
        for uid in uids:
            self.assertEqual(pair.open_sealed(pair.remote.message("ann", uid)), pair.core.message("ann", uid))

    def check_quiet(self, pair, state):
        """Both restarted once more show the same, and nothing is left to send."""
        for node in (pair.core, pair.remote):
            node.restart()
        self.assertEqual(pair.core.state("ann"), state)
        self.assertEqual(pair.remote.state("ann"), state)
        pair.postfix.wait_for_empty_queue()

    def count(self):
        return 2000 if is_long() else 200

    def test_core_killed(self):
        self.flow(self.count() // 4, ["core"], (0.2, 1.0))

    def test_remote_killed(self):
        self.flow(self.count() // 4, ["remote"], (0.2, 1.0))

    def test_all_killed(self):
        self.flow(self.count(), ["core", "remote", "postfix"], (0.2, 1.5))

    def test_answered_mail_is_there_after_the_kill(self):
        """A 250 is a promise: killed the moment it was read, core has the mail when it comes back."""
        pair = Pair(self.new_folder(), binary=HOOKS)
        self.addCleanup(pair.kill9)
        with pair:
            for round in range(1, 11):
                identity, message = letter(f"round {round}")
                smtp_send(pair.core.smtp_port, "bob@elsewhere.test", ANN, message)
                pair.core.kill9()
                pair.core.start()
                wait_until(lambda: identity in {found for found, _ in pair.core.state("ann").values()}, 20,
                           f"{identity} is at core", interval=0.1)
                self.assertEqual(pair.core.count("ann"), round)
            pair.wait_for_same_state(count=10)
        pair.check()


if __name__ == "__main__":
    unittest.main()
