"""Plays sessions at fwmail and at another server, and sorts the differences by rule."""

import argparse
import collections
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import compare
import generate
import rules
import servers
from play import Player


class Outcome:
    """What became of one session."""

    def __init__(self, seed):
        self.seed = seed
        self.counts = collections.Counter()
        self.samples = []  # (rule, number of the step, step, difference)
        self.unexplained = []  # (number of the step, difference)
        self.steps = self.compared = 0
        self.names = set()  # of commands that both were asked
        self.log = {}
        self.ended = ""  # by which rule, or how


def play_both(session, pair, logs):
    results, errors = {}, []

    def play(server):
        try:
            results[server.name] = Player(server, session, logs[server.name]).play()
        except Exception as error:  # told by who waits
            errors.append((server.name, error))

    threads = [threading.Thread(target=play, args=(server,)) for server in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise RuntimeError(f"{errors[0][0]}: {errors[0][1]!r}") from errors[0][1]
    return [results[server.name] for server in pair]


def run_session(seed, pair):
    session = generate.session_of(seed)
    outcome = Outcome(seed)
    outcome.log = {server.name: [] for server in pair}
    outcome.steps = len(session.steps)
    ours, theirs = play_both(session, pair, outcome.log)
    rivals = tuple(server.name for server in pair)
    past = []
    for number, (step, mine, other) in enumerate(zip(session.steps, ours, theirs)):
        outcome.compared += 1
        outcome.names.add(step.name)
        ends = compare.parts_ways(step, mine, other)
        why = f"{step.name} {mine.status} {other.status}"
        for difference in compare.compare_one(step, mine, other, rivals):
            difference.session, difference.number, difference.past = session, number, past
            difference.outer = step, mine, other
            rule = rules.explain(difference, pair[1].name)
            if rule:
                outcome.counts[rule.name] += 1
                outcome.samples.append((rule.name, number, step, difference))
                why = rule.name if rule.ends or difference.aspect == "status" else why
                if rule.ends is not None:
                    ends = ends or rule.ends if difference.aspect != "status" else rule.ends
            else:
                outcome.unexplained.append((number, step, difference))
        if ends:
            outcome.ended = why
            break
        past.append((step, mine, other))
    return outcome


def make_pair(peer, folder):
    theirs = {"dovecot": servers.DovecotServer, "cyrus": servers.CyrusServer}[peer](folder)
    return servers.Fwmail(folder), theirs


def campaign(peer, seeds, folder, jobs=3, each=lambda outcome: None):
    """An Outcome for each seed."""
    pair = make_pair(peer, folder)
    outcomes = []
    try:
        for server in pair:
            server.start()
        with ThreadPoolExecutor(jobs) as pool:
            for outcome in pool.map(lambda seed: run_session(seed, pair), seeds):
                each(outcome)
                outcomes.append(outcome)
        pair[0].stop()
    finally:
        for server in pair:
            server.kill9() if server.name == "fwmail" or server.process else None
    return outcomes


def show_log(outcome):
    for name, log in outcome.log.items():
        print(f"== {name}")
        for octets in log:
            print("  ", octets.decode("latin-1").rstrip("\r\n").encode("unicode_escape").decode())


def summary(outcomes):
    counts = collections.Counter()
    for outcome in outcomes:
        counts.update(outcome.counts)
    steps, compared = sum(o.steps for o in outcomes), sum(o.compared for o in outcomes)
    unexplained = sum(len(o.unexplained) for o in outcomes)
    if os.environ.get("DIFF_ENDS"):
        for why, count in collections.Counter(o.ended for o in outcomes).most_common():
            print("   ended", count, why)
    lines = [f"{len(outcomes)} sessions, {steps} steps, {compared} compared; "
             f"{sum(counts.values())} differences explained, {unexplained} not"]
    for rule in rules.RULES:
        if counts[rule.name]:
            lines.append(f"{counts[rule.name]:6} {rule.name}")
    return "\n".join(lines)


def show_samples(outcomes, count):
    """Of each rule some of what it explains, by chance: what a rule hides shows here."""
    by_rule = collections.defaultdict(list)
    for outcome in outcomes:
        for name, number, step, difference in outcome.samples:
            by_rule[name].append((outcome.seed, number, step, difference))
    chance = random.Random(1)
    for name in sorted(by_rule):
        print(f"== {name}")
        for seed, number, step, difference in chance.sample(by_rule[name], min(count, len(by_rule[name]))):
            print(f"  {seed}/{number} {difference.command[:160]!r}")
            show_difference(difference, "    ")


def show_difference(difference, margin):
    where = f" at {difference.where!r}" if difference.where is not None else ""
    texts = " / ".join(repr(result.text[:150]) for result in difference.results)
    print(f"{margin}{difference}{where}\n{margin}{texts}", flush=True)


def main():
    options = argparse.ArgumentParser(prog="scripts/differential", description=__doc__)
    options.add_argument("--sessions", type=int, default=2000)
    options.add_argument("--seed", type=int, default=1, help="of the first session; the others follow")
    options.add_argument("--peer", choices=["dovecot", "cyrus"], default="dovecot")
    options.add_argument("--replay", type=int, metavar="SEED", help="one session, with all that was said")
    options.add_argument("--jobs", type=int, default=3)
    options.add_argument("--samples", type=int, default=0, help="how many differences of each rule are printed")
    options.add_argument("--show", type=int, default=40, help="how many unexplained differences are printed")
    given = options.parse_args()
    seeds = [given.replay] if given.replay is not None else range(given.seed, given.seed + given.sessions)
    folder = tempfile.mkdtemp(prefix="fw-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    os.chmod(folder, 0o711)  # a foreign server runs as a user of its own
    shown = collections.Counter()
    started = time.monotonic()

    def each(outcome):
        for number, step, difference in outcome.unexplained:
            shown["all"] += 1
            shown[difference.aspect] += 1
            if shown["all"] <= given.show:
                print(f"seed {outcome.seed}, step {number}: {step!r}"
                      + (f"\n    in {difference.command!r}" if step.kind == "pipeline" else ""))
                show_difference(difference, "    ")

    try:
        outcomes = campaign(given.peer, seeds, folder, given.jobs, each)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if given.replay is not None:
        show_log(outcomes[0])
    if given.samples:
        show_samples(outcomes, given.samples)
    print(summary(outcomes))
    del shown["all"]
    for aspect, count in shown.most_common():
        print(f"{count:6} unexplained: {aspect}")
    print(f"{time.monotonic() - started:.0f} s")
    return 1 if shown else 0


if __name__ == "__main__":
    sys.exit(main())
