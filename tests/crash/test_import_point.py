"""The process dies between storing imported bodies and showing them; the same import, begun anew, doubles nothing."""

import mailbox
import os
import unittest

from fwmail import HOOKS, CommandFailed, Node, NodeTest, letter


class ImportPoint(NodeTest):
    def test_import_begun_anew(self):
        folder = self.new_folder()
        core = Node("core", os.path.join(folder, "core"), binary=HOOKS)
        core.add_user("ann")
        box = mailbox.Maildir(f"{folder}/mail", create=True)
        for n in range(200):
            box.add(letter(f"mail {n}")[1].replace(b"\r\n", b"\n"))
        words = ["import", "ann", f"maildir:{folder}/mail", "--config", core.config]
        for passage in (1, 2, 1):
            with self.assertRaisesRegex(CommandFailed, "exit -9"):
                core.command(words, env=dict(os.environ, FWMAIL_CRASH=f"import.between-files:{passage}"))
            core.check()
        self.assertIn("imported", core.command(words))
        core.check()
        with core:
            self.assertEqual(core.count("ann"), 200)


if __name__ == "__main__":
    unittest.main()
