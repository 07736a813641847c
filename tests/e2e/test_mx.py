"""Mail to the world without a smart host: by MX, from a name server of the test's own."""

import os
import threading

from dns import FakeDns
from fwmail import DOMAIN, Node, NodeTest, letter, wait_for_messages
from peers import Postfix
from wire import SmtpSink, free_port, smtp_send, wait_until

ANN = f"ann@{DOMAIN}"


class Direct(NodeTest):
    def make(self, *settings, **dns):
        self.folder = self.new_folder()
        self.port = free_port()  # the same at 127.0.0.1, .2, .3: hosts differ by address
        self.dns = FakeDns(**dns)
        self.addCleanup(self.dns.stop)
        self.core = Node("core", os.path.join(self.folder, "core"), settings=[
            ("smtp.relay-from", "127.0.0.1"), ("smtp.direct", "yes"), ("smtp.direct-port", str(self.port)),
            ("dns-servers", f"127.0.0.1:{self.dns.port}"), *settings])
        self.core.add_user("ann")
        self.addCleanup(lambda: self.core.process and self.core.kill9())

    def sink(self, host, **more):
        sink = SmtpSink(port=self.port, host=host, **more)
        self.addCleanup(sink.stop)
        return sink

    def send(self, *recipients):
        identity, message = letter(sender=ANN)
        smtp_send(self.core.smtp_port, ANN, list(recipients), message)
        return identity

    def queued(self):
        return self.core.status()["queue"]["mails"]

    def stop_and_check(self):
        wait_until(lambda: self.queued() == 0, 30, lambda: self.core.log()[-3000:])
        self.core.stop()
        self.core.check()

    def test_postfix_gets_it_by_mx(self):
        self.make(mx={"away.test": [(10, "mx.away.test")]}, a={"mx.away.test": ["127.0.0.1"]})
        back = SmtpSink()
        self.addCleanup(back.stop)
        postfix = Postfix(os.path.join(self.folder, "postfix"), routes={"away.test": back.port}, port=self.port)
        with postfix, self.core:
            self.send("bob@away.test", "eve@away.test")
            mail = back.wait_for(1)[0]  # one transaction for one domain
            self.assertEqual(set(mail.recipients), {"bob@away.test", "eve@away.test"})
            self.stop_and_check()

    def test_each_domain_goes_its_way(self):
        self.make(mx={"two.test": [(20, "b.test"), (10, "a.test")], "down.test": [(5, "dead.test"), (10, "b.test")],
                      "null.test": [(0, ".")]},
                  a={"a.test": ["127.0.0.1"], "b.test": ["127.0.0.2"], "dead.test": ["127.0.0.9"],
                     "bare.test": ["127.0.0.2"]})
        one, two = self.sink("127.0.0.1"), self.sink("127.0.0.2")
        self.core.start()
        self.send("x@two.test", "x@down.test", "x@bare.test", "x@null.test", "x@none.test", "x@[127.0.0.1]", ANN)
        one.wait_for(2)
        two.wait_for(2)
        self.assertEqual({r for mail in one.messages for r in mail.recipients}, {"x@two.test", "x@[127.0.0.1]"})
        self.assertEqual({r for mail in two.messages for r in mail.recipients}, {"x@down.test", "x@bare.test"})
        wait_for_messages(self.core, "ann", 3)
        notices = b"".join(self.core.messages("ann").values())
        self.assertIn(b"Status: 5.1.10", notices)  # RFC 7505
        self.assertIn(b"Status: 5.1.2", notices)
        self.stop_and_check()

    def test_an_exchanger_that_greets_with_trouble_is_passed_over(self):
        self.make(mx={"two.test": [(10, "a.test"), (20, "b.test")]}, a={"a.test": ["127.0.0.1"],
                                                                      "b.test": ["127.0.0.2"]})
        self.sink("127.0.0.1", greeting="421 4.3.2 not today")
        good = self.sink("127.0.0.2")
        self.core.start()
        self.send("x@two.test")
        good.wait_for(1)
        self.stop_and_check()

    def test_mail_waits_where_the_name_server_is_silent_or_all_are_down(self):
        self.make(mx={"two.test": [(10, "a.test")], "own.test": [(10, "core.test"), (20, "a.test")]},
                  a={"a.test": ["127.0.0.1"], "core.test": ["127.0.0.1"]}, silent=["mute.test"])
        self.core.start()
        self.send("x@two.test", "x@mute.test", "x@own.test")
        wait_for_messages(self.core, "ann", 1)  # our own name among the exchangers is a circle
        self.assertIn(b"Status: 5.4.6", self.core.message("ann", 1))
        wait_until(lambda: self.core.log().count("is deferred") >= 2, 60, lambda: self.core.log()[-2000:])
        self.assertEqual(self.queued(), 2)
        self.dns.silent.clear()
        self.dns.mx["mute.test"] = [(10, "a.test")]
        sink = self.sink("127.0.0.1")
        self.core.restart()
        self.core.command(["queue", "retry", "--config", self.core.config])
        sink.wait_for(2)
        self.stop_and_check()

    def test_connections_to_one_host_are_few_and_more_than_one(self):
        self.make(("smtp.connections-per-hop", "3"), mx={"two.test": [(10, "a.test")]}, a={"a.test": ["127.0.0.1"]})
        gate, most, now, lock = threading.Event(), [0], [0], threading.Lock()

        def answer(_):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            gate.wait(20)
            with lock:
                now[0] -= 1

        sink = self.sink("127.0.0.1", answer=answer)
        self.core.start()
        sent = {self.send(f"r{number}@two.test") for number in range(60)}
        wait_until(lambda: most[0] >= 3, 20, lambda: f"{most[0]} connections")
        gate.set()
        sink.wait_for(60)
        self.assertEqual(most[0], 3)
        self.assertEqual(len(sent), 60)
        self.stop_and_check()
        self.assertEqual(len({mail.recipients[0] for mail in sink.messages}), 60)
        self.assertEqual(len(sink.messages), 60)


if __name__ == "__main__":
    import unittest
    unittest.main()
