"""The core dies while it fills the search index; afterwards every search is right, by bodies and by the index."""

import glob
import os

from fwmail import DOMAIN, HOOKS, Node, NodeTest, letter, ok, wait_for_messages
from wire import smtp_send, wait_until

ANN = f"ann@{DOMAIN}"
POINTS = ("search.texts-read", "search.indexed", "search.removed", "store.after-commit")


class SearchCrash(NodeTest):
    def test_each_point(self):
        core = Node("core", self.new_folder() + "/core", HOOKS)
        self.addCleanup(core.kill9)
        core.add_user("ann")
        sent = 0
        for point in POINTS:
            for passage in (1, 2) if point.startswith("store.") else (1,):  # the rest is one batch
                with self.subTest(point=point, passage=passage):
                    core.kill9()  # what a part that failed left running
                    core.start()
                    for _ in range(10):
                        smtp_send(core.smtp_port, "bob@elsewhere.test", ANN,
                                  letter(f"subject {sent}", f"text number{sent}x\r\n" + "filling words\r\n" * 500)[1])
                        sent += 1
                    wait_for_messages(core, "ann", sent)
                    self.search(core, sent)
                    self.expunge(core)
                    core.kill9()
                    if point in ("search.texts-read", "search.indexed"):  # there must be something left to index
                        for file in glob.glob(core.data_dir + "/accounts/*.search.db*"):
                            os.remove(file)
                    core.start(wait=False, env={"FWMAIL_CRASH": f"{point}:{passage}"})
                    wait_until(lambda: not core.is_running(), 20, f"death at {point}")
                    core.kill9()
                    core.start()
                    self.search(core, sent)
                    wait_until(lambda: core.status()["users"][0]["not_indexed"] == 0, 60, "the index to come up")
                    self.search(core, sent)
                    core.stop()
                    core.check()

    def expunge(self, core):
        with core.imap("ann", "INBOX", readonly=False) as client:
            ok(client.uid("COPY", "1:3", "Archive"))
            ok(client.select("Archive"))
            ok(client.uid("STORE", "1:*", "+FLAGS", r"(\Deleted)"))
            ok(client.expunge())

    def search(self, core, sent):
        with core.imap("ann", "INBOX") as client:
            for number in {0, 1, sent // 2, sent - 2, sent - 1}:
                found = ok(client.uid("SEARCH", "BODY", f"umber{number}x"))[0].split()
                self.assertEqual(found, [str(number + 1).encode()])
            self.assertEqual(len(ok(client.uid("SEARCH", "TEXT", "filling"))[0].split()), sent)
            self.assertEqual(ok(client.uid("SEARCH", "TEXT", '"never written"'))[0], b"")
