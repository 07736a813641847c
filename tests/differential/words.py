"""Names, sets, flags, items and search keys: good ones, borderline ones and wrong ones."""

import re

USES = ("Archive", "Drafts", "Junk", "Sent", "Trash")
NICE = ("one", "Two", "a/b", "a", "a/b/c", "x y", "d/e", "&AOQ-rger", "Entw&APw-rfe", "&ZeVnLIqe-", "INBOX/sub", "q&-a",
        "d", "Sent/old", "z(1)", "it's", "f.g", "one/Two")
ODD_NAMES = ("/a", "a//b", "a/", "a/b/", "INBOX", "inbox", "InBox", "iNBOX/x", "INBOX/", "&", "&AOQ", "&AGE-", "&&-",
             "&-&-",
             "&AOQ-&APY-", "&2D3eAA-", "&2D0-", "*", "%", "a*", "b%c", "\\", "a\\b", "", "/", "//", "..", "../x", ".",
             "a/../b", "~", "~x", "#news", "nowhere", "no/where", "NIL", "\xe9", "a\tb", "x" * 300, "m\x7f", "]", "a]b",
             "\"", "a\"b", "{3}", "&AAA-", "&AC8-")
FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
KEYWORDS = ("$Forwarded", "$MDNSent", "work", "Work", "$label1", "NonJunk", "k-1")
ODD_FLAGS = ("\\Recent", "\\Unknown", "\\*", "\\seen", "\\DELETED", "()", "a(b", "\"quoted\"", "%", "NIL", "\\", "$",
             "a]b",
             "x" * 90, "\xe9")
FIELDS = ("Subject", "FROM", "To", "cc", "Date", "Message-ID", "X-Long", "X-Empty", "Received", "Content-Type",
          "Nothing",
          "References", "Reply-To")
WORDS = ("hello", "WORLD", "text", "plain", "example", "caf", "Gr", "inner", "bob", "ann@", "the", "zzz", "octets",
         "boundary",
         "digest", "J", "html", "second line", "b2", "routed")


class Words:
    """Of a generator with `random`, `model` and `connections`."""

    def quoted(self, text):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def astring(self, text):
        """One of the ways to write it, as pieces."""
        r = self.random.random()
        atom = re.fullmatch(r"[^\x00-\x20\x7f-\xff(){%*\"\\]+", text)
        if atom and r < 0.6:
            return [text]
        if r < 0.9 and not re.search(r"[\x00\r\n\x80-\xff]", text):
            return [self.quoted(text)]
        return [("literal" + self.random.choice(["", "+", "+"]), text.encode("latin-1"))]

    def mailbox(self, odd=0.12, existing=0.75):
        r = self.random
        if r.random() < odd:
            return r.choice(ODD_NAMES)
        if r.random() < existing:
            return r.choice(sorted(self.model.mailboxes))
        return r.choice(NICE)

    def sequence(self, conn, odd=0.1):
        r = self.random
        n = self.count(conn)
        if r.random() < odd:
            return r.choice(["*:1", "*", "*:*", "4294967295", "0", "0:1", "1:0", f"{n + 1}", f"{n + 3}:*", "5:2",
                             "1,1,1", "2:1,1:2",
                             "4294967296", "1:4294967295", "99999999999", "1,", ",1", "1:", ":1", "1:2:3", "", "a",
                             "1 2", "-1",
                             "1.5", "+1", "01", "1,*", "*,*:1", "$", "1,$", "1:*,1:*", "1:3,2:4"])
        pick = r.random()
        if pick < 0.3:
            return "1:*"
        if pick < 0.6:
            return str(self.number(conn))
        if pick < 0.8:
            return "{}:{}".format(*sorted((self.number(conn), self.number(conn))))
        if pick < 0.85:
            return "*"
        return ",".join(str(self.number(conn)) for _ in range(r.randint(2, 4)))

    def set(self, conn, odd=0.1):
        """("", sequence set) or ("UID ", UIDs)."""
        if self.random.random() < 0.45:
            return "UID ", self.random.choice([self.sequence(conn, odd), f"1:{self.count(conn) + 5}", "1:*",
                                              str(self.number(conn) + self.random.randint(0, 3))])
        return "", self.sequence(conn, odd)

    def number(self, conn):
        return self.random.randint(1, max(1, self.count(conn)))

    def count(self, conn):
        return self.model.mailboxes.get(self.connections[conn].selected, 0)

    def flags(self, odd=0.08):
        r = self.random
        if r.random() < odd:
            return r.choice([r.choice(ODD_FLAGS), f"({r.choice(ODD_FLAGS)})", f"(\\Seen {r.choice(ODD_FLAGS)})", "()",
                             ""])
        flags = r.sample(FLAGS, r.choice([0, 1, 1, 1, 2])) + r.sample(KEYWORDS, r.choice([0, 0, 0, 1, 2]))
        return f"({' '.join(flags)})" if r.random() < 0.85 or not flags else " ".join(flags)

    def date(self):
        r = self.random
        return '"%02d-%s-2026 %02d:%02d:%02d %s"' % (r.randint(1, 28), r.choice("Jan Feb Mar Apr".split()),
                                                     r.randrange(24),
                                                      r.randrange(60), r.randrange(60), r.choice(["+0000", "+0100",
                                                          "-0800", "+0530"]))

    def section(self):
        r = self.random
        part = r.choice(["", "", "", "1", "2", "1.1", "2.1", "3", "2.2", "1.2", "2.1.1", "1.1.1"])
        fields = "(" + " ".join(r.sample(FIELDS, r.randint(1, 3))) + ")"
        what = r.choice(["", "", "HEADER", "TEXT", "MIME", f"HEADER.FIELDS {fields}", f"HEADER.FIELDS.NOT {fields}"])
        if r.random() < 0.06:
            return r.choice(["0", "1.0", "99", "1.HEADER.FIELDS", "HEADER.FIELDS ()", "MIME", "1.", ".1", "TEXT.1",
                             "header",
                             "HEADER.FIELDS (\"Subject\" {2+}\r\nTo)", "4294967296", "1..1", "UNKNOWN",
                             "HEADER.FIELDS (Subject",
                             "HEADER.FIELDS Subject", "text", "1.text", "HEADER.FIELDS (X:Y)",
                             "HEADER.FIELDS (\"a b\")"])
        if not part and what == "MIME":
            what = ""
        return part + ("." if part and what else "") + what

    def partial(self):
        r = self.random
        if r.random() < 0.75:
            return ""
        if r.random() < 0.1:
            return r.choice(["<0>", "<0.0>", "<.1>", "<1.>", "<-1.5>", "<0.4294967295>", "<4294967295.4294967295>",
                             "<a.b>", "<1.1",
                             "<0.4294967296>", "<0.18446744073709551616>", "<0,5>", "<5.1.2>"])
        return f"<{r.choice([0, 0, 1, 5, 50, 200, 100000])}.{r.choice([1, 10, 100, 5000])}>"

    def item(self):
        r = self.random
        pick = r.random()
        if pick < 0.45:
            return r.choice(["FLAGS", "UID", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE",
                             "MODSEQ"])
        if pick < 0.8:
            return r.choice(["BODY.PEEK", "BODY.PEEK", "BODY"]) + f"[{self.section()}]{self.partial()}"
        if pick < 0.92:
            part = r.choice(["", "1", "2", "1.1", "2.1", "3", "1.2"])
            kind = r.choice(["BINARY.PEEK", "BINARY", "BINARY.SIZE"])
            return f"{kind}[{part}]{self.partial() if kind != 'BINARY.SIZE' or r.random() < 0.1 else ''}"
        if pick < 0.97:
            return r.choice(["RFC822", "RFC822.HEADER", "RFC822.TEXT", "SAVEDATE", "PREVIEW", "PREVIEW (LAZY)"])
        return r.choice(["UNKNOWN", "BODY.PEEK", "RFC822.FOO", "flags", "body[]", "BINARY[TEXT]", "BINARY.SIZE",
                         "EMAILID", "THREADID",
                         "BODY[", "BODY]", "X-GM-MSGID", "BODY.PEEK []", "PREVIEW (FUZZY)",
                         "RFC822.HEADER.LINES (Subject)"])

    def search_text(self):
        r = self.random
        word = r.choice(WORDS)
        pick = r.random()
        if pick < 0.05:
            return '""'
        if pick < 0.1:
            return "{%d+}\r\n%s" % (len(word), word)
        if " " in word or pick < 0.5:
            return self.quoted(word)
        return word

    def day(self):
        r = self.random
        if r.random() < 0.1:
            return r.choice(['"1-Mar-2026"', "01-mar-2026", "1-Mar-26", "31-Feb-2026", "0-Mar-2026", "1-Foo-2026",
                             '" 1-Mar-2026"', "1-3-2026",
                             "1-Mar-1969", "1-Mar-9999", '""', "1-MAR-2026", "001-Mar-2026"])
        return f"{r.randint(1, 28)}-{r.choice('Jan Feb Mar Apr'.split())}-2026"

    def key(self, conn, depth=0):
        r = self.random
        pick = r.random()
        if pick < 0.2:
            return r.choice(["ALL", "ANSWERED", "DELETED", "DRAFT", "FLAGGED", "SEEN", "UNANSWERED", "UNDELETED",
                             "UNDRAFT", "UNFLAGGED", "UNSEEN",
                             "NOT SEEN"])
        if pick < 0.3:
            return self.sequence(conn, 0.15)
        if pick < 0.36:
            return "UID " + self.sequence(conn, 0.15)
        if pick < 0.42:
            return r.choice(["KEYWORD", "UNKEYWORD"]) + " " + r.choice(KEYWORDS + ("nothing", "\\Seen", "$label1"))
        if pick < 0.5:
            return r.choice(["BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"]) + " " + self.day()
        if pick < 0.54:
            return r.choice(["LARGER", "SMALLER"]) + " " + r.choice(["0", "100", "500", "1000", "4294967295",
                                                            "4294967296", "-1", "x", ""])
        if pick < 0.7:
            return r.choice(["FROM", "TO", "CC", "BCC", "SUBJECT"]) + " " + self.search_text()
        if pick < 0.76:
            return f"HEADER {r.choice(FIELDS)} {self.search_text()}"
        if pick < 0.86:
            return r.choice(["BODY", "TEXT"]) + " " + self.search_text()
        if pick < 0.88:
            return r.choice(["OLDER", "YOUNGER"]) + " " + r.choice(["1", "100000", "0", "4294967295", "1000000000"])
        if pick < 0.9:
            return "MODSEQ " + r.choice(["1", "@{HIGHEST-}", "0", "900000000000000000", '"/flags/\\\\Seen" all 1',
                                         '"/flags/\\\\Seen" priv 1', "x"])
        if pick < 0.92:
            return r.choice(["UNKNOWN", "$", "SAVEDON 1-Mar-2020", "()", "(", "NOT", "OR SEEN", "EMAILID x",
                             "SAVEDATESUPPORTED", "FROM", "(SEEN",
                             "UID", "SUBJECT", "HEADER", "HEADER Subject", "INTHREAD", "seen", "Not seen"])
        if depth > 2:
            return "ALL"
        if pick < 0.95:
            return "NOT " + self.key(conn, depth + 1)
        if pick < 0.98:
            return f"OR {self.key(conn, depth + 1)} {self.key(conn, depth + 1)}"
        return "(" + " ".join(self.key(conn, depth + 1) for _ in range(r.randint(1, 3))) + ")"
