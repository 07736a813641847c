"""A core and a remote between which a test decides what arrives."""

import os
import random
import threading
import time

from fwmail import CORE_HOST, RELEASE, REMOTE_HOST, Node, NodeTest, link
from wire import SmtpReply, SmtpSink, smtp_send, wait_until


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
            fresh = self.sink.messages[self.taken:]
            self.taken += len(fresh)
            self.waiting += fresh
            self.random.shuffle(self.waiting)
            while self.waiting and (self.is_calm.is_set() or self.random.random() < 0.3):
                self.handle(self.waiting.pop())

    def handle(self, mail):
        fate = 1 if self.is_calm.is_set() else self.random.random()
        if fate < 0.3:
            self.lost += 1
            return
        if fate < 0.5:
            self.repeated += 1
            self.waiting.append(mail)
        try:
            smtp_send(self.ports[mail.recipients[0].rsplit("@")[-1]], mail.sender, mail.recipients[0], mail.data)
        except SmtpReply:
            pass  # a repetition, which is refused
        except OSError:
            self.waiting.append(mail)  # the node is down just now
