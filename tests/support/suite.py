#!/usr/bin/env python3
"""Runs what scripts/test has built: unit tests through ctest, lint, and the Python tests; and counts them all.

    suite.py [--long] [--only unit|lint|e2e|crash]... [--build DIRECTORY]

The last line is `N passed, N failed, N skipped`: a Catch2 test case, a lint check and a Python test are each one.
With CI=true a skipped test is a failure of the run.
"""

import argparse
import os
import re
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SUITES = ("unit", "lint", "e2e", "crash")
SKIPPED = 77
JOBS = (os.cpu_count() or 1) + 1  # of Python tests: much of their time they wait


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, passed, failed, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def stream(command, environment=None):
    """Runs the command and yields its lines as they come, then its exit status."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                               cwd=TOP, env=dict(os.environ, **(environment or {})))
    yield from (line.rstrip("\n") for line in process.stdout)
    yield process.wait()


def catch_counts(lines):
    """(passed, failed) from the end of a Catch2 run, or None where it did not come to an end."""
    for line in reversed(lines):
        if all_passed := re.match(r"All tests passed \(.* in (\d+) test cases?\)", line):
            return int(all_passed.group(1)), 0
        if counts := re.match(r"test cases:\s+(\d+)(.*)", line):
            failed = re.search(r"\|\s+(\d+) failed(?! as expected)", counts.group(2))
            failed = int(failed.group(1)) if failed else 0
            return int(counts.group(1)) - failed, failed
    return None


def run_unit(tally, build, long):
    command = ["ctest", "--test-dir", build, "--verbose", "-j2", "--no-tests=error"]
    if not long:
        command += ["-LE", "long"]
    output, done = {}, 0
    for line in stream(command):
        if isinstance(line, int):
            status = line
            break
        if part := re.match(r"(\d+): (.*)", line):
            output.setdefault(part.group(1), []).append(part.group(2))
        elif result := re.match(r"\s*\d+/\d+ Test\s+#(\d+): (\S+) \.+\s*(.*?)\s+([\d.]+) sec", line):
            number, name, verdict, seconds = result.groups()
            done += 1
            lines = output.pop(number, [])
            if "Skipped" in verdict:
                tally.add(0, 0, 1)
                print(f"skip  {name}")
                continue
            good = "Passed" in verdict
            passed, failed = catch_counts(lines) or ((1, 0) if good else (0, 1))
            # A program that fails as a whole (a crash at its end, a time limit) counts, whatever it printed.
            if not good and not failed:
                failed = 1
            tally.add(passed, failed)
            print(f"{'ok' if good else 'FAIL':<5} {name}: {passed} passed, {failed} failed ({seconds} s)", flush=True)
            if not good:
                print("\n".join("      " + line for line in lines[-200:]))
    if status != 0 and not tally.failed:
        print(f"FAIL  ctest ended with {status} after {done} programs")
        tally.add(0, 1)


def run_lint(tally):
    folder = os.path.join(TOP, "tests", "lint")
    checks = sorted(name for name in os.listdir(folder) if name.endswith("_test.py")) if os.path.isdir(folder) else []
    for name in checks:
        start = time.monotonic()
        done = subprocess.run([sys.executable, os.path.join(folder, name)], cwd=TOP, text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        word = {0: "ok", SKIPPED: "skip"}.get(done.returncode, "FAIL")
        tally.add(word == "ok", word == "FAIL", word == "skip")
        print(f"{word:<5} lint {name} ({time.monotonic() - start:.1f} s)", flush=True)
        if word != "ok":
            print("\n".join("      " + line for line in done.stdout.rstrip().split("\n")))


def run_python(tally, folder, build, long):
    command = [sys.executable, os.path.join(TOP, "tests", "e2e", "run.py"), "--jobs", str(JOBS)]
    if long:
        command += ["--label", "long"]
    command += [folder]
    counts = None
    for line in stream(command, {"FWMAIL_BUILD": build}):
        if isinstance(line, int):
            break
        found = re.fullmatch(r"(\d+) passed, (\d+) failed, (\d+) skipped", line)
        if found:
            counts = [int(number) for number in found.groups()]
        else:
            print(line, flush=True)
    if counts is None:
        print(f"FAIL  {folder}: the runner ended before its tests")
        counts = [0, 1, 0]
    tally.add(*counts)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--long", action="store_true")
    options.add_argument("--only", action="append", choices=SUITES)
    options.add_argument("--build", default="build")
    given = options.parse_args()
    wanted = given.only or SUITES
    tally, start = Tally(), time.monotonic()
    for suite in wanted:
        print(f"== {suite}", flush=True)
        if suite == "unit":
            run_unit(tally, given.build, given.long)
        elif suite == "lint":
            run_lint(tally)
        else:
            run_python(tally, suite, given.build, given.long)
    print(f"in {time.monotonic() - start:.0f} s")
    strict = os.environ.get("CI") == "true"
    if strict and tally.skipped:
        print("CI allows no skipped test")
    print(tally)
    return 1 if tally.failed or (strict and tally.skipped) or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
