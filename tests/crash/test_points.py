"""The process dies at each named crash point, in each role that comes by there; then all is right again."""

import os
import re
import time
import unittest

from fwmail import DOMAIN, HOOKS, TOP, NodeTest, Pair, is_long, letter, ok
from raw_imap import RawImap
from test_kill import Sender
from wire import PATIENCE, is_open

ANN = f"ann@{DOMAIN}"


# Only where a body is lost on the way, in an import, at a comparison, after a backup was restored, on a dialled line, and
# when a key is replaced: test_stub_point, test_import_point, test_compare_point, test_restored_points, test_dialled_point,
# test_reseal_points.
ELSEWHERE = {"replica.stub-stored", "import.between-files", "link.compared", "link.epoch-begun", "replica.returns-held",
             "witness.begun", "witness.stored", "line.applied", "poller.sealed-anew", "poller.resealed"}

MAILBOXES = ("INBOX", "Archive", "Drafts", "Junk", "Trash")


def crash_points():
    """From the source, so that no new one is forgotten."""
    names = set()
    for path, _, files in os.walk(os.path.join(TOP, "src")):
        for name in files:
            if name.endswith(".cpp"):
                with open(os.path.join(path, name), encoding="utf-8") as file:
                    names.update(re.findall(r'\bcrash_point\("([^"]+)"\)', file.read()))
    chosen = os.environ.get("FWMAIL_POINTS")  # words of a narrower run
    return [name for name in sorted(names - ELSEWHERE) if not chosen or name in chosen.split()]


class Points(NodeTest):
    def test_each_point(self):
        pair = Pair(self.new_folder(), binary=HOOKS)
        pair.remote.set_option("imap", "accept-plain = yes")
        self.addCleanup(pair.kill9)
        points = crash_points()
        self.assertTrue(points)
        sent = set()
        with pair:
            for point in points:
                reached = [role for role in ("core", "remote") for passage in self.passages()
                           if self.die_at(pair, role, f"{point}:{passage}", sent)]
                with self.subTest(point=point):
                    self.assertTrue(reached, "no role came by this crash point")
        pair.check()

    def passages(self):
        return (1, 2, 3, 5, 8, 13, 21, 34) if is_long() else (1, 6)

    def die_at(self, pair, role, point, sent):
        """True when the role died there."""
        node = getattr(pair, role)
        node.stop()
        node.start(wait=False, env={"FWMAIL_CRASH": point})
        self.wait_until_up_or_dead(node)
        sender = Sender(pair.core.smtp_port, 3)
        sender.start()
        self.disturb(pair)
        died = self.wait_for_death(pair, node, sender)
        # Also one that did not die: it must not do so later.
        if died:
            node.kill9()
        else:
            node.stop()
        node.start()
        sender.join(60)
        self.assertIsNone(sender.error)
        self.assertFalse(sender.is_alive())
        sent.update(identity for identity, _ in sender.letters)
        with self.subTest(point=point, role=role):
            state = pair.wait_for_same_state(count=len(sent), timeout=60)
            self.assertEqual({identity for identity, _ in state.values()}, sent)
        return died

    def wait_until_up_or_dead(self, node):
        deadline = time.monotonic() + 20 * PATIENCE
        while node.is_running() and time.monotonic() < deadline:
            if is_open(node.imap_port) and is_open(node.smtp_port):
                return
            time.sleep(0.02)

    def disturb(self, pair):
        """Flags change too; whichever node is down at the moment is left alone."""
        try:
            _, note = letter("a note")
            pair.core.append("ann", note, "Archive")
            with pair.core.imap("ann", "INBOX", readonly=False) as client:
                ok(client.uid("STORE", "1:*", "+FLAGS", r"(\Seen)"))
                ok(client.uid("COPY", "*", "Archive"))
                ok(client.select("Archive"))
                ok(client.uid("STORE", "*", "+FLAGS", r"(\Deleted)"))
                ok(client.expunge())
                ok(client.uid("MOVE", "1:*", "Trash"))
            with RawImap(pair.core.imap_port, "ann", pair.core.password("ann")) as client:
                two = " ".join(f"{{{len(note)}+}}\r\n{note.decode()}" for _ in range(2))
                client.must(f"APPEND Drafts {two}")
        except Exception:
            pass
        try:
            with pair.remote.imap("ann", "INBOX", readonly=False) as client:
                ok(client.uid("STORE", "1:*", "+FLAGS", r"(\Flagged)"))
                name = f"Outside{time.monotonic_ns()}"
                for command in (client.create, client.subscribe, client.unsubscribe):
                    ok(command(name))
                ok(client.rename(name, name + "b"))
                ok(client.delete(name + "b"))
                ok(client.uid("COPY", "1,*", "Archive"))
                ok(client.select("Archive"))
                ok(client.uid("COPY", "*", "Junk"))
                ok(client.uid("MOVE", "*", "Trash"))
                ok(client.uid("STORE", "*", "+FLAGS", r"(\Deleted)"))
                ok(client.expunge())
            pair.remote.append("ann", letter("a note outside")[1], "Drafts")
        except Exception:
            pass

    def wait_for_death(self, pair, node, sender):
        deadline = time.monotonic() + 15 * PATIENCE
        while time.monotonic() < deadline:
            if not node.is_running():
                return True
            if not sender.is_alive():
                try:
                    if all(pair.core.state("ann", name) == pair.remote.state("ann", name) for name in MAILBOXES):
                        time.sleep(0.5 * PATIENCE)  # what comes after that, as confirmations
                        return not node.is_running()
                except Exception:
                    pass  # it is going down just now
            time.sleep(0.1)
        return not node.is_running()


if __name__ == "__main__":
    unittest.main()
