"""Every awkward mail of tests/messages makes the journey, in small node mails and in large ones."""

import email
import email.policy
import os
import subprocess
import sys
import unittest

from fwmail import CORE_HOST, DOMAIN, REMOTE_HOST, TOP, NodeTest, Pair, wait_for_messages
from secrets_scan import find_in_folder
from wire import SmtpReply, SmtpSink, smtp_send

ANN = f"ann@{DOMAIN}"
CANARY = "canarycorpusX9"


class Corpus(NodeTest):
    def journey(self, max_mail_size, octets):
        folder = self.new_folder()
        corpus = os.path.join(folder, "corpus")
        os.makedirs(corpus)
        generator = os.path.join(TOP, "tests", "messages", "generate.py")
        subprocess.run([sys.executable, generator, corpus, "--canary", CANARY], check=True, timeout=300)
        tap = SmtpSink()
        self.addCleanup(tap.stop)
        pair = Pair(folder, max_mail_size=max_mail_size, tap_port=tap.port)
        self.addCleanup(pair.kill9)
        with pair:
            sent = self.deliver_all(pair.core, corpus)
            self.assertGreater(len(sent), 20)
            state = wait_for_messages(pair.core, "ann", len(sent), timeout=120)
            self.assertEqual(len(state), len(sent))
            inside = pair.core.messages("ann")
            for name, octets_sent in sent.items():
                with self.subTest("core keeps it octet for octet", mail=name):
                    self.assertTrue(any(kept.endswith(octets_sent) for kept in inside.values()))

            pair.wait_for_same_state(count=len(sent), timeout=300)
            outside = pair.remote.messages("ann")
            for uid, original in inside.items():
                with self.subTest("opens to the same octets", mail=name_of(original, sent)):
                    self.assertEqual(pair.open_sealed(outside[uid]), original)
            self.check_node_mail(tap, octets)
            self.assertEqual(find_in_folder(pair.remote.directory, [CANARY.encode()]), [])

    def deliver_all(self, core, corpus):
        """By SMTP; what that way refuses (a lone dot behind a bare line ending), by APPEND. {name: octets}"""
        sent = {}
        for name in sorted(os.listdir(corpus)):
            if not name.endswith(".eml"):
                continue
            with open(os.path.join(corpus, name), "rb") as file:
                message = file.read()
            try:
                smtp_send(core.smtp_port, "bob@elsewhere.test", ANN, message)
                # DATA gives a CRLF to what ends in none.
                sent[name] = message if message.endswith(b"\r\n") else message + b"\r\n"
            except SmtpReply as refused:
                self.assertEqual(refused.code // 100, 5, f"{name}: {refused}")
                core.append("ann", message)
                sent[name] = message
        return sent

    def check_node_mail(self, tap, octets):
        count = 0
        for received in tap.messages:
            head = email.message_from_bytes(received.data[:65536], policy=email.policy.default)
            if (head["To"] or "").rstrip(">").endswith((f"@{CORE_HOST}", f"@{REMOTE_HOST}")):
                count += 1
                # Postfix has added its Received field.
                self.assertLessEqual(len(received.data), octets + 2048)
        self.assertGreater(count, 0)

    def test_corpus_in_mails_of_1_MB(self):
        self.journey("1M", 1 << 20)

    def test_corpus_in_mails_of_30_MB(self):
        self.journey("30M", 30 << 20)


def name_of(original, sent):
    return next((name for name, octets in sent.items() if original.endswith(octets)), "?")


if __name__ == "__main__":
    unittest.main()
