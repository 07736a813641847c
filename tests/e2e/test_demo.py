"""fwmail demo: it shows the journey, proves every step, and leaves nothing behind however it ends."""

import os
import signal
import subprocess
import time

from fwmail import RELEASE, NodeTest, require
from wire import wait_until


class Demo(NodeTest):
    """Its temporary folder lies in one of ours, by which its processes are told from others too."""

    def setUp(self):
        self.binary = require(RELEASE)
        self.folder = self.new_folder()
        self.out = os.path.join(self.new_folder(), "out")

    def start(self, *words, folder=None, **environment):
        log = open(self.out, "w+b")
        self.addCleanup(log.close)
        process = subprocess.Popen([self.binary, "demo", *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env=dict(os.environ, TMPDIR=folder or self.folder, **environment))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

        def output():
            log.seek(0)
            return log.read().decode("utf-8", "replace")

        return process, output

    def run_to_end(self, *words, **more):
        process, output = self.start(*words, **more)
        try:
            process.wait(90)
        except subprocess.TimeoutExpired:
            self.fail("the demo does not end:\n" + output())
        return process.returncode, output()

    def children(self):
        """What still runs with our folder in its environment, but for what is ending."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as environ:
                    if b"TMPDIR=" + self.folder.encode() in environ.read():
                        found.append(int(pid))
            except OSError:
                pass
        return found

    def assert_nothing_left(self):
        wait_until(lambda: not self.children(), 10, lambda: f"no process left: {self.children()}")
        self.assertEqual(os.listdir(self.folder), [])

    def test_once_verifies_all_and_cleans_up(self):
        began = time.monotonic()
        status, output = self.run_to_end("--once")
        self.assertEqual(status, 0, output)
        self.assertIn("All 12 steps are verified", output)
        self.assertNotIn("this step is left out", output)  # gpg belongs to what tests need
        self.assertLess(time.monotonic() - began, 60)
        self.assert_nothing_left()

    def test_without_gpg(self):
        status, output = self.run_to_end("--once", PATH=self.folder)
        self.assertEqual(status, 0, output)
        self.assertIn("gpg is not installed here", output)
        self.assert_nothing_left()

    def test_runs_on_until_it_is_told_to_end(self):
        process, output = self.start()
        wait_until(lambda: "Ctrl-C ends them" in output() or process.poll() is not None, 90, output)
        self.assertGreaterEqual(len(self.children()), 3, output())
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(30), 0, output())
        self.assert_nothing_left()

    def test_interrupted_midway(self):
        process, output = self.start("--once")
        wait_until(lambda: " 4. " in output() or process.poll() is not None, 60, output)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(40), 1, output())
        self.assertIn("it was interrupted", output())
        self.assert_nothing_left()

    def test_killed_takes_its_children_along(self):
        process, output = self.start()
        wait_until(lambda: "Ctrl-C ends them" in output() or process.poll() is not None, 90, output)
        servers = [pid for pid in self.children() if pid != process.pid and b"--config" in command_line(pid)]
        self.assertEqual(len(servers), 2, output())
        process.kill()
        process.wait()
        wait_until(lambda: not set(servers) & set(self.children()), 10, "both servers are gone")

    def test_keep(self):
        status, output = self.run_to_end("--once", "--keep")
        self.assertEqual(status, 0, output)
        (kept,) = os.listdir(self.folder)
        self.assertTrue(os.path.exists(os.path.join(self.folder, kept, "core", "core.conf")))
        self.assertTrue(os.path.exists(os.path.join(self.folder, kept, "remote", "log")))

    def test_failure_names_the_step_and_shows_the_logs(self):
        process, output = self.start("--once")
        wait_until(lambda: " 4. " in output() or process.poll() is not None, 60, output)
        (remote,) = [pid for pid in self.children() if command_line(pid).startswith(b"fwmail\0remote\0")]
        os.kill(remote, signal.SIGKILL)
        self.assertEqual(process.wait(60), 1, output())
        self.assertRegex(output(), r"fwmail demo: step \d+ \(.*\) failed: remote has ended with 137\n")
        for role in ("core", "remote"):
            self.assertRegex(output(), rf"the end of {role}'s log:\n\d{{4}}-")
        self.assert_nothing_left()

    def test_failure_of_a_command_is_told(self):
        # Too long a path for the control socket.
        deep = os.path.join(self.folder, "x" * 90)
        os.mkdir(deep)
        status, output = self.run_to_end("--once", folder=deep)
        self.assertEqual(status, 1, output)
        self.assertRegex(output, r"fwmail demo: step 2 \(.*\) failed: .* is too long for a unix socket")
        self.assertEqual(os.listdir(deep), [])

    def test_reader_goes_away(self):
        process = subprocess.Popen([self.binary, "demo", "--once"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, env=dict(os.environ, TMPDIR=self.folder))
        process.stdout.readline()
        process.stdout.close()
        self.assertEqual(process.wait(90), 0)
        self.assert_nothing_left()

    def test_wrong_words(self):
        for words in (["--twice"], ["once"]):
            status, output = self.run_to_end(*words)
            self.assertEqual(status, 2, output)
            self.assertEqual(os.listdir(self.folder), [])


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""
