"""A core and a remote between which a test decides what arrives."""

import collections
import os
import random
import threading
import time

from fwmail import CORE_HOST, RELEASE, REMOTE_HOST, Node, NodeTest, link
from wire import Received, SmtpReply, SmtpSink, smtp_send, wait_until


class LossyPair(NodeTest):
    """A core and a remote with a sink between them, which passes on what the test wants."""

    binary = RELEASE

    def setUp(self):
        folder = self.new_folder()
        self.sink = SmtpSink()  # stands between: what it keeps does not arrive
        self.addCleanup(self.sink.stop)
        common = [("smarthost.tls", "none"), ("replicate.max-mail-size", "64k")]
        self.core = Node("core", os.path.join(folder, "core"), self.binary, settings=[
            *common, ("smarthost.address", f"127.0.0.1:{self.sink.port}")])
        self.remote = Node("remote", os.path.join(folder, "remote"), self.binary, settings=[
            *common, ("smarthost.address", f"127.0.0.1:{self.core.smtp_port}"), ("replicate.stub-after", "3s")])
        self.core.add_user("ann")
        link(self.core, self.remote)
        for node in (self.core, self.remote):
            self.addCleanup(node.kill9)
            node.start()
        self.passed = 0

    def pass_on(self, lose_piece=False):
        """Hands over what the sink has got since; gives the mail that was lost.

        That is the second largest: the first piece of a body travels with its announcement, the others alone."""
        mails = self.sink.messages[self.passed:]
        self.passed += len(mails)
        lost = sorted(mails, key=lambda mail: -len(mail.data))[1] if lose_piece else None
        for mail in mails:
            if mail is not lost:
                self.hand_over(mail)
        return lost

    def hand_over(self, mail):
        smtp_send(self.remote.smtp_port, mail.sender, mail.recipients[0], mail.data)

    def settle(self):
        """Until no more mail comes out of core."""

        def quiet():
            count = len(self.sink.messages)
            time.sleep(2)
            return count == len(self.sink.messages)

        wait_until(quiet, 30, "core has sent everything")


class Relay:
    """Takes the mail of both nodes and hands on what it likes, when it likes: some is lost, some comes twice, in
    any order. In the end, calm() makes it a relay as others are."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.sink = SmtpSink()
        self.lock = threading.RLock()  # who has it sees no mail on its way
        self.ports = {}  # by domain
        self.waiting = []
        self.taken = self.lost = self.repeated = 0
        self.is_calm = threading.Event()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def start(self, core, remote):
        self.ports = {CORE_HOST: core.smtp_port, REMOTE_HOST: remote.smtp_port}
        self.thread.start()

    def calm(self):
        self.is_calm.set()

    def stop(self):
        self.stopping.set()
        if self.thread.ident:
            self.thread.join(30)
        self.sink.stop()

    def run(self):
        while not self.stopping.wait(0.05):
            with self.lock:
                fresh = self.sink.messages[self.taken:]
                self.taken += len(fresh)
                self.waiting += fresh
                self.random.shuffle(self.waiting)
                while self.waiting and (self.is_calm.is_set() or self.random.random() < 0.3):
                    self.handle(self.waiting.pop())

    def is_quiet(self):
        """Nothing waits, and nothing is on its way."""
        with self.lock:
            return not self.waiting and self.taken == len(self.sink.messages)

    def handle(self, mail):
        fate = 1 if self.is_calm.is_set() else self.random.random()
        if fate < 0.3:
            self.lost += 1
            return
        if fate < 0.5:
            self.repeated += 1
            self.waiting.append(mail)
        try:
            smtp_send(self.ports[domain_of(mail)], mail.sender, mail.recipients[0], mail.data)
        except SmtpReply:
            pass  # a repetition, which is refused
        except OSError:
            self.waiting.append(mail)  # the node is down just now


class Adversary(Relay):
    """Whoever carries the mail, and means harm. Beside what Relay does he alters mails, holds them for days, and says again
    what was said long ago. He knows how each has to be answered; `wrong` has those that were answered otherwise.

    Bad is what a node has to refuse, and to count: what is altered, cut short, has text added, or goes back to the node that
    sent it; and what the node has taken within the last seven days. Good is what comes late, or in another order, or with
    its lines broken elsewhere; and what was taken longer ago: it changes nothing, but no node knows it any more."""

    FATES = {"lost": 15, "altered": 8, "cut": 8, "added": 6, "reflected": 6, "held": 20, "rewrapped": 10, "handed": 40}
    MEMORY = 7  # days

    def __init__(self, seed):
        super().__init__(seed)
        self.day = 0
        self.held = []  # (day, mail)
        self.seen = []
        self.accepted = {}  # mail: the day
        self.refused = collections.Counter()  # by domain
        self.kinds = collections.Counter()
        self.wrong = []

    def next_day(self):
        self.day += 1
        self.waiting += [mail for day, mail in self.held if day <= self.day]
        self.held = [(day, mail) for day, mail in self.held if day > self.day]

    def calm(self):
        with self.lock:
            self.waiting += [mail for _, mail in self.held]
            self.held = []
            super().calm()

    def storm(self):
        self.is_calm.clear()

    def memory(self, node):
        """What the node knows of the mails that it was sent; for recall(), when an old copy of it is put back."""
        domain = self.domain_of(node)
        return {mail: day for mail, day in self.accepted.items() if domain_of(mail) == domain}, self.refused[domain]

    def recall(self, node, memory):
        domain = self.domain_of(node)
        self.accepted = {mail: day for mail, day in self.accepted.items() if domain_of(mail) != domain} | memory[0]
        self.refused[domain] = memory[1]

    def domain_of(self, node):
        return next(domain for domain, port in self.ports.items() if port == node.smtp_port)

    def replay(self, mails):
        for mail in mails:
            with self.lock:
                known = self.is_known(mail)
                if mail in self.accepted:
                    self.kinds["replayed" if known else "replayed late"] += 1
                self.hand_over(mail)

    def is_known(self, mail):
        return mail in self.accepted and self.day - self.accepted[mail] < self.MEMORY

    def handle(self, mail):
        if mail not in self.seen:
            self.seen.append(mail)
        if self.is_calm.is_set():
            self.hand_over(mail)
            return
        untried = [fate for fate in self.FATES if not self.kinds[fate]]
        fate, = [self.random.choice(untried)] if untried else self.random.choices(list(self.FATES), self.FATES.values())
        self.kinds[fate] += 1
        if fate == "held":
            self.held.append((self.day + self.random.randint(1, 10), mail))
        elif fate == "reflected":
            self.hand_over(Received(mail.recipients[0], [mail.sender], mail.data), bad=True)
            self.waiting.append(mail)
        elif fate == "rewrapped":
            self.hand_over(mail, rewrapped(mail.data))
        elif fate == "handed":
            self.hand_over(mail)
            if self.random.random() < 0.3:
                self.waiting.append(mail)
        elif fate != "lost":
            harm = {"altered": self.altered, "cut": self.cut, "added": added}[fate]
            self.hand_over(Received(mail.sender, mail.recipients, harm(mail.data)), bad=True)

    def hand_over(self, mail, data=None, bad=False):
        bad = bad or self.is_known(mail)
        try:
            smtp_send(self.ports[domain_of(mail)], mail.sender, mail.recipients[0], data or mail.data)
            code, said = 250, ""
        except SmtpReply as reply:
            code, said = reply.code, reply.text
        except OSError:
            code, said = 400, "the node is down"
        if code // 100 == 4:
            if not bad:
                self.waiting.append(mail)
            return
        if (code == 550) != bad:
            self.wrong.append((self.day, "bad" if bad else "good", domain_of(mail), code, said, self.accepted.get(mail)))
        if bad:
            self.refused[domain_of(mail)] += 1
        elif code == 250:
            self.accepted[mail] = self.day

    def altered(self, data):
        """One letter of the base64 text is another; in a line that has no padding."""
        start, end = data.index(b"\r\n\r\n") + 4, data.rstrip().rindex(b"\r\n")
        while (place := self.random.randrange(start, end)) and data[place] in b"\r\n":
            pass
        letters = bytes(set(b"ABCDEFGHabcdefgh01234567") - {data[place]})
        return data[:place] + bytes([self.random.choice(letters)]) + data[place + 1:]

    def cut(self, data):
        start = data.index(b"\r\n\r\n") + 4
        return data[:self.random.randrange(start, len(data) - 100)] + b"\r\n"


def domain_of(mail):
    return mail.recipients[0].rsplit("@")[-1]


def added(data):
    return data + b"-- \r\nThis mail was looked at.\r\n"


def rewrapped(data):
    """As servers on the way may do: another width, and a field more."""
    header, _, body = data.partition(b"\r\n\r\n")
    body = body.replace(b"\r\n", b"")
    lines = [body[place:place + 60] for place in range(0, len(body), 60)]
    return b"X-Passed: by a gateway\r\n" + header + b"\r\n\r\n" + b"\r\n".join(lines) + b"\r\n"
