r"""Two clients at work at once, one on each side, and mail that comes meanwhile: each message is there as often as was done.

Inside, a client of core stores, copies, moves, expunges and appends. Outside, somebody works in a Maildir that mbsync
keeps in step with the remote, both ways: he saves drafts again and again, files and deletes mail, and files mail of his
own. What is to come of it is known exactly, since who may do what with a message is settled when it is made:

- inside: only the client of core copies, moves and expunges it;
- outside: only the Maildir's owner does;
- both_delete: both delete it, and it is gone once;
- both_move: both move it once. mbsync tells of a move as of a new message and an expunge. So it ends where the Maildir
  has it, and where core has it as well if core moved it before it heard of the expunge: that does not follow a move.
  But the mark \Deleted, which mbsync sets first, does where it travels before the expunge, and mbsync then expunges
  what core has moved, since it expunges all that is so marked. So there are one or two of them, where both have moved it.

Everybody sets flags of everything. New messages are filed on both sides in the same mailboxes, so that both give the same
numbers; the Maildir's owner deletes only where no number can change under his hands, in INBOX and Drafts. mbsync would
take a message with another number for a new one, and bring back what has just been deleted: there is no word for it in IMAP.
"""

import collections
import concurrent.futures
import os
import random
import re
import subprocess
import threading
import time
import unittest

from fwmail import DOMAIN, is_long, letter
from test_filed_outside import MBSYNC, Filing
from wire import PATIENCE, smtp_send

ANN = f"ann@{DOMAIN}"
SECONDS = 240 if is_long() else 8
OWNERS = ("inside", "outside", "both_delete", "both_move")
SHARED = ("Archive", "Sent", "Trash", "Work")  # both file there
MAILBOXES = ("INBOX", "Drafts", *SHARED)
DEEDS = ("inside: copied", "inside: moved", "inside: expunged", "outside: saved again", "outside: filed", "outside: moved",
         "outside: deleted")
FLAGS = {"D": rb"\Draft", "F": rb"\Flagged", "R": rb"\Answered", "S": rb"\Seen", "T": rb"\Deleted"}


class History:
    """Who may do what with which message, what was done, and how many of each there must be in the end."""

    def __init__(self):
        self.lock = threading.Lock()
        self.owner = {}
        self.count = {}
        self.deeds = collections.defaultdict(list)

    def new(self, token, owner, where):
        with self.lock:
            self.owner[token], self.count[token] = owner, 1
        self.note(token, f"new in {where}, for {owner}")

    def note(self, token, deed, more=0):
        with self.lock:
            self.count[token] += more
            self.deeds[token].append(f"{time.monotonic():.2f} {deed}")

    def is_for(self, token, *owners):
        with self.lock:
            return self.owner.get(token) in owners

    def of(self, *owners):
        with self.lock:
            return [token for token, owner in self.owner.items() if owner in owners]

    def done_by(self, token):
        """The sides that did something with it; setting flags is nothing."""
        with self.lock:
            return {side for side in ("inside: ", "outside: ") if any(side in deed for deed in self.deeds[token])}

    def not_done(self):
        """What was not tried yet, of all that is to be tried."""
        with self.lock:
            text = str(list(self.deeds.values()))
        missing = [deed for deed in DEEDS if deed not in text]
        return missing + [owner for owner in OWNERS if owner.startswith("both") and
                          not any(len(self.done_by(token)) == 2 for token in self.of(owner))]

    def wrong(self, found):
        """What is there another number of times than it should be; found: a Counter."""
        text = []
        for token in sorted(self.count.keys() | found.keys()):
            least = most = self.count.get(token, 0)
            if self.is_for(token, "both_move") and len(self.done_by(token)) == 2:
                most = 2
            if not least <= found[token] <= most:
                text += [f"{token}: {found[token]} of {least} to {most}", *self.deeds.get(token, ())]
        return "\n".join(text)


class Maildir:
    """Folders that mbsync keeps in step with the remote."""

    def __init__(self, folder, port, password):
        self.folder = folder
        self.config = os.path.join(folder, "rc")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(MBSYNC.format(port=port, password=password, folder=folder, patterns="*"))
        self.serial = 0

    def sync(self):
        done = subprocess.run(["mbsync", "-c", self.config, "all"], capture_output=True, text=True,
                              timeout=120 * PATIENCE)
        told = [line for line in done.stderr.splitlines() if not re.search("notice: no UIDVALIDITY|in the clear", line)]
        if done.returncode != 0 or told:
            raise AssertionError(f"mbsync: exit {done.returncode}: {told}")

    def files(self, mailbox):
        for part in ("new", "cur"):
            path = os.path.join(self.folder, mailbox, part)
            for name in sorted(os.listdir(path)):
                yield os.path.join(path, name)

    @staticmethod
    def token(path):
        with open(path, "rb") as file:
            return re.search(rb"^Message-ID: *(<[^>]*>)", file.read(16384), re.M | re.I).group(1)

    def find(self, mailbox, history, *owners):
        """(path, token) of the messages that are one of the owners'."""
        rows = ((path, self.token(path)) for path in self.files(mailbox))
        return [row for row in rows if history.is_for(row[1], *owners)]

    def path(self, mailbox, name=None):
        self.serial += 1
        return os.path.join(self.folder, mailbox, "cur", name or f"{self.serial}.maildir:2,S")

    def file(self, mailbox, message):
        with open(self.path(mailbox), "wb") as file:
            file.write(message.replace(b"\r\n", b"\n"))

    def move(self, path, mailbox):
        """As a mail program does it: mbsync's own number stays behind."""
        os.rename(path, self.path(mailbox, re.sub(r",U=\d+", "", os.path.basename(path)).partition(":")[0] + ":2,S"))

    def set_flags(self, path, flags):
        folder, name = os.path.split(os.path.dirname(path))[0], os.path.basename(path)
        os.rename(path, os.path.join(folder, "cur", f"{name.partition(':')[0]}:2,{''.join(sorted(flags))}"))

    def state(self, mailbox):
        """A Counter of (token, flags)."""
        rows = collections.Counter()
        for path in self.files(mailbox):
            flags = path.partition(":2,")[2]
            rows[self.token(path), frozenset(FLAGS[letter] for letter in flags)] += 1
        return rows

    def tree(self):
        """Each file, as it lies there."""
        return {path: os.stat(path).st_ino for mailbox in MAILBOXES for path in self.files(mailbox)}


class Inside:
    """A client of core that does something at random, and knows what came of it."""

    def __init__(self, client, chance, history):
        self.client, self.chance, self.history = client, chance, history
        self.places = {}  # token: mailboxes, of what is ours alone
        self.contested = set()

    def step(self):
        time.sleep(self.chance.random() * 0.2)
        self.places.update({token: {"INBOX"} for token in self.history.of("inside") if token not in self.places})
        deed = self.chance.choice((self.store, self.store, self.copy, self.move, self.move, self.expunge, self.append,
                                   self.contest, self.contest))
        deed()

    def uid(self, mailbox, token):
        """Of the one message there, or None. It may change: a remote has given its number, too."""
        self.client.must(f"SELECT {mailbox}")
        found = self.client.must(f"UID SEARCH HEADER Message-ID {token.decode()}").one(r"SEARCH ?(.*)").split()
        assert len(found) <= 1, f"{token}: {found} in {mailbox}: {self.history.deeds[token]}"
        return found[0] if found else None

    def pick(self):
        token = self.chance.choice(list(self.places) or [None])
        if not token or not self.places[token]:
            return None, None
        return token, self.chance.choice(sorted(self.places[token]))

    def store(self):
        self.client.must(f"SELECT {self.chance.choice(MAILBOXES)}")
        sign, flag = self.chance.choice("+-"), self.chance.choice((r"\Flagged", r"\Answered", r"\Seen", "$Work"))
        self.client.must(f"STORE 1:* {sign}FLAGS.SILENT ({flag})" if self.chance.random() < 0.1 else
                         f"UID STORE {self.chance.randint(1, 60)} {sign}FLAGS ({flag})")

    def place(self, command, token, mailbox, other):
        """COPY or MOVE; whether it was done: the number may have gone meanwhile."""
        uid = self.uid(mailbox, token)
        if not uid:
            return False
        answer = self.client.must(f"UID {command} {uid} {other}")
        return "COPYUID" in " ".join([*answer.lines, answer.tagged])

    def copy(self):
        token, mailbox = self.pick()
        other = self.chance.choice(("INBOX", *SHARED))
        if token and other not in self.places[token] and self.place("COPY", token, mailbox, other):
            self.places[token].add(other)
            self.history.note(token, f"inside: copied from {mailbox} to {other}", 1)

    def move(self):
        token, mailbox = self.pick()
        other = self.chance.choice(("INBOX", *SHARED))
        if token and other not in self.places[token] and self.place("MOVE", token, mailbox, other):
            self.places[token] ^= {mailbox, other}
            self.history.note(token, f"inside: moved from {mailbox} to {other}")

    def expunge(self):
        token, mailbox = self.pick()
        if token and self.gone(token, mailbox):
            self.places[token].remove(mailbox)
            self.history.note(token, f"inside: expunged from {mailbox}", -1)

    def gone(self, token, mailbox):
        """Whether it was there, and is gone."""
        found = False
        while uid := self.uid(mailbox, token):
            found = True
            self.client.must(f"UID STORE {uid} +FLAGS.SILENT (\\Deleted)")
            self.client.must(f"UID EXPUNGE {uid}")
        return found

    def append(self):
        token, message = letter("from inside")
        mailbox = self.chance.choice(("INBOX", *SHARED))
        self.history.new(token, "inside", mailbox)
        self.places[token] = {mailbox}
        self.client.append(mailbox, message, self.chance.choice(("", r"\Seen", r"\Flagged \Seen")))

    def contest(self):
        """What the Maildir's owner may do as well; best what he has just done, before it is heard of here."""
        rows = [(token, self.history.done_by(token)) for token in self.history.of("both_delete", "both_move")
                if token not in self.contested]
        token, _ = max(rows, key=lambda row: (len(row[1]), self.chance.random()), default=(None, None))
        if not token:
            return
        self.contested.add(token)
        if self.history.is_for(token, "both_delete"):
            if self.gone(token, "INBOX"):
                self.history.note(token, "inside: expunged")
        elif self.place("MOVE", token, "INBOX", "Archive"):
            self.history.note(token, "inside: moved")


class Outside:
    """The Maildir's owner."""

    def __init__(self, maildir, chance, history):
        self.maildir, self.chance, self.history = maildir, chance, history
        self.drafts = {}  # serial: token of the last one saved
        self.filed = {}  # token: mailbox

    def step(self):
        for _ in range(self.chance.randint(3, 9)):
            self.chance.choice((self.save_draft, self.save_draft, self.file, self.move, self.move, self.delete,
                                self.flag, self.flag))()
        self.maildir.sync()

    def save_draft(self):
        serial = self.chance.randrange(3)
        if old := self.drafts.get(serial):
            path = next(path for path, token in self.maildir.find("Drafts", self.history, "outside") if token == old)
            os.unlink(path)
            self.history.note(old, "outside: saved again", -1)
        token, message = letter(f"draft {serial}", sender=ANN, to="bob@elsewhere.test")
        self.history.new(token, "outside", "Drafts")
        self.drafts[serial] = token
        self.maildir.file("Drafts", message)

    def file(self):
        token, message = letter("from outside")
        mailbox = self.chance.choice(SHARED)
        self.history.new(token, "outside", mailbox)
        self.history.note(token, "outside: filed")
        self.filed[token] = mailbox
        self.maildir.file(mailbox, message)

    def pick(self, *owners):
        return self.chance.choice(self.maildir.find("INBOX", self.history, *owners) or [(None, None)])

    def move(self):
        path, token = self.pick("outside", "both_move")
        if not path:
            return
        mailbox = self.chance.choice(SHARED)
        self.maildir.move(path, mailbox)
        self.history.note(token, f"outside: moved to {mailbox}")
        self.filed[token] = mailbox

    def delete(self):
        path, token = self.pick("outside", "both_delete")
        if not path:
            return
        os.unlink(path)
        self.history.note(token, "outside: deleted", -1 if self.history.is_for(token, "outside") else 0)

    def flag(self):
        files = list(self.maildir.files(self.chance.choice(MAILBOXES)))
        if files:
            path = self.chance.choice(files)
            self.maildir.set_flags(path, set(path.partition(":2,")[2]) ^ {self.chance.choice("FRS")})


class TwoClients(Filing):
    accept_plain = True
    maxDiff = None

    def configure(self):
        self.core.set_option("replicate", "max-expunges-per-day = 1000000")

    def work(self, seed, history, maildir):
        """Three threads, until the time is over and everything has been tried."""
        end = time.monotonic() + SECONDS
        limit = end + 120 * PATIENCE
        inside = Inside(self.client(self.core), random.Random(f"{seed} inside"), history)
        outside = Outside(maildir, random.Random(f"{seed} outside"), history)
        chance = random.Random(f"{seed} mail")

        def deliver():
            token, message = letter("news", "A line.\r\n" * chance.randint(1, 200))
            history.new(token, chance.choice(OWNERS), "INBOX")
            smtp_send(self.core.smtp_port, "bob@elsewhere.test", ANN, message)
            time.sleep(chance.random() * 0.2)

        def until_the_end(step):
            while time.monotonic() < end or (history.not_done() and time.monotonic() < limit):
                step()

        with concurrent.futures.ThreadPoolExecutor() as pool:
            for done in [pool.submit(until_the_end, step) for step in (inside.step, outside.step, deliver)]:
                done.result()
        self.assertEqual(history.not_done(), [])
        return outside.filed

    def states(self, node):
        return {mailbox: collections.Counter((token, frozenset(flags & set(FLAGS.values())))
                                             for token, flags in node.state("ann", mailbox).values())
                for mailbox in MAILBOXES}

    def assert_same(self, states, others):
        for mailbox in MAILBOXES:
            self.assertEqual((states[mailbox] - others[mailbox], others[mailbox] - states[mailbox]),
                             (collections.Counter(), collections.Counter()), mailbox)

    def assert_counts(self, history, states):
        found = collections.Counter()
        for rows in states.values():
            for (token, _), count in rows.items():
                found[token] += count
        self.assertEqual(history.wrong(found), "")

    def test_nothing_is_lost_and_nothing_is_there_twice(self):
        seed = int(os.environ.get("FWMAIL_SEED", random.randrange(1 << 30)))
        print(f"seed {seed}", flush=True)
        self.client(self.core).must("CREATE Work")
        self.agree()
        maildir = Maildir(self.new_folder(), self.remote.imap_port, self.remote.password("ann"))
        maildir.sync()
        history = History()
        filed = self.work(seed, history, maildir)
        for token in history.of("both_delete"):
            history.count[token] = 0 if history.done_by(token) else 1
        self.agree()
        maildir.sync()  # the other side's last word
        self.agree()
        maildir.sync()
        tree, states = maildir.tree(), self.states(self.core)
        maildir.sync()
        self.assertEqual(maildir.tree(), tree)
        self.agree()
        self.assert_same(self.states(self.core), states)
        self.assert_same(self.states(self.remote), states)
        self.assert_same({mailbox: maildir.state(mailbox) for mailbox in MAILBOXES}, states)
        self.assert_counts(history, states)
        for token, mailbox in filed.items():
            self.assertIn(token, {token for token, _ in states[mailbox]}, mailbox)


if __name__ == "__main__":
    unittest.main()
