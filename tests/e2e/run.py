#!/usr/bin/env python3
"""Runs the Python tests of tests/e2e and tests/crash, one line each.

    run.py [--label long] [--list] [--jobs N] [FOLDER | TEST]...

FOLDER is e2e or crash; TEST is a part of a test's name. With --jobs several modules run at once, each in a process of
its own. The last line is `N passed, N failed, N skipped`.
"""

import argparse
import concurrent.futures
import os
import re
import subprocess
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


def run_module(folder, module, names):
    """(passed, failed, skipped) of one module, run by a process of its own; its lines appear together."""
    command = [sys.executable, os.path.abspath(__file__), "--module", module, folder, *names]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    *lines, last = done.stdout.rstrip("\n").split("\n")
    counts = re.fullmatch(r"(\d+) passed, (\d+) failed, (\d+) skipped", last)
    if not counts:
        lines += [last, f"FAIL  {folder}/{module}: its process ended with {done.returncode} before its tests"]
    print("\n".join(lines), flush=True)
    return [int(number) for number in counts.groups()] if counts else [0, 1, 0]


def run_modules(jobs, modules, names):
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        each = list(pool.map(lambda one: run_module(*one, names), modules))
    return [sum(counts) for counts in zip(*each)]


def finish(passed, bad, skips):
    print(f"{passed} passed, {bad} failed, {skips} skipped")
    return 1 if bad else 0


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--label", choices=["long"])
    options.add_argument("--list", action="store_true", help="print the names only")
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--module", help="only tests of this module")
    options.add_argument("what", nargs="*")
    given = options.parse_args()
    if given.label:
        os.environ["FWMAIL_LONG"] = "1"
    folders = [word for word in FOLDERS if word in given.what] or list(FOLDERS)
    names = [word for word in given.what if word not in FOLDERS]

    sys.path.insert(0, os.path.join(TESTS, "support"))
    result = LineResult()
    modules = []
    for folder in folders:
        path = os.path.join(TESTS, folder)
        sys.path.insert(0, path)
        found = cases(unittest.TestLoader().discover(path, top_level_dir=path))
        chosen = [case for case in found if not names or any(name in case.id() for name in names)]
        if given.module:
            chosen = [case for case in chosen if type(case).__module__ == given.module]
        if given.list:
            print("\n".join(case.id() for case in chosen))
            continue
        if given.jobs > 1:
            modules += [(folder, module) for module in dict.fromkeys(type(case).__module__ for case in chosen)]
            sys.path.remove(path)
            continue
        # One flat suite keeps the order, so that what a class sets up is made once.
        unittest.TestSuite(chosen).run(result)
        sys.path.remove(path)
    if given.list:
        return 0
    if modules:
        return finish(*run_modules(given.jobs, modules, names))
    if not result.testsRun and not result.bad and not result.skips:
        print("run.py: no test has such a name", file=sys.stderr)
        return 2
    return finish(result.passed, result.bad, result.skips)


if __name__ == "__main__":
    sys.exit(main())
