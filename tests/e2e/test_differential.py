"""A sample of the differential: generated IMAP sessions say the same to core and to Dovecot, or a rule says why not.

scripts/differential runs as many as are wanted; tests/differential/README.md has what came of it.
"""

import os
import sys
import unittest

from fwmail import NodeTest, TOP

sys.path.insert(0, os.path.join(TOP, "tests", "differential"))

import campaign  # noqa: E402
import rules  # noqa: E402

SESSIONS = range(1, 61)


class Sample(NodeTest):
    def test_dovecot(self):
        outcomes = campaign.campaign("dovecot", SESSIONS, self.new_folder())
        self.assertEqual([f"seed {o.seed}, step {number}: {step!r}: {difference!r}"
                          for o in outcomes for number, step, difference in o.unexplained], [])
        # That it looks at all: most is compared, and some of what is known to differ is found.
        self.assertGreater(sum(o.compared for o in outcomes), sum(o.steps for o in outcomes) / 2)
        for name in ("SORT", "THREAD", "COMPRESS", "GETQUOTAROOT", "AUTHENTICATE"):
            self.assertIn(name, {step for o in outcomes for step in o.names}, "the sample has none of it")
        found = set().union(*(o.counts for o in outcomes))
        self.assertGreater(len(found), 10, found)
        self.assertLessEqual(found, {rule.name for rule in rules.RULES})


if __name__ == "__main__":
    unittest.main()
