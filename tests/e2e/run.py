#!/usr/bin/env python3
"""Runs the Python tests of tests/e2e and tests/crash, one line each.

    run.py [--label long] [--list] [FOLDER | TEST]...

FOLDER is e2e or crash; TEST is a part of a test's name. The last line is `N passed, N failed, N skipped`.
"""

import argparse
import os
import sys
import time
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ("e2e", "crash")


class LineResult(unittest.TestResult):
    """A line a test; what went wrong follows its line."""

    def __init__(self):
        super().__init__()
        self.passed = 0
        self.bad = 0
        self.skips = 0
        self.subfailures = []

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()
        self.subfailures = []

    def stopTest(self, test):
        super().stopTest(test)
        # unittest reports a test whose subtests failed in no other way.
        if self.subfailures:
            self.fail(test, "\n".join(self.subfailures))
            self.subfailures = []

    def line(self, word, test, more=""):
        seconds = time.monotonic() - getattr(self, "started", time.monotonic())
        print(f"{word:<5} {test.id() if hasattr(test, 'id') else test} ({seconds:.1f} s){more}", flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self.line("ok", test)

    def fail(self, test, text):
        self.bad += 1
        self.line("FAIL", test, "\n" + "\n".join("      " + line for line in text.rstrip().split("\n")))

    def addFailure(self, test, err):
        self.fail(test, self._exc_info_to_string(err, test) if isinstance(test, unittest.TestCase) else str(err[1]))

    def addError(self, test, err):
        # A class or module that could not be set up is no TestCase: it counts as one failure.
        text = self._exc_info_to_string(err, test) if isinstance(test, unittest.TestCase) else str(err[1])
        self.fail(test, text)

    def addSkip(self, test, reason):
        self.skips += 1
        self.line("skip", test, f": {reason}")

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.subfailures.append(f"{subtest._subDescription()}: {self._exc_info_to_string(err, test)}")


def cases(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from cases(item)
        else:
            yield item


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--label", choices=["long"])
    options.add_argument("--list", action="store_true", help="print the names only")
    options.add_argument("what", nargs="*")
    given = options.parse_args()
    if given.label:
        os.environ["FWMAIL_LONG"] = "1"
    folders = [word for word in FOLDERS if word in given.what] or list(FOLDERS)
    names = [word for word in given.what if word not in FOLDERS]

    sys.path.insert(0, os.path.join(TESTS, "support"))
    result = LineResult()
    for folder in folders:
        path = os.path.join(TESTS, folder)
        sys.path.insert(0, path)
        found = cases(unittest.TestLoader().discover(path, top_level_dir=path))
        chosen = [case for case in found if not names or any(name in case.id() for name in names)]
        if given.list:
            print("\n".join(case.id() for case in chosen))
            continue
        # One flat suite keeps the order, so that what a class sets up is made once.
        unittest.TestSuite(chosen).run(result)
        sys.path.remove(path)
    if given.list:
        return 0
    if not result.testsRun and not result.bad and not result.skips:
        print("run.py: no test has such a name", file=sys.stderr)
        return 2
    print(f"{result.passed} passed, {result.bad} failed, {result.skips} skipped")
    return 1 if result.bad else 0


if __name__ == "__main__":
    sys.exit(main())
