"""A core and a remote between which a test decides what arrives."""

import os
import time

from fwmail import RELEASE, Node, NodeTest, link
from wire import SmtpSink, smtp_send, wait_until


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
