"""A real firewall, through which nothing is opened inward but the gateway's SMTP to core.

    core            gateway          remote
    192.0.2.2       198.51.100.2     203.0.113.2
       |               |               |
       +---------- firewall -----------+

Each of the four is a network namespace. The firewall lets the inside speak to anybody, lets anybody speak to port 25 of
the gateway, which is the organisation's mail server (Postfix), and lets that speak to port 25 of core. All else that is
new and wants inside is counted and dropped. Core's way out is the gateway, and so is the remote's.

A capture at core's interface, the border of the inside, sees each packet from before the nodes start. It has to show who
opened connections; in the end the firewall is taken away, and what was dropped before must show as well: a capture that
sees nothing, or a way that leads nowhere anyhow, would prove nothing.
"""

import os
import unittest

from fwmail import CORE_HOST, DOMAIN, REMOTE_HOST, Node, NodeTest, Pair, letter, link, ok
from netns import Capture, Firewall, Opening
from peers import Postfix
from test_agreement import wait_for_agreement
from wire import SmtpClient, wait_until

ANN = f"ann@{DOMAIN}"
COUNT = 1000
THROUGH_GATEWAY = 20  # of them; the others come from the gateway's address too, by one connection
INSIDE, DMZ, OUTSIDE = "192.0.2", "198.51.100", "203.0.113"
SMTP, IMAP = 25, 143

RULES = """\
table ip wall {{
    counter turned_away {{ }}
    counter from_gateway {{ }}
    counter outward {{ }}
    chain forward {{
        type filter hook forward priority 0
        policy drop
        ct state established,related accept
        iifname "inside" counter name "outward" accept
        iifname "dmz" oifname "inside" ip saddr {gateway} ip daddr {core} tcp dport 25 counter name "from_gateway" accept
        oifname "inside" counter name "turned_away" drop
        iifname "dmz" accept
        oifname "dmz" ip daddr {gateway} tcp dport 25 accept
    }}
    chain input {{
        type filter hook input priority 0
        policy drop
    }}
}}
"""


class Placed:
    """A server, or a node, that lives on a host of its own; so do those who connect to it."""

    place = None

    def start(self, **options):
        with self.place:
            return super().start(**options)


class PlacedNode(Placed, Node):
    def imap(self, *arguments, **options):
        with self.place:
            return super().imap(*arguments, **options)


class PlacedPostfix(Placed, Postfix):
    def ended(self):
        with self.place:
            super().ended()


class WalledPair(Pair):
    """A pair whose servers are on three hosts, with the firewall between them."""

    def __init__(self, folder):
        self.wall = Firewall()
        self.inside, self.core_address = self.wall.join("inside", INSIDE)
        self.dmz, self.gateway_address = self.wall.join("dmz", DMZ)
        self.outside, self.remote_address = self.wall.join("outside", OUTSIDE)
        self.wall.load(RULES.format(core=self.core_address, gateway=self.gateway_address))
        self.folder = folder
        self.core = self.node("core", self.inside, self.core_address)
        self.remote = self.node("remote", self.outside, self.remote_address)
        self.remote.set_option("imap", "accept-plain = yes")
        core, remote = (self.core_address, SMTP), (self.remote_address, SMTP)
        self.postfix = PlacedPostfix(
            os.path.join(folder, "postfix"), routes={CORE_HOST: core, DOMAIN: core, REMOTE_HOST: remote}, port=SMTP,
            address=self.gateway_address, mynetworks=f"{INSIDE}.0/24", relay_domains=f"{CORE_HOST}, {DOMAIN}",
            smtpd_peername_lookup="no", smtpd_relay_restrictions="permit_mynetworks, permit_auth_destination, reject")
        self.postfix.place = self.dmz
        self.core.add_user("ann")
        link(self.core, self.remote)

    def node(self, role, place, address):
        node = PlacedNode(role, os.path.join(self.folder, role), settings=[
            ("smarthost.address", f"{self.gateway_address}:{SMTP}"), ("smarthost.tls", "none"),
            ("smtp.listen", f"{address}:{SMTP}"), ("imap.listen", f"{address}:{IMAP}")])
        node.place = place
        return node


class Walled(NodeTest):
    def setUp(self):
        self.pair = WalledPair(self.new_folder())
        self.addCleanup(self.pair.kill9)
        self.capture = Capture(self.pair.inside)
        self.addCleanup(lambda: self.capture.stop())
        self.allowed = Opening(self.pair.gateway_address, self.pair.core_address, SMTP)
        self.outward = Opening(self.pair.core_address, self.pair.gateway_address, SMTP)

    def deliver(self, place, address, letters):
        with place, SmtpClient(SMTP, host=address) as client:
            client.ehlo()
            for _, message in letters:
                client.send("bob@elsewhere.test", [ANN], message)
            client.quit()

    def assert_dropped(self, place, port):
        """Nothing answers, not even by a refusal."""
        with self.assertRaises(TimeoutError):
            place.connect(self.pair.core_address, port, timeout=2).close()

    def assert_told(self, place, address, port, greeting):
        with place.connect(address, port, timeout=30) as connection:
            self.assertEqual(connection.recv(len(greeting)), greeting)

    def work_outside(self, letters):
        """What a client does at the remote; gives what must be at core then."""
        uids = {identity: uid for uid, (identity, _) in self.pair.remote.state("ann").items()}
        flagged, gone, copied, moved = (uids[letters[index][0]] for index in (10, 20, 30, 40))
        added, message = letter("added outside")
        with self.pair.remote.imap("ann", "INBOX", readonly=False) as client:
            ok(client.uid("STORE", str(flagged), "+FLAGS", r"(\Flagged $Work)"))
            ok(client.uid("STORE", str(gone), "+FLAGS", r"(\Deleted)"))
            ok(client.uid("EXPUNGE", str(gone)))
            ok(client.uid("COPY", str(copied), "Archive"))
            ok(client.uid("MOVE", str(moved), "Archive"))
        self.pair.remote.append("ann", message, "Sent", r"\Seen")
        inbox = {identity for identity, _ in letters} - {letters[20][0], letters[40][0]}
        return flagged, {"INBOX": inbox, "Archive": {letters[30][0], letters[40][0]}, "Sent": {added}}

    def identities(self, node, mailbox="INBOX"):
        return sorted(identity for identity, _ in node.state("ann", mailbox).values())

    def test_nothing_is_opened_inward(self):
        pair, wall = self.pair, self.pair.wall
        pair.start()
        letters = [letter(f"number {number}") for number in range(COUNT)]
        self.deliver(pair.outside, pair.gateway_address, letters[:THROUGH_GATEWAY])
        self.deliver(pair.dmz, pair.core_address, letters[THROUGH_GATEWAY:])

        # While it goes out: nobody comes in.
        before = wall.counter("turned_away")
        for place, port in ((pair.outside, IMAP), (pair.outside, SMTP), (pair.dmz, IMAP)):
            self.assert_dropped(place, port)
        self.assertGreaterEqual(wall.counter("turned_away"), before + 3)

        pair.wait_for_same_state(count=COUNT, timeout=180)
        self.assertEqual(self.identities(pair.remote), sorted(identity for identity, _ in letters))

        flagged, expected = self.work_outside(letters)
        wait_until(lambda: pair.core.count("ann", "Sent") == 1 and pair.core.count("ann", "Archive") == 2, 60,
                   "what was done outside is done at core", interval=0.2)
        wait_for_agreement(pair.core, pair.remote, timeout=90)
        for mailbox, identities in expected.items():
            for node in (pair.core, pair.remote):
                self.assertEqual(self.identities(node, mailbox), sorted(identities), (node.role, mailbox))
        self.assertEqual(pair.core.state("ann")[flagged][1], {b"\\Flagged", b"$Work"})
        uid = max(pair.core.state("ann"))
        self.assertEqual(pair.open_sealed(pair.remote.message("ann", uid)), pair.core.message("ann", uid))

        # What passed the border: two sorts of connections, between two addresses.
        self.capture.stop()
        self.assertEqual(set(self.capture.openings), {self.allowed, self.outward})
        self.assertEqual(self.capture.addresses(), {pair.core_address, pair.gateway_address})
        self.assertFalse(self.capture.strange)
        for name in ("from_gateway", "outward"):
            self.assertGreater(wall.counter(name), 0)

        # It was the firewall that did it, and a capture does tell.
        self.capture = Capture(pair.inside)
        self.assert_told(pair.inside, pair.remote_address, IMAP, b"* OK")  # the way out is open to everybody
        wall.run("nft", "flush", "ruleset")
        for port, greeting in ((IMAP, b"* OK"), (SMTP, b"220 ")):
            self.assert_told(pair.outside, pair.core_address, port, greeting)
        self.capture.stop()
        self.assertLessEqual({Opening(pair.remote_address, pair.core_address, port) for port in (IMAP, SMTP)},
                             set(self.capture.openings))
        pair.stop()
        pair.check()


if __name__ == "__main__":
    unittest.main()
