"""A method a command: it adds one step, and notes in the model what comes of it."""

import re

import mails
from words import NICE, ODD_NAMES, USES, Words


class Commands(Words):
    """Of a generator that can `add`."""

    def noop(self, conn):
        self.add(conn, "NOOP", self.random.choice(["NOOP", "NOOP", "noop", "CHECK"]), sync=True)

    def simple(self, conn):
        text = self.random.choice(["CAPABILITY", "NAMESPACE", "ID NIL", "ID (\"name\" \"t\")", "ID ()", "ID (\"a\")",
                                   "ID", "ID (NIL NIL)",
                                   "ID ((\"a\" \"b\"))"])
        self.add(conn, text.split(" ")[0], text)

    def unknown(self, conn):
        text = self.random.choice(["FROBNICATE", "XYZZY 1", "UID", "UID FROB 1", "UID NOOP", "FETCHX 1 FLAGS",
                                   "LOGIN a b",
                                   "AUTHENTICATE PLAIN", "STARTTLS", "", "SEL ECT", "UID UID FETCH 1 FLAGS",
                                   "UIDFETCH 1 FLAGS",
                                   "DONE", "GETACL", "X-A-B"])
        self.add(conn, text.split(" ")[0] or "nothing", text)

    def enable(self, conn):
        r = self.random
        names = r.choice(["CONDSTORE", "QRESYNC", "QRESYNC", "CONDSTORE QRESYNC", "qresync", "X-NOTHING",
                          "X-NOTHING CONDSTORE",
                          "", "CONDSTORE CONDSTORE", "(CONDSTORE)"])
        self.add(conn, "ENABLE", "ENABLE" + (" " + names if names else ""))
        connection = self.connections[conn]
        connection.qresync |= "qresync" in names.lower()
        connection.condstore |= "condstore" in names.lower() or connection.qresync

    def select(self, conn, odd=True, name=None):
        r = self.random
        connection = self.connections[conn]
        name = name or self.mailbox(0.08 if odd else 0, 0.92 if odd else 1)
        verb = "SELECT" if r.random() < 0.8 else "EXAMINE"
        more = ""
        if r.random() < 0.1:
            more = r.choice([" (CONDSTORE)", " (condstore)", " ()", " (UNKNOWN)", " CONDSTORE",
                             " (CONDSTORE CONDSTORE)"])
        if connection.qresync and r.random() < 0.5 or r.random() < 0.02:
            more = r.choice([" (QRESYNC (@{VALIDITY} @{HIGHEST-}))", " (QRESYNC (@{VALIDITY} 1))", " (QRESYNC (1 1))",
                             " (QRESYNC (@{VALIDITY} @{HIGHEST-} 1:3))", " (QRESYNC (@{VALIDITY} 1 1:10 (1,2 1,2)))",
                             " (QRESYNC (@{VALIDITY} @{HIGHEST}))", " (QRESYNC (0 1))", " (QRESYNC (@{VALIDITY}))",
                             " (QRESYNC (@{VALIDITY} 1 *))", " (QRESYNC @{VALIDITY} 1)", " (QRESYNC (@{VALIDITY} 0))",
                             " (QRESYNC (@{VALIDITY} 99999999999999999999))",
                             " (CONDSTORE QRESYNC (@{VALIDITY} @{HIGHEST-}))"])
        known = self.find(name)
        self.add(conn, verb, [verb + " ", *self.astring(name), more]).target = known
        connection.selected = known
        connection.read_only = verb == "EXAMINE"
        connection.condstore |= "CONDSTORE" in more

    def find(self, name):
        name = re.sub(r"^inbox(?=$|/)", "INBOX", name, flags=re.I)
        return name if name in self.model.mailboxes else None

    def leave(self, conn):
        r = self.random
        verb = r.choice(["CLOSE", "UNSELECT"])
        self.add(conn, verb, verb)
        self.connections[conn].selected = None
        if r.random() < 0.8:
            self.select(conn)

    def create(self, conn, name=None):
        r = self.random
        use = ""
        if name is None:
            name = self.mailbox(0.35, 0.1)
            if r.random() < 0.1:
                name += "/" + r.choice(["x", "", "y/z", "INBOX"])
            if r.random() < 0.04:
                use = r.choice([" (USE (\\Archive))", " (USE (\\All))", " (USE ())", " (USE (Sent))", " USE", " ()"])
        # Whether what lies above comes into being by itself differs.
        for at in [at for at, c in enumerate(name) if c == "/" and name in NICE and r.random() < 0.9]:
            if name[:at] not in self.model.mailboxes:
                self.add(conn, "CREATE", ["CREATE ", *self.astring(name[:at])])
                self.model.mailboxes[name[:at]] = 0
        self.add(conn, "CREATE", ["CREATE ", *self.astring(name), use])
        if name in NICE:
            self.model.mailboxes.setdefault(name, 0)

    def delete(self, conn):
        # What someone has selected is left alone: what then happens is no more to be compared.
        name = self.mailbox(0.15, 0.9)
        known = self.find(name)
        if known and (any(c.selected == known for c in self.connections) or known in USES
                      and self.random.random() < 0.9):
            return self.create(conn)
        self.add(conn, "DELETE", ["DELETE ", *self.astring(name)])
        self.model.mailboxes.pop(name, None) if name != "INBOX" else None

    def rename(self, conn):
        source, target = self.mailbox(0.1, 0.9), self.mailbox(0.15, 0.2)
        for connection in self.connections:
            selected = connection.selected or ""
            if (selected + "/").startswith(source + "/") or (selected + "/").startswith(target + "/"):
                return self.create(conn)
        self.add(conn, "RENAME", ["RENAME ", *self.astring(source), " ", *self.astring(target)])
        boxes = self.model.mailboxes
        if source in boxes and target not in boxes and target in NICE:
            for name in [name for name in boxes if name == source or name.startswith(source + "/")]:
                if source == "INBOX":
                    boxes[target], boxes["INBOX"] = boxes["INBOX"], 0
                    break
                boxes[target + name[len(source):]] = boxes.pop(name)

    def subscribe(self, conn):
        verb = self.random.choice(["SUBSCRIBE", "UNSUBSCRIBE"])
        self.add(conn, verb, [verb + " ", *self.astring(self.mailbox())])

    def list(self, conn):
        r = self.random
        reference = r.choice(['""'] * 6 + ["a", "a/", "INBOX", '"%"', "Sent/", "nowhere/", "/", "a/b/", "NIL"])
        patterns = ["*", "%", "*", '"*"', '""', "INBOX", "inbox", "In*", "a/%", "a/*", "%/%", "%/b", "*b", "*/c", "a",
                    "Sent*", "S%t",
                    "/", "%%", "**", "%*", "*%", "a/", "i%", "INBOX/%", "&AOQ-*", "x", "nothing", "%/", "*/", "{3}",
                    "(a)", "/%"]
        pattern = r.choice(patterns)
        if r.random() < 0.25:
            verb = "LSUB"
            return self.add(conn, verb, f"LSUB {reference} {pattern}")
        selection = back = ""
        if r.random() < 0.35:
            selection = r.choice(["(SUBSCRIBED) ", "(SUBSCRIBED RECURSIVEMATCH) ", "(RECURSIVEMATCH) ", "() ",
                                  "(SPECIAL-USE) ",
                                  "(REMOTE) ", "(UNKNOWN) ", "(subscribed) ", "(SPECIAL-USE SUBSCRIBED) ",
                                  "(SUBSCRIBED SUBSCRIBED) ", "(REMOTE SUBSCRIBED) "])
        if r.random() < 0.35:
            back = r.choice([" RETURN (CHILDREN)", " RETURN (SUBSCRIBED)", " RETURN ()", " RETURN (SPECIAL-USE)",
                             " RETURN (SUBSCRIBED CHILDREN SPECIAL-USE)", " RETURN (STATUS (MESSAGES UIDNEXT))",
                             " RETURN (UNKNOWN)",
                             " RETURN", " RETURN CHILDREN", " RETURN (STATUS)", " RETURN (STATUS ())",
                             " RETURN (CHILDREN STATUS (UNSEEN))", " return (children)"])
        if r.random() < 0.1:
            pattern = f"({' '.join(r.choice(patterns[:12]) for _ in range(r.randint(1, 3)))})"
        self.add(conn, "LIST", f"LIST {selection}{reference} {pattern}{back}")

    def status(self, conn):
        r = self.random
        items = r.sample(["MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ", "SIZE"],
                         r.randint(1, 5))
        if r.random() < 0.12:
            items = r.choice([[], ["UNKNOWN"], ["messages", "Unseen"], ["MESSAGES", "MESSAGES"], ["MESSAGES", ""],
                              ["DELETED"],
                              ["APPENDLIMIT"], ["MAILBOXID"]])
        self.add(conn, "STATUS", ["STATUS ", *self.astring(self.mailbox()), f" ({' '.join(items)})"])

    def append(self, conn, odd=True, name=None):
        r = self.random
        if name is None:
            name = self.mailbox(0.05, 0.95)
        messages = 1 if r.random() < 0.88 else r.randint(2, 3)
        wrong = r.randrange(1, messages) if odd and messages > 1 and r.random() < 0.2 else 0
        pieces, traits = ["APPEND ", *self.astring(name)], set()
        for number in range(messages):
            mail = r.choice(sorted(mails.FAITHFUL) if not odd or r.random() < 0.8 else sorted(mails.ODD))
            traits.add("mail:" + mail)
            flags = self.flags(0.03 if odd else 0) if r.random() < 0.5 else ""
            if flags and not flags.startswith("(") and not (odd and r.random() < 0.05):
                flags = f"({flags})"
            date = self.date()
            if odd and r.random() < 0.04:
                date = r.choice(['" 1-Mar-2026 00:00:00 +0000"', '"1-Mar-2026 00:00:00 +0000"',
                                 '"31-Feb-2026 00:00:00 +0000"', '""',
                                 '"01-mar-2026 00:00:00 +0000"', '"01-Mar-2026 24:00:00 +0000"',
                                 '"01-Mar-26 00:00:00 +0000"',
                                 '"01-Mar-2026 00:00:00 GMT"', '"01-Mar-2026"', "NIL", '"01-Mar-1960 00:00:00 +0000"',
                                 '"01-Mar-2026 00:00:60 +0000"', '"01-Mar-9999 00:00:00 +0000"'])
            pieces.append(f" {flags}{' ' if flags else ''}{date} ")
            octets = mails.MAILS[mail]
            kind = r.choice(["literal", "literal+", "literal+"])
            if b"\0" in octets and r.random() < 0.8 or odd and r.random() < 0.04:
                kind = "~" + kind
            if number and number == wrong:  # what was appended before it is not there either (RFC 3502)
                pieces[-1] = r.choice([" (\\Seen ", " x ", "  ", " (\\Nothing) ", ' "31-Feb-2026 00:00:00 +0000" ', "", " NIL "])
                traits.add("wrong-multiappend")
            pieces.append((kind, b"" if odd and r.random() < 0.02 else octets))
        self.add(conn, "APPEND", pieces, traits)
        known = self.find(name)
        if known:
            self.model.mailboxes[known] += messages

    def fetch(self, conn):
        r = self.random
        uid, numbers = self.set(conn)
        pick = r.random()
        if pick < 0.12:
            items = r.choice(["ALL", "FAST", "FULL", "all", "(ALL)", "(FAST FLAGS)", "ALL FLAGS"])
        elif pick < 0.4:
            items = self.item()
        else:
            items = "(" + " ".join(self.item() for _ in range(r.randint(1, 4))) + ")"
        if r.random() < 0.03:
            items = r.choice(["()", "", "(FLAGS", "FLAGS)", "((FLAGS))", "(FLAGS  UID)", "( FLAGS)", "(FLAGS )",
                              "\"FLAGS\""])
        more = ""
        if r.random() < 0.06:
            more = r.choice([" (CHANGEDSINCE @{HIGHEST-})", " (CHANGEDSINCE 1)", " (CHANGEDSINCE 0)",
                             " (CHANGEDSINCE)", " ()",
                             " (CHANGEDSINCE @{HIGHEST-} VANISHED)", " (VANISHED)", " (UNKNOWN)",
                             " (CHANGEDSINCE 900000000000000000)",
                             " (CHANGEDSINCE 99999999999999999999)", " CHANGEDSINCE 1"])
        self.add(conn, uid + "FETCH", f"{uid}FETCH {numbers} {items}{more}")

    def store(self, conn):
        r = self.random
        uid, numbers = self.set(conn)
        since = ""
        if r.random() < 0.1:
            since = r.choice(["(UNCHANGEDSINCE @{HIGHEST}) ", "(UNCHANGEDSINCE @{HIGHEST-}) ", "(UNCHANGEDSINCE 0) ",
                              "(UNCHANGEDSINCE 1) ",
                              "(UNCHANGEDSINCE) ", "(UNKNOWN 1) ", "() ", "(UNCHANGEDSINCE 99999999999999999999) ",
                              "(unchangedsince 900000000000000000) "])
        item = r.choice(["FLAGS", "+FLAGS", "-FLAGS"]) + r.choice(["", "", ".SILENT"])
        if r.random() < 0.05:
            item = r.choice(["+flags", "flags.silent", "++FLAGS", "FLAG", "+ FLAGS", "*FLAGS", "FLAGS.LOUD",
                             "ANNOTATION", "+FLAGS.silent"])
        self.add(conn, uid + "STORE", f"{uid}STORE {numbers} {since}{item} {self.flags()}")

    def search(self, conn):
        r = self.random
        uid = "UID " if r.random() < 0.4 else ""
        charset = ""
        if r.random() < 0.08:
            charset = r.choice(["CHARSET UTF-8 ", "CHARSET US-ASCII ", "CHARSET X-NO-SUCH ", "charset utf-8 ",
                                "CHARSET \"UTF-8\" ", "CHARSET ",
                                "CHARSET ISO-8859-1 ", "CHARSET \"\" "])
        keys = " ".join(self.key(conn) for _ in range(r.choice([1, 1, 1, 2, 3])))
        if r.random() < 0.04:
            charset, keys = "CHARSET UTF-8 ", r.choice(["TEXT {6+}\r\nK\xc3\xb6ln\x20", "SUBJECT {5+}\r\nCAF\xc3\x89",
                                                        "BODY {7+}\r\ncaf\xc3\xa9 p",
                                                        "FROM {7+}\r\nJ\xc3\xbcrgen",
                                                        "SUBJECT {7+}\r\nGR\xc3\xbc\xc3\x9fe", "TEXT {1+}\r\n\xff"])
        back = ""
        if r.random() < 0.25:
            back = r.choice(["RETURN (ALL) ", "RETURN (MIN MAX) ", "RETURN (COUNT) ", "RETURN () ",
                             "RETURN (MIN MAX ALL COUNT) ", "RETURN (SAVE) ",
                             "RETURN (SAVE COUNT) ", "RETURN (UNKNOWN) ", "RETURN ", "RETURN (MIN MIN) ",
                             "RETURN ALL ", "return (all) ",
                             "RETURN (SAVE MIN) ", "RETURN (SAVE) ", "RETURN (PARTIAL 1:2) ", "RETURN (PARTIAL 2:9 COUNT) ",
                             "RETURN (PARTIAL 3:1 MIN) ", "RETURN (SAVE PARTIAL 1:2) ", "RETURN (PARTIAL 50:60) ",
                             "RETURN (PARTIAL) ", "RETURN (PARTIAL 0:1) ", "RETURN (ALL PARTIAL 1:2) ",
                             "RETURN (PARTIAL 1:2 PARTIAL 3:4) ", "RETURN (PARTIAL 1) "])
        self.add(conn, uid + "SEARCH", f"{uid}SEARCH {back}{charset}{keys}")

    def saved(self, conn):
        """What a SEARCH has saved is used, once or more."""
        r = self.random
        uid = r.choice(["", "UID "])
        back = r.choice(["SAVE", "SAVE", "SAVE COUNT", "SAVE MIN", "SAVE MAX", "SAVE MIN MAX", "SAVE MIN COUNT", "SAVE ALL",
                         "SAVE PARTIAL 1:2"])
        self.add(conn, uid + "SEARCH", f"{uid}SEARCH RETURN ({back}) {self.key(conn)}")
        for _ in range(r.randint(1, 3)):
            uid = r.choice(["", "UID "])
            text = r.choice(["FETCH $ (UID FLAGS)", "FETCH $ UID", "STORE $ +FLAGS (\\Flagged)", "SEARCH $", "SEARCH NOT $",
                             "SEARCH $ SEEN", "SEARCH OR $ 1", "SEARCH RETURN (COUNT) $", "COPY $ Archive", "SEARCH UID $",
                             "SEARCH RETURN (SAVE) $ UNSEEN", "FETCH $ (MODSEQ FLAGS)", "STORE $ -FLAGS.SILENT (\\Seen)",
                             "FETCH $:3 UID", "SORT (DATE) UTF-8 $", "MOVE $ Junk", "EXPUNGE $"])
            if text.startswith("EXPUNGE"):
                uid = "UID "
            self.add(conn, uid + text.split(" ")[0], uid + text)

    def sort(self, conn):
        r = self.random
        uid = "UID " if r.random() < 0.5 else ""
        names = ["ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO"]
        criteria = " ".join(r.choice(["", "", "REVERSE "]) + r.choice(names) for _ in range(r.choice([1, 1, 2, 3])))
        criteria = f"({criteria})"
        if r.random() < 0.1:
            criteria = r.choice(["()", "(UNKNOWN)", "DATE", "(REVERSE)", "(REVERSE REVERSE DATE)", "(DATE", "( DATE)", "",
                                 "(date)", "(Reverse Size)", "(DATE  SIZE)", "(SUBJECT SUBJECT)", '("DATE")'])
        charset = r.choice(["UTF-8"] * 8 + ["US-ASCII", "utf-8", '"UTF-8"', "X-NO-SUCH", "", "CHARSET UTF-8", "ISO-8859-1", '""',
                                            "{5+}\r\nUTF-8"])
        back = ""
        if r.random() < 0.3:
            back = r.choice(["RETURN (ALL) ", "RETURN (MIN MAX) ", "RETURN (COUNT) ", "RETURN () ", "RETURN (ALL COUNT) ",
                             "RETURN (UNKNOWN) ", "RETURN ", "RETURN ALL ", "RETURN (PARTIAL 1:2) ", "RETURN (MIN) ",
                             "RETURN (SAVE) ", "RETURN (SAVE MIN) ", "return (all) "])
        keys = " ".join(self.key(conn) for _ in range(r.choice([1, 1, 2])))
        if r.random() < 0.5:
            keys = "ALL"
        if r.random() < 0.03:
            keys = ""
        self.add(conn, uid + "SORT", f"{uid}SORT {back}{criteria} {charset} {keys}")

    def thread(self, conn):
        r = self.random
        uid = "UID " if r.random() < 0.5 else ""
        how = r.choice(["REFERENCES"] * 5 + ["ORDEREDSUBJECT"] * 5 + ["references", "UNKNOWN", "", '"REFERENCES"', "(REFERENCES)"])
        charset = r.choice(["UTF-8"] * 8 + ["US-ASCII", "X-NO-SUCH", "", '"utf-8"'])
        keys = "ALL" if r.random() < 0.6 else self.key(conn)
        if r.random() < 0.03:
            keys = ""
        self.add(conn, uid + "THREAD", f"{uid}THREAD {how} {charset} {keys}")

    def quota(self, conn):
        r = self.random
        if r.random() < 0.55:
            return self.add(conn, "GETQUOTAROOT", ["GETQUOTAROOT ", *self.astring(self.mailbox())])
        text = r.choice(['GETQUOTA "@{ROOT}"', 'GETQUOTA "@{ROOT}"', "GETQUOTA nothing", "GETQUOTA", "GETQUOTA a b", "GETQUOTAROOT",
                         "GETQUOTAROOT INBOX x", 'SETQUOTA "@{ROOT}" (STORAGE 10)', "SETQUOTA", 'SETQUOTA "@{ROOT}"',
                         'getquota "@{ROOT}"', "GETQUOTA (a)", 'SETQUOTA "@{ROOT}" (STORAGE)'])
        self.add(conn, text.split(" ")[0].upper(), text)

    def compress(self, conn):
        text = self.random.choice(["COMPRESS DEFLATE"] * 6 + ["compress deflate", "COMPRESS", "COMPRESS GZIP", "COMPRESS DEFLATE x",
                                                             'COMPRESS "DEFLATE"', "COMPRESS (DEFLATE)", "COMPRESS DEFLATE "])
        self.add(conn, "COMPRESS", text)

    def copy(self, conn):
        verb = self.random.choice(["COPY", "COPY", "MOVE"])
        uid, numbers = self.set(conn, 0.06)
        self.add(conn, uid + verb, [f"{uid}{verb} {numbers} ", *self.astring(self.mailbox(0.06, 0.95))])

    def expunge(self, conn):
        r = self.random
        if r.random() < 0.7:
            self.add(conn, "EXPUNGE", "EXPUNGE")
        else:
            self.add(conn, "UID EXPUNGE", "UID EXPUNGE " + r.choice([self.sequence(conn), "1:*", "1:4", "*"]))
