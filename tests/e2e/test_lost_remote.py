"""The remote's disk is lost, and all of it comes again by mail: clients that know the old one keep what they have."""

import os
import subprocess
import unittest

from fwmail import DOMAIN, NodeTest, Pair, letter, ok
from raw_imap import RawImap
from test_journey import MBSYNC
from wire import smtp_send, wait_until

ANN = f"ann@{DOMAIN}"
COUNT = 30


class LostRemote(NodeTest):
    def setUp(self):
        self.folder = self.new_folder()
        self.pair = Pair(self.folder)
        self.addCleanup(self.pair.kill9)
        self.pair.start()

    def deliver(self, count):
        for number in range(count):
            smtp_send(self.pair.core.smtp_port, "bob@elsewhere.test", ANN, letter(f"number {number}")[1])

    def mbsync(self):
        """{file: (inode, last change of its octets)} after a run."""
        folder = os.path.join(self.folder, "mirror")
        os.makedirs(folder, exist_ok=True)
        config = os.path.join(folder, "rc")
        with open(config, "w") as file:
            file.write(MBSYNC.format(port=self.pair.remote.imap_port, password=self.pair.remote.password("ann"),
                                     folder=folder))
        done = subprocess.run(["mbsync", "-c", config, "all"], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        files = {}
        for part in ("new", "cur"):
            for name in os.listdir(os.path.join(folder, "INBOX", part)):
                status = os.stat(os.path.join(folder, "INBOX", part, name))
                files[name.partition(":")[0]] = (status.st_ino, status.st_mtime_ns)
        return files

    def qresync(self, known=""):
        with RawImap(self.pair.remote.imap_port, "ann", self.pair.remote.password("ann"), "QRESYNC") as client:
            return client.must(f"SELECT INBOX{known}")

    def test_no_body_comes_twice(self):
        self.deliver(COUNT)
        self.pair.wait_for_same_state(count=COUNT)
        with self.pair.remote.imap("ann", "INBOX", readonly=False) as client:
            ok(client.uid("STORE", "1:5", "+FLAGS", r"(\Seen)"))
            ok(client.uid("STORE", "7", "+FLAGS", r"(\Deleted)"))
            ok(client.uid("EXPUNGE", "7"))
        self.pair.wait_for_same_state(count=COUNT - 1)
        before = self.mbsync()
        self.assertEqual(len(before), COUNT - 1)
        selected = self.qresync()
        validity = selected.one(r"OK \[UIDVALIDITY (\d+)\].*")
        modseq = int(selected.one(r"OK \[HIGHESTMODSEQ (\d+)\].*"))
        bodies = self.pair.remote.messages("ann")

        self.pair.lose_remote()
        # Meanwhile life goes on inside.
        self.deliver(2)
        with self.pair.core.imap("ann", "INBOX", readonly=False) as client:
            ok(client.uid("STORE", "10:12", "+FLAGS", r"(\Flagged)"))
            ok(client.uid("STORE", "20", "+FLAGS", r"(\Deleted)"))
            ok(client.uid("EXPUNGE", "20"))
        self.pair.remote.start()
        wait_until(lambda: self.pair.remote.can_log_in("ann"), 30, "ann can log in at the new remote")
        state = self.pair.wait_for_same_state(count=COUNT)

        selected = self.qresync(f" (QRESYNC ({validity} {modseq} 1:{COUNT}))")
        self.assertEqual(selected.one(r"OK \[UIDVALIDITY (\d+)\].*"), validity)
        self.assertGreater(int(selected.one(r"OK \[HIGHESTMODSEQ (\d+)\].*")), modseq)
        told = {int(uid): set(flags.split()) for uid, flags in
                selected.all(r"\d+ FETCH \(UID (\d+) .*?FLAGS \(([^)]*)\).*\)")}
        told = {uid: {flag.encode() for flag in flags} - {rb"\Recent"} for uid, flags in told.items()}
        self.assertEqual(told, {uid: set(flags) for uid, (_, flags) in state.items() if uid <= COUNT})
        self.assertEqual(set(selected.one(r"VANISHED \(EARLIER\) (.*)").split(",")), {"7", "20"})
        for uid, octets in self.pair.remote.messages("ann").items():
            if uid <= COUNT:
                self.assertEqual(octets, bodies[uid], uid)

        after = self.mbsync()
        self.assertEqual(len(after), len(before) + 2)  # mbsync keeps the expunged one, marked
        self.assertEqual({name: after.get(name) for name in before}, before)
        self.pair.stop()
        self.pair.check()


if __name__ == "__main__":
    unittest.main()
