"""Where the time goes: perf for what runs, samples of the threads' system calls for what waits, strace to count."""

import collections
import os
import re
import signal
import subprocess
import tempfile
import threading
import time

SYSTEM_CALLS = {0: "read", 1: "write", 17: "pread64", 18: "pwrite64", 35: "nanosleep", 74: "fsync", 75: "fdatasync",
                202: "futex", 230: "clock_nanosleep", 232: "epoll_wait", 281: "epoll_pwait"}


def descendants(pid):
    """The process and all below it."""
    found = [pid]
    for parent in found:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children") as children:
                    found += [int(child) for child in children.read().split()]
        except FileNotFoundError:
            pass
    return found


def cpu_seconds(pid):
    """User and system time of the process and of all that it started."""
    ticks = 0
    for each in descendants(pid):
        try:
            with open(f"/proc/{each}/stat") as file:
                ticks += sum(map(int, file.read().rsplit(")", 1)[1].split()[11:15]))
        except FileNotFoundError:
            pass
    return ticks / os.sysconf("SC_CLK_TCK")


KINDS = [("kernel", r"\[k\]"), ("SQLite", r"sqlite3|wal[A-Z]|pcache1|vdbe|btree|balance|pager|unix[A-Z]|Page\b"),
         ("zstd", r"ZSTD|HUF_|FSE_|HIST_"), ("Crypto++", r"CryptoPP"),
         ("malloc", r"malloc|free|_int_|operator new|operator delete"),
         ("memory copies", r"__mem|_str"), ("locks", r"pthread|futex|lll_"), ("Asio", r"asio"), ("fwmail", r"fwmail")]


def by_kind(report):
    shares = collections.Counter()
    for line in report.splitlines():
        share, symbol = line.split("%", 1)
        kind = next((name for name, pattern in KINDS if re.search(pattern, symbol)), "other")
        shares[kind] += float(share)
    return ", ".join(f"{kind} {share:.0f} %" for kind, share in shares.most_common())


class Calls:
    """Counts the calls that make data durable, in the process and what it starts."""

    watched = "fsync,fdatasync,sync_file_range,pwrite64,write,rename,link"

    def __init__(self, name, pid, messages):
        self.name, self.messages = name, messages
        self.output = tempfile.NamedTemporaryFile(mode="r", prefix="fw-calls-")
        pids = [word for each in descendants(pid) for word in ("-p", str(each))]
        self.strace = subprocess.Popen(["strace", "-f", "-c", "-e", f"trace={self.watched}", "-o", self.output.name,
                                        *pids], stderr=subprocess.DEVNULL)

    def __enter__(self):
        time.sleep(1)
        return self

    def __exit__(self, *_):
        self.strace.send_signal(signal.SIGINT)
        self.strace.wait()
        counts = [(line.split()[-1], int(line.split()[3])) for line in self.output.read().splitlines()
                  if re.match(r"\s*\d+\.\d+ ", line) and line.split()[-1] != "total"]
        print(f"{self.name}: calls a message: " +
              ", ".join(f"{call} {count / self.messages:.2f}" for call, count in sorted(counts)))


class Profile:
    """perf's samples of the process, and every 5 ms what each of its threads is doing."""

    def __init__(self, path, pid):
        self.path, self.pid = path, pid
        self.samples = collections.Counter()
        self.ended = threading.Event()
        self.perf = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-F", "499", "--call-graph",
                                      "dwarf,16384", "-o", f"{path}.data", "-p", str(pid)], stderr=subprocess.DEVNULL)
        self.thread = threading.Thread(target=self.sample, daemon=True)

    def __enter__(self):
        time.sleep(0.5)
        self.begin = time.time()
        self.cpu = cpu_seconds(self.pid)
        self.thread.start()
        return self

    def sample(self):
        while not self.ended.wait(0.005):
            for task in os.listdir(f"/proc/{self.pid}/task"):
                try:
                    with open(f"/proc/{self.pid}/task/{task}/syscall") as file:
                        word = file.read().split()[0]
                except OSError:
                    continue
                call = word if word == "running" else SYSTEM_CALLS.get(int(word), f"system call {word}")
                self.samples[int(task), call] += 1

    def __exit__(self, *_):
        self.seconds = time.time() - self.begin
        self.cpu = cpu_seconds(self.pid) - self.cpu
        self.ended.set()
        self.thread.join()
        self.perf.send_signal(signal.SIGINT)
        self.perf.wait()

    def write(self):
        """Slow: perf unwinds every stack. So not while anything is measured."""
        with open(f"{self.path}.txt", "w") as out:
            out.write(f"{self.seconds:.1f} s, of CPU {self.cpu:.1f} s\n\n")
            for task in sorted({task for task, _ in self.samples}):
                shares = {call: count for (other, call), count in self.samples.items() if other == task}
                total = sum(shares.values())
                out.write(f"thread {task - self.pid:+d}: " + ", ".join(
                    f"{call} {100 * count / total:.0f} %" for call, count in
                    sorted(shares.items(), key=lambda item: -item[1]) if count * 100 >= total) + "\n")
            own, all_below = self.report("--no-children"), self.report("--children")
            out.write("\nown time by kind: " + by_kind(own) + f"\n\nown time\n{own}\nwith callees\n{all_below}")

    def report(self, children):
        done = subprocess.run(["perf", "report", "-i", f"{self.path}.data", "--stdio", "-g", "none", "--sort", "symbol",
                               "--percent-limit", "0.05", "--no-inline",
                               children], capture_output=True, text=True)
        # perf ends lines with columns that it has nothing for.
        return "\n".join(line.rstrip(" -") for line in done.stdout.splitlines()
                         if line and not line.startswith("#")) + "\n"
