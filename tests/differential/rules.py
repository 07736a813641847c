"""Why a server may differ from fwmail: the rules, in order of asking. What no rule explains, fails.

Each says what differs, who is right by which text, or why both are allowed. A rule that would excuse a mistake of
fwmail's is no rule: fwmail is mended instead.
"""

import email
import re

import mails
from parse import Atom

OURS, THEIRS, BOTH = "fwmail is right", "the other is right", "both are allowed"


class Rule:
    """matches(difference): whether this explains it. ends: whether what follows in the session can be compared no
    more; None: as the answers look."""

    def __init__(self, name, right, why, matches, ends=None, peers=("dovecot", "cyrus")):
        self.name, self.right, self.why, self.matches, self.ends, self.peers = name, right, why, matches, ends, peers


def command(difference):
    return difference.command.decode("latin-1")


def refusals(d):
    return d.aspect == "status" and {d.ours, d.theirs} <= {"NO", "BAD"}


def statuses(ours, theirs, pattern=None, name=None):
    """This pair of answers to a command of this form."""

    def matches(d):
        return (d.aspect == "status" and d.ours in ours.split("/") and d.theirs in theirs.split("/")
                and (name is None or d.step.name in name) and (pattern is None or re.search(pattern, command(d),
                    re.S | re.I)))

    return matches


def aspect(pattern, test=lambda d: True):
    return lambda d: bool(re.fullmatch(pattern, d.aspect)) and bool(test(d))


def text(d, which):
    return d.results[which].text.decode("latin-1")


def said(which, pattern):
    return lambda d: re.search(pattern, text(d, which))


def both(*tests):
    return lambda d: all(test(d) for test in tests)


def ungrammatical(d):
    """By the form of the command alone: RFC 3501 9, RFC 9051 9 and the extensions' ABNF."""
    if "trailing-word" in d.step.traits:
        return True
    return any(re.search(pattern, command(d), re.S | re.I) for pattern in UNGRAMMATICAL)


SET = r"(?:[0-9:*,$]+)"
UNGRAMMATICAL = (
    r" $", r"^\S+  ", r"  ", r"\( ", r" \)",                           # a space too many
    r"^(SELECT|EXAMINE) .* CONDSTORE$", r"^(SELECT|EXAMINE) .* \(\)$", r"\(CONDSTORE CONDSTORE\)$",
    r"^ID( |$)(?!NIL$|\((\"[^\"]*\" (\"[^\"]*\"|NIL) ?)*\)$)", r"^ENABLE( \(.*)?$", r"^ID FETCH",
    r"QRESYNC \(0 ", r"QRESYNC \(@\{VALIDITY\}\)", r"QRESYNC \(@\{VALIDITY\} 1 \*\)", r"QRESYNC @",
                 r"99999999999999999999",
    r"\[(\d+\.)*0[.\]]", r"4294967296(?!\d)", r"\.\.", r"\[\d+\.\]", r"\[\.", r"TEXT\.1", r"FIELDS \(\)", r"\[MIME\]",
    r'""\w', r" \(\)$", r"BINARY\.SIZE\[[0-9.]*\]<", r"BINARY(\.\w+)?\[[A-Z]", r"\][^ ]*<\d+\.0>", r"\]<\d+>",
                 r"KEYWORD \\",
    r"^(LSUB|LIST) \S+ \(a\)$", r'"\d\d-\w\w\w-\d{4} [0-9:]+ GMT"', r"[0-9:]:[,\d]*:", r"\]<[^ >]*$", r"3[01]-Feb",
                 r"^(LSUB|LIST) [^ ]*%\S* ", r" \\\*", r"HEADER\.LINES", r"^[A-Z]+ [^\" {]*\\\w", r"SINCE 0-", r'" \d-', r"\d{11,}",
                 r"\w\\[ )]", r"\(Sent\)\)$", r"STORE \S+ \(\)", r"PREVIEW \(FUZZY", r" 0-", r"\d,(?![\d*])",
                 r"^APPEND .*\) ?x$",
    r'THREAD \S*["(]', r"SORT .*\(REVERSE REVERSE", r"SORT .*REVERSE\)", r"SORT( RETURN \([^)]*\))? [^( ]", r"^GETQUOTA(ROOT)? \S+ \w",
    r'SORT .*\(""', r"PARTIAL (0|\d+[ )])", r"RETURN \(.*ALL.*PARTIAL", r"PARTIAL .*PARTIAL", r"^COMPRESS( [(\"].*| DEFLATE .*|)$",
    r"STORE .*(a\]b|[ (]%)", r"^CREATE .* USE$", r"^CREATE .*\t", r'"[^" ]*"\w', r'"[^"]*\\[^"\\]', r"\$:", r'\("DATE"\)',
    r"^(CAPABILITY|NOOP|CHECK|CLOSE|UNSELECT|EXPUNGE|NAMESPACE|LOGOUT|IDLE|STARTTLS)[ )(]", r"^tag NOOP ",
)


def is_created(d):
    """The mailbox, or one below it, was made with both servers, and neither renamed nor deleted since."""
    def names(pattern):
        return {name for step, ours, theirs in earlier(d, pattern) if ours.status == theirs.status == "OK" for name in names_in(step.text())}

    there = names("^CREATE ") - names("^(DELETE|RENAME) ")
    if d.aspect == "LIST row":
        return d.theirs is None and d.where in there
    return "\\haschildren" in d.ours and any(name.startswith(d.where + b"/") for name in there)


def structure_reasons(ours, theirs):
    """Why two structures differ, or None where that is not known."""
    if isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            return None
        reasons = set()
        for a, b in zip(ours, theirs):
            more = structure_reasons(a, b)
            if more is None:
                return None
            reasons |= more
        return reasons
    if ours == theirs:
        return set()
    if ours == [b"charset", b"us-ascii"] and theirs is None:
        return {"charset"}
    if isinstance(ours, Atom) and isinstance(theirs, Atom) and ours.isdigit() and theirs.isdigit():
        return {1: {"lines"}, -2: {"boundary"}}.get(int(ours) - int(theirs))
    if isinstance(ours, bytes) and isinstance(theirs, bytes):
        return {"case"} if ours.lower() == theirs.lower() else None
    return None


def structure(*reasons):
    def matches(d):
        found = d.aspect in ("FETCH BODY", "FETCH BODYSTRUCTURE") and structure_reasons(d.ours, d.theirs)
        return found and found <= set(reasons)

    return matches


def before(d):
    """What was said in the session up to this step."""
    return b"\n".join(step.text() for step in d.session.steps[:d.number]).decode("latin-1")


def earlier(d, pattern, conn=None):
    """Steps before this one that match, with both results."""
    return [(step, ours, theirs) for step, ours, theirs in d.past
            if (conn is None or step.conn == conn) and re.search(pattern, step.text().decode("latin-1"), re.S | re.I)]


ENABLING = "CONDSTORE|QRESYNC|MODSEQ|CHANGEDSINCE|UNCHANGEDSINCE"


def enabled(d):
    """Whether this connection has had a command accepted that enables CONDSTORE (RFC 7162 3.1)."""
    return any(ours.status in ("OK", "NO") or b"no message has that number" in ours.text
               for _, ours, _ in earlier(d, ENABLING, d.step.conn)) \
        or re.search(ENABLING, command(d), re.I)


def refused_with_literal(step, theirs):
    pairs = zip(step.steps, theirs.results) if step.kind == "pipeline" else [(step, theirs)]
    return any(one.status != "OK" and re.search(rb"\{\d+\+?\}", part.text()) for part, one in pairs)


def names_in(text):
    """The strings of a command: atoms, quoted, literals."""
    words = re.findall(rb'\{(\d+)\+?\}\r\n|~|"((?:[^"\\]|\\.)*)"|([^\s(){"]+)', text)
    literals = [text[m.end():m.end() + int(m.group(1))] for m in re.finditer(rb"\{(\d+)\+?\}(?:\r\n|~)", text)]
    names = {re.sub(rb"\\(.)", rb"\1", quoted) or atom for _, quoted, atom in words} | set(literals)
    return {re.sub(rb"(?i)^inbox(?=$|/)", b"INBOX", name) for name in names}


def is_a_level(d, name):
    """Whether only something below it was created, by which Dovecot makes no mailbox of it."""
    below = any(any(other.startswith(name + b"/") for other in names_in(step.text()))
                for step, ours, _ in earlier(d, "^(CREATE|RENAME)") if ours.status == "OK")
    itself = any(name in names_in(step.text()) and theirs.status == "OK" and not step.text().upper().startswith(b"RENAME")
                 for step, _, theirs in earlier(d, "^CREATE"))
    return below and not itself


def bad_in_a_row(d):
    count = 0
    for step, ours, _ in reversed(d.past):
        if step.conn != d.step.conn:
            continue
        results = ours.results if step.kind == "pipeline" else [ours]
        bad = [one.status == "BAD" for one in results]
        if step.kind == "raw" or not all(bad):
            break
        count += len(bad)
    return count


def whole_messages(d):
    """The mails that may be there, and what a partial fetch leaves of each."""
    match = re.search(r"<(\d+)\.(\d+)>", command(d))
    first, count = (int(match.group(1)), int(match.group(2))) if match else (0, None)
    for octets in mails.MAILS.values():
        yield octets[first:None if count is None else first + count]


def inner_headers():
    """The headers of messages within the mails."""
    out = b""
    for octets in mails.MAILS.values():
        for part in email.message_from_bytes(octets).walk():
            if part.get_content_type() == "message/rfc822":
                for inner in part.get_payload():
                    out += b"\n".join(f"{name}: {value}".encode("utf-8", "replace") for name, value in inner.items())
    return out.lower()


INNER_HEADERS = None


def in_inner_header(d):
    global INNER_HEADERS
    INNER_HEADERS = INNER_HEADERS or inner_headers()
    words = re.findall(r'(?:BODY|TEXT) (?:"([^"]*)"|\{\d+\+?\}\r\n(\w+)|([^ ()]+))', command(d), re.I)
    return any(word.lower().encode("latin-1") in INNER_HEADERS for groups in words for word in groups if word)


def always_there(d):
    """Whether every message has that section, so that NIL would be wrong."""
    section = re.match(r"FETCH (?:BODY|BINARY)\[([^\]]*)\]", d.aspect).group(1)
    return not re.match(r"[1-9]", section) or section == "1" and not mails_of(d, "empty-multipart", "no-boundary", "broken-mime")


def star_beyond(d):
    """A range from above the last message to `*` means the last one (RFC 9051 9, seq-range)."""
    exists = d.results[0].exists
    return exists and any(int(number) > exists for pair in re.findall(r"(\d+):\*|\*:(\d+)", command(d)) for number in pair if number)


def mails_of(d, *names):
    said = [part for step in d.session.steps[:d.number] for part in (step, *(step.steps or ()))]
    return any(f"mail:{name}" in step.traits for step in said for name in names)


def lf_only(d):
    """The same but for bare LFs that the other has turned into CRLF."""
    if isinstance(d.ours, bytes) and isinstance(d.theirs, bytes):
        return re.sub(rb"\r?\n", b"\r\n", d.ours) == d.theirs
    size = len(mails.MAILS["bare-lf"]), len(re.sub(rb"\n", b"\r\n", mails.MAILS["bare-lf"]))
    return (d.ours, d.theirs) == (str(size[0]), str(size[1]))


def squeezed(value):
    """An envelope without source routes and with single spaces."""
    if isinstance(value, list):
        if len(value) == 4 and (value[1] is None or value[1].startswith(b"@")):
            value = [value[0], None, *value[2:]]
        return [squeezed(item) for item in value]
    return re.sub(rb" +", b" ", value) if isinstance(value, bytes) else value


def differs_by(d, ours_only=(), theirs_only=()):
    """LIST attributes: what each alone has."""
    return set(d.ours) <= set(ours_only) and set(d.theirs) <= set(theirs_only)


CHILDREN = {"\\hasnochildren", "\\haschildren"}
USES = {"\\archive", "\\drafts", "\\junk", "\\sent", "\\trash"}
TRUE_ALWAYS = CHILDREN | USES | {"\\subscribed"}

RULES = [
    Rule("HIGHESTMODSEQ at each SELECT", OURS,
         "RFC 7162 3.1.2.1: told with every successful SELECT, whether or not the client has said that it knows modseqs",
         aspect("SELECT HIGHESTMODSEQ", lambda d: d.ours == "given" and d.theirs is None)),
    Rule("a SELECT refused by its grammar leaves the mailbox selected", OURS,
         "RFC 9051 2.2.1, 6.3.2: SELECT deselects when it is attempted; a syntax error attempts nothing",
         lambda d: statuses("BAD", "NO", name=("SELECT", "EXAMINE"))(d)
         or d.aspect == "SELECT CLOSED" and d.ours is None and d.results[0].status == "BAD", ends=True),
    Rule("refused by the grammar, which is looked at first", BOTH,
         "RFC 9051 2.2.1, 7.1.3: a syntax error is BAD; the other says NO for what the command would mean",
         lambda d: statuses("BAD", "NO")(d) and ungrammatical(d)),
    Rule("numbers that no message has are BAD", OURS, "RFC 9051 9 (seq-number): BAD; the other looks at the mailbox first",
         both(statuses("BAD", "NO"), said(0, "no message has that number|zero is not allowed"))),
    Rule("refused for what it means", BOTH,
         "RFC 9051 7.1.2, 7.1.3: both refuse; fwmail says by a code what stands against it, before it looks at numbers",
         both(statuses("NO", "BAD"), said(0, r"^NO (\[(READ-ONLY|NONEXISTENT|BADCHARSET|CANNOT|ALREADYEXISTS|TRYCREATE|LIMIT|TOOBIG)|"
                                              "mechanism not supported)"))),
    Rule("SETQUOTA", OURS, "RFC 9208 4.1.3: it is there with QUOTASET only, which neither offers",
         both(statuses("BAD", "NO", "^SETQUOTA"), said(0, "unknown command"))),
    Rule("COMPRESS with an algorithm that is not there", OURS, "RFC 4978 3: BAD, unknown or invalid argument",
         both(statuses("BAD", "NO", "^COMPRESS"), said(0, "no compression but DEFLATE|too many arguments"))),
    Rule("a code for each reason to refuse", BOTH, "RFC 9051 7.1: an APPEND of nothing to nowhere has two",
         aspect("code", lambda d: "empty message" in text(d, 0) and d.theirs == ("TRYCREATE", ""))),
    Rule("Dovecot dies of it", OURS, "a process of the peer's that ends", statuses("OK", "BYE", "THREAD REFERENCES "),
         ends=True, peers=("dovecot",)),
    Rule("an exchange that is none", BOTH, "RFC 9051 6.2.2: BAD for what is no answer to a challenge; Dovecot says NO",
         both(statuses("BAD", "NO", "^AUTHENTICATE"), said(0, "malformed|cancelled|base64"))),
    Rule("whether a command is known before it is allowed", BOTH, "RFC 9051 7.1.3: all of it is BAD in that state; Cyrus says NO",
         lambda d: statuses("BAD", "NO")(d) and re.search("log in first|select a mailbox first|unknown command", text(d, 0)),
         peers=("cyrus",)),
    Rule("what is no command by the grammar is refused", OURS, "RFC 9051 2.2.1, 9: a syntax error is answered with BAD",
         lambda d: statuses("BAD", "OK")(d) and ungrammatical(d)),
    Rule("ENABLE before login", OURS, "RFC 5161 3.1: only valid in the authenticated state",
         statuses("BAD", "OK", "^ENABLE")),
    Rule("hangs up after a few bad commands before login", BOTH, "RFC 9051 7.1.5: a server may say BYE at any time",
         both(statuses("BAD/NO", "BYE"), lambda d: not any(ours.status == "OK" and "LOGIN" in step.name
                                                           for step, ours, _ in earlier(d, "", d.step.conn))), ends=True),
    Rule("hangs up after three failed logins", BOTH, "RFC 9051 7.1.5, 11.6: a server may say BYE, and should slow down who guesses",
         lambda d: d.aspect == "status" and d.ours == "BYE" and sum(
             ours.status == "NO" and ours.code[0] == "AUTHENTICATIONFAILED" for _, ours, _ in earlier(
                 d, "^(LOGIN|AUTHENTICATE)", d.step.conn)) >= 3, ends=True),
    Rule("Dovecot hangs up after twenty bad commands", BOTH, "RFC 9051 7.1.5: a server may say BYE at any time",
         lambda d: d.aspect == "status" and d.theirs in ("BYE", "", "DEAD") and bad_in_a_row(d) + sum(
             one.status == "BAD" for one in d.outer[1].results) >= 15,
         ends=True, peers=("dovecot",)),
    Rule("STORE and EXPUNGE in a read-only mailbox are refused", OURS,
         "RFC 9051 6.3.3, 6.4.3: no changes are permitted; to say OK and do nothing misleads",
         lambda d: statuses("NO", "OK")(d) and "read-only" in text(d, 0) and "MOVE" not in d.step.name, ends=False),
    Rule("MOVE out of a read-only mailbox is refused", OURS, "RFC 9051 6.3.3: no changes are permitted; Dovecot moves",
         lambda d: statuses("NO", "OK")(d) and "read-only" in text(d, 0) and "MOVE" in d.step.name, ends=True),
    Rule("Dovecot reads a refused command's literal as commands", OURS,
         "RFC 7888 4: what a non-synchronising literal announces belongs to it, whether or not the command is refused",
         lambda d: (any(b" BAD " in line.value for line in d.outer[2].of("STRAY")) and not d.outer[1].of("STRAY")
                    or d.theirs in ("BYE", "")) and any(
             refused_with_literal(step, theirs) for step, _, theirs in
             [*earlier(d, "", d.step.conn)[-2:], (d.outer[0], None, d.outer[2])]),
         ends=True, peers=("dovecot",)),
    Rule("renaming INBOX", OURS, "RFC 9051 6.3.6: its messages move, INBOX and its UIDs stay; Dovecot makes a new one, or "
         "refuses", lambda d: d.aspect == "INBOX renamed" or statuses("OK", "NO",
             '^RENAME ("?INBOX|\\{5\\+?\\}\r\nINBOX)')(d), ends=True),
    Rule("lines of a part without a line end", BOTH,
         "RFC 9051 7.5.2 (body size in lines): fwmail counts a last line that has no end, others count line ends",
         structure("lines", "case")),
    Rule("the charset that is implied", BOTH,
         "RFC 2045 5.2: text without a charset is us-ascii; fwmail says so, Cyrus not always",
         structure("charset", "lines", "case"), peers=("cyrus",)),
    Rule("the line end before a boundary", OURS,
         "RFC 2046 5.1.1: it belongs to the boundary; others count it to a message that ends in a multipart of its own",
         lambda d: structure("boundary", "lines", "case", "charset")(d) or d.aspect.startswith(("FETCH BODY[", "FETCH BINARY["))
         and isinstance(d.ours, bytes)
         and isinstance(d.theirs, bytes) and d.ours.endswith(b"--") and d.theirs == d.ours + b"\r\n"
         or d.aspect.startswith("FETCH BINARY.SIZE[") and int(d.theirs or 0) == int(d.ours or 0) + 2
         and mails_of(d, "nested", "digest", "report", "rfc822")),
    Rule("spaces in a subject, and source routes", BOTH,
         "RFC 9051 7.5.2: the subject is the field's; addr-adl holds a route, which RFC 5321 C lets everybody pass over",
         aspect("FETCH ENVELOPE", lambda d: squeezed(d.ours) == squeezed(d.theirs))),
    Rule("a use that fwmail does not know", OURS, "RFC 6154 3: NO [USEATTR] for a use that is not supported; Dovecot forgets it",
         both(statuses("NO", "OK", r"^CREATE .*\(USE"), said(0, "USEATTR")), ends=True, peers=("dovecot",)),
    Rule("mailboxes with a use stay", OURS, "RFC 9051 6.3.5: a server may refuse; every account of fwmail keeps them",
         both(statuses("NO", "OK", "^DELETE"), said(0, "special use")), ends=True),
    Rule("tags of more than 256 octets", BOTH, "RFC 9051 4: a server may bound what it takes", 
         aspect("stray", lambda d: command(d).startswith("a" * 257))),
    Rule("a tab is no space", OURS, "RFC 9051 9: SP", aspect("stray", lambda d: "\t" in command(d) and not d.theirs)),
    Rule("case of media types", BOTH, "RFC 2045 5.1: they are the same in any case; fwmail tells them in small letters",
         structure("case")),
    Rule("uses are a name's with Dovecot", BOTH,
         "RFC 6154 2: how uses are given is the server's; fwmail's move with RENAME",
         aspect("(LIST|LSUB) attributes", lambda d: differs_by(d, USES | CHILDREN, USES | {"\\marked", "\\unmarked"})
                and (set(d.ours) | set(d.theirs)) & USES and earlier(d, "^RENAME")), peers=("dovecot",)),
    Rule("levels above a new mailbox", BOTH,
         "RFC 9051 6.3.4: a server SHOULD create them: fwmail makes mailboxes of them, Dovecot only names",
         lambda d: d.aspect.endswith("attributes") and set(d.theirs) <= {"\\noselect", "\\marked", "\\unmarked"} | USES
         and "\\noselect" in d.theirs
         and set(d.ours) <= TRUE_ALWAYS
         or d.aspect in ("STATUS row", "LIST row") and d.theirs is None and is_a_level(d, d.where)
         or statuses("OK", "NO", "^(STATUS|SELECT|EXAMINE|DELETE|RENAME|GETQUOTAROOT|APPEND|(UID )?(COPY|MOVE)) ")(d)
         and any(is_a_level(d, name) for name in names_in(d.command)) or statuses("NO", "OK", "^(CREATE|RENAME) ")(d) and "exists already" in text(d, 0)
         and any(is_a_level(d, name) for name in names_in(d.command))),
    Rule("Dovecot 2.3 has no OBJECTID and no STATUS DELETED", BOTH,
         "RFC 8474, RFC 9051 6.3.11: advertised by fwmail only",
         statuses("OK/NO", "BAD", r"EMAILID|THREADID|MAILBOXID|\(DELETED|APPENDLIMIT"), peers=("dovecot",)),
    Rule("Cyrus 3.6 has no PARTIAL and no STATUS DELETED", BOTH, "RFC 9394, RFC 9051 6.3.11: advertised by fwmail only",
         both(statuses("OK/NO", "BAD"), said(1, "(?i)return option partial|status attributes deleted")), peers=("cyrus",), ends=False),
    Rule("Cyrus here has no SCRAM", BOTH, "RFC 5802: saslauthd, which it asks for passwords, knows PLAIN and LOGIN only",
         both(statuses("OK", "NO"), said(1, "no mechanism available")), ends=True, peers=("cyrus",)),
    Rule("Cyrus here has no quota", BOTH, "RFC 9208 4.1.2: a mailbox may have no quota root", aspect("QUOTA", lambda d: not any(d.theirs)),
         peers=("cyrus",)),
    Rule("a charset as a literal", BOTH, "RFC 5256 5: charset is an atom or quoted; fwmail takes any string, as SEARCH does",
         both(statuses("OK", "BAD", r"(SORT|THREAD) .*\{\d+\+?\}"), said(1, "Missing charset")), peers=("cyrus",)),
    Rule("a year of two digits", OURS, "RFC 9051 9: date-year = 4DIGIT", both(statuses("BAD", "OK", r"-\d\d( |\)|$)"), said(0, "invalid date")),
         peers=("cyrus",)),
    Rule("the code of a second COMPRESS", OURS, "RFC 4978 3: NO [COMPRESSIONACTIVE]; Cyrus says BAD", statuses("NO", "BAD", "^COMPRESS DEFLATE"),
         peers=("cyrus",)),
    Rule("RENAME of a mailbox with a use", BOTH, "RFC 6154 says nothing of it; with Cyrus the use would be another's",
         both(statuses("OK", "NO", "^RENAME"), said(1, "SPECIAL-USE flag conflict")), ends=True, peers=("cyrus",)),
    Rule("TRYCREATE for what cannot be created", BOTH, "RFC 9051 7.1: a hint", aspect("code", lambda d: d.ours and d.ours[0] == "TRYCREATE"
        and d.theirs is None), peers=("cyrus",)),
    Rule("GETQUOTAROOT of what is not there with Cyrus", BOTH, "RFC 9208 4.1.2: the mailbox need not exist; Cyrus wants it to",
         both(statuses("OK", "NO", "^GETQUOTAROOT"), said(1, "Mailbox does not exist")), peers=("cyrus",)),
    Rule("RENAME and subscriptions", BOTH, "RFC 9051 6.3.6 says nothing of them: fwmail leaves the old name subscribed, Cyrus the new one",
         aspect("LSUB row", lambda d: d.theirs is None and "\\noselect" in d.ours[0] and "RENAME" in before(d).upper()), peers=("cyrus",)),
    Rule("dates before 1970", BOTH, "RFC 9051 9: a date of any year; Cyrus cannot keep it",
         both(statuses("OK", "BAD", '^APPEND .*-19[0-6][0-9] '), said(1, "Invalid date-time")), ends=True, peers=("cyrus",)),
    Rule("SEARCH in a header of plain UTF-8", OURS, "RFC 6532 3.2, RFC 9051 6.4.4: it is text like any other; Cyrus finds encoded words only",
         aspect("SEARCH", lambda d: set(d.theirs[0][0]) < set(d.ours[0][0]) and re.search(r"[\x80-\xff]", command(d))
                and mails_of(d, "utf8-header", "eight-bit")), peers=("cyrus",)),
    Rule("a mailbox that Dovecot does not list", OURS, "RFC 9051 6.3.9: CREATE was answered OK by both, and STATUS knows it",
         aspect("LIST (row|attributes)", is_created), peers=("dovecot",)),
    Rule("EXPUNGE of what the same pipeline has appended", BOTH,
         "RFC 9051 6.4.3, 5.5: fwmail has told of it and expunges it; Dovecot has not looked at the mailbox since",
         aspect("view.*|STATUS .*|FETCH row", lambda d: any(
             step.kind == "pipeline" and re.search(rb"APPEND [^\r]*\\Deleted.*EXPUNGE", step.text(), re.S | re.I)
             for step, _, _ in d.past)), ends=True, peers=("dovecot",)),
    Rule("+ in a tag", OURS, "RFC 9051 9: a tag has no '+'", aspect("stray", lambda d: command(d).split(" ")[0].find("+") >= 0 and not d.ours),
         peers=("cyrus",)),
    Rule("names that a file system would not like", BOTH,
         "RFC 9051 5.1: a server may restrict names; fwmail keeps them in a database and refuses other ones: wildcards, which "
         "no LIST could name, and empty levels",
         lambda d: statuses("NO", "OK", "^(CREATE|RENAME) ")(d) and re.search("wildcard|empty level|control|INBOX|begin|too long|level|"
                                                                            "UTF-7", text(d, 0))
         or statuses("OK", "NO", "^(CREATE|RENAME) ")(d) and re.search(
             r"Contains '\.\.' part|Begins with|Ends with hierarchy|Mailbox name too long|Invalid mailbox name", text(d, 1))),
    Rule("TRYCREATE for a name that cannot be made", BOTH, "RFC 9051 7.1: TRYCREATE is a hint only",
         aspect("code", lambda d: None in (d.ours, d.theirs) and ("TRYCREATE", "") in (d.ours, d.theirs) and (re.search(
             "(?i)invalid mailbox name|begins with|character", text(d, 1))
             or "TRYCREATE" in str((d.ours, d.theirs))
                 and re.search(r'^(APPEND|\\S*COPY|\\S*MOVE|UID \\S+ \\S+) "?[^ ]*[\\\\&"]', command(d))))),
    Rule("APPEND with a list of flags without parentheses", OURS,
         "RFC 9051 9: flag-list is parenthesised; Dovecot then waits for a literal that nobody sends",
         statuses("BAD", "TIMEOUT", "^APPEND"), ends=True, peers=("dovecot",)),
    Rule("\\Recent is passed over", BOTH, "RFC 9051 2.3.2: it cannot be set; clients copy it from FETCH all the same",
         statuses("OK", "BAD", r"^(APPEND|STORE|UID STORE) .*\\Recent"), ends=True),
    Rule("MODSEQ beside FLAGS", OURS, "RFC 7162 3.2: under CONDSTORE each change of flags is told with its modseq",
         aspect("FETCH MODSEQ missing", lambda d: d.ours and enabled(d) and "FLAGS" in str(d.results[0].of("FETCH")))),
    Rule("STATUS (HIGHESTMODSEQ) enables CONDSTORE", OURS, "RFC 7162 3.1: it is a CONDSTORE enabling command; not to Cyrus",
         aspect("FETCH MODSEQ missing", lambda d: d.ours and enabled(d) and ".SILENT" in command(d).upper()), peers=("cyrus",)),
    Rule("a command refused by its grammar enables nothing", OURS,
         "RFC 7162 3.1: a CONDSTORE enabling command is one by its grammar; Dovecot counts modseqs from what it then refuses",
         lambda d: (d.aspect == "FETCH MODSEQ missing" and d.theirs or d.aspect == "FETCH UID missing" and d.theirs
                    or d.aspect == "FETCH row" and d.ours is None and set(d.theirs) <= {"MODSEQ", "UID"})
         and not any(ours.status == "OK" for _, ours, _ in earlier(d, ENABLING, d.step.conn))
         and any(ours.status == "BAD" for _, ours, _ in earlier(d, ENABLING, d.step.conn)), peers=("dovecot",)),
    Rule("bare LF stays bare", OURS, "RFC 9051 6.3.12 stores the message as it came; Dovecot turns LF into CRLF when it is read",
         both(aspect("FETCH (BODY|BINARY|RFC822).*"), lf_only)),
    Rule("what is neither header nor body", BOTH, "RFC 5322 2.1: a mail of one octet has no form",
         lambda d: d.aspect.startswith("FETCH B") and all(value in (b"x", b"", b"\r\n") for value in (d.ours, d.theirs))),
    Rule("header of a message within", OURS,
         "RFC 9051 6.4.4: BODY is all behind the header, the header of a message in it too; Dovecot passes over some",
         aspect("E?SEARCH|SORT|THREAD", lambda d: in_inner_header(d) and mails_of(d, "rfc822", "nested", "digest", "report"))),
    Rule("PARTIAL told as it was asked for", OURS, "RFC 9394 3.1: the original range; Dovecot tells 3:1 as 1:3",
         aspect("ESEARCH", lambda d: str(d.ours).replace("'PARTIAL': [3:1,", "'PARTIAL': [1:3,") == str(d.theirs))),
    Rule("what a pipeline has appended", BOTH, "RFC 9051 5.5, 6.3.12: the client does not know yet that the message is there",
         both(statuses("OK", "BAD", "^(FETCH|STORE|COPY|SEARCH|MOVE)"), lambda d: re.search(b"(?i)APPEND|COPY", d.outer[0].text())
              and d.outer[0].kind == "pipeline", said(1, "Invalid messageset"))),
    Rule("COPY of what the same pipeline has appended", BOTH, "RFC 9051 5.5: likewise; fwmail has told of it",
         both(aspect("code", lambda d: d.ours and d.ours[0] == "COPYUID" and d.theirs is None and d.outer[0].kind == "pipeline"
                     and b"APPEND" in d.outer[0].text().upper()), said(1, "No messages found")), ends=True, peers=("dovecot",)),
    Rule("a sort key that comes twice", OURS, "RFC 5256 3: it tells nothing more apart; Dovecot reverses what follows",
         aspect("SORT|ESEARCH", lambda d: re.search(r"SORT .*\(.*\b(ARRIVAL|CC|DATE|FROM|SIZE|SUBJECT|TO|DISPLAYFROM|DISPLAYTO)"
                                                    r"\b.*\b\1\b.*\)", command(d), re.I)), peers=("dovecot",)),
    Rule("from above the last to *", OURS, "RFC 9051 9 (seq-range): the last message is in it; Dovecot finds nothing",
         aspect("E?SEARCH|SORT|THREAD", star_beyond), peers=("dovecot",)),
    Rule("GETQUOTAROOT of what cannot be a name", BOTH, "RFC 9208 4.1.2: it need not exist; a name that cannot be is refused",
         lambda d: statuses("OK/NO/BAD", "OK/NO/BAD", "^GETQUOTAROOT")(d) and re.search("(?i)invalid mailbox name|begins with|"
                                                                                       "wildcard|not valid|UTF-7|empty level|level",
                                                                                       text(d, 0) + text(d, 1))),
    Rule("COPY of nothing to a name that cannot be", BOTH, "RFC 9051 6.4.7: an error, or nothing to do",
         both(statuses("NO", "OK", "^UID (COPY|MOVE)"), said(1, "No messages found")), ends=False),
    Rule("PREVIEW (LAZY)", BOTH, "RFC 8970 3.1: NIL when it is not at hand", aspect("FETCH PREVIEW",
        lambda d: "LAZY" in command(d)
                                                                                  and d.theirs is None)),
    Rule("BINARY of the whole message", BOTH,
         "RFC 3516 4.2: the message as a whole has no encoding; Dovecot decodes the parts in it",
         aspect(r"FETCH BINARY(\.SIZE)?\[\].*", lambda d: d.ours in whole_messages(d)
                or str(d.ours) in {str(len(octets)) for octets in mails.MAILS.values()}),
         peers=("dovecot",)),
    Rule("ESEARCH for SAVE alone", BOTH, "RFC 5182 2.1: no answer but OK; Dovecot sends an empty one when modseqs are asked for",
         aspect("ESEARCH", lambda d: "SAVE" in command(d) and not d.ours and len(d.theirs) == 1
                and not set(d.theirs[0]) - {"TAG", "UID", "MODSEQ"}),
         peers=("dovecot",)),
    Rule("hangs up after many bad commands", BOTH, "RFC 9051 7.1.5: a server may say BYE at any time",
         lambda d: statuses("BYE", "BAD/OK/NO")(d) and bad_in_a_row(d) >= 15, ends=True),
    Rule("what a preview shows", BOTH, "RFC 8970 3.2: how it is made is the server's",
         aspect("FETCH PREVIEW", lambda d: isinstance(d.ours, bytes) and isinstance(d.theirs, bytes)
                and len(d.ours.decode("utf-8")) <= 256)),
    Rule("a leap second", BOTH, "RFC 9051 9 (time): two digits", aspect("FETCH INTERNALDATE",
        lambda d: d.ours == d.theirs + 1
                                                                       and ":60 " in before(d))),
    Rule("mail without a Date", BOTH, "RFC 9051 6.4.4: SENTBEFORE and its like look at a field that is not there",
         aspect("E?SEARCH", lambda d: "SENT" in command(d).upper() and mails_of(d, "utf8-header", "eight-bit",
             "odd-fields", "no-header",
                                                                                "one-octet", "only-crlf"))),
    Rule("LIST with a reference and no pattern", OURS,
         "RFC 9051 6.3.9.1: the root of a name that is not rooted is the empty string",
         aspect("LIST row|STATUS row", lambda d: re.search(r'^\w+ (\([^)]*\) )?\S+ (""|\("" [^)]*\))( RETURN|$)', command(d), re.I))),
    Rule("a reference with a wildcard", BOTH, "RFC 9051 6.3.9, 5.1: how INBOX's letters count where a wildcard stands before them is not said",
         aspect("(LIST|LSUB) row", lambda d: d.where.startswith(b"INBOX/") and re.search('^(LIST|LSUB).*"%"', command(d)))),
    Rule("a pattern that begins with the delimiter", BOTH,
         "RFC 9051 6.3.9: what becomes of reference and pattern is the server's; fwmail joins them, to Dovecot that pattern is rooted",
         aspect("(LIST|LSUB|STATUS) row", lambda d: re.search(r'^(LIST|LSUB) (\([^)]*\) )?(?!"" )\S+ "?/', command(d), re.I)), peers=("dovecot",)),
    Rule("modseq of what is only counted", OURS, "RFC 4731 3.2: with COUNT the highest modseq of all that was found",
         aspect("ESEARCH", lambda d: d.ours and d.theirs and "COUNT" in d.ours[0]
                and {k: v for k, v in d.ours[0].items() if k != "MODSEQ"} == d.theirs[0]), peers=("dovecot",)),
    Rule("QRESYNC wants ENABLE first", OURS, "RFC 7162 3.2.5: BAD without it; Dovecot takes it beside CONDSTORE",
         both(statuses("BAD", "OK", "^(SELECT|EXAMINE)"), said(0, "ENABLE QRESYNC first")), ends=True, peers=("dovecot",)),
    Rule("BINARY of a multipart that has no boundary", BOTH, "RFC 2046 5.1.1: it has no parts; fwmail serves its text as part 1",
         aspect(r"FETCH BINARY(\.SIZE)?\[1\].*", lambda d: d.theirs in (b"", "0") and mails_of(d, "no-boundary", "empty-multipart")),
         peers=("dovecot",)),
    Rule("LSUB of a name without a mailbox", BOTH,
         "RFC 3501 6.3.9: it is listed; fwmail says \\Noselect, Dovecot the use that is configured for the name",
         aspect("LSUB attributes", lambda d: "\\noselect" in d.ours and "\\noselect" not in d.theirs
                and any(earlier(d, "^(RENAME|DELETE)")))),
    Rule("part that is not there: NIL or nothing", BOTH,
         "RFC 3501 6.4.5 does not say; msg-att-static allows nstring. NIL cannot be mistaken for an empty part",
         aspect(r"FETCH (BODY|BINARY)\[.*", lambda d: d.ours is None and d.theirs == b"" and not always_there(d))),
    Rule("LIST tells more that is true", BOTH,
         "RFC 9051 7.3.1, RFC 5258 3.2: attributes may be told that were not asked for; fwmail always tells children and "
         "uses, Dovecot whether mail came (\\Marked), which may be left out where a server does not look",
         aspect("(LIST|LSUB) attributes", lambda d: differs_by(d, TRUE_ALWAYS - {"\\subscribed"}, {"\\marked",
             "\\unmarked"}))),
    Rule("LSUB of an empty pattern", BOTH, "RFC 3501 6.3.9 says nothing of it; LIST's answer (6.3.8) does no harm",
         aspect("LSUB row", lambda d: re.search(r'^LSUB \S+ ""$', command(d), re.I))),
    Rule("* in an empty mailbox", BOTH,
         "RFC 9051 9 (seq-number): a server 'should' answer BAD; nothing is asked about, and OK spares clients the error",
         lambda d: statuses("OK", "NO/BAD", r"(^| |:|,)\*")(d) and "No such messages" in text(d, 0)
         and re.search("(?i)invalid messageset|no matching messages", text(d, 1)), ends=False),
    Rule("numbers that no message has", OURS,
         "RFC 9051 9 (seq-number): a server should answer BAD; Cyrus passes over them, or says NO",
         both(statuses("BAD", "OK"), said(0, "no message has that number|zero is not allowed")), peers=("cyrus",)),
    Rule("Cyrus 3.6 has no SEARCHRES", BOTH, "RFC 5182: advertised by fwmail only", statuses(
        "OK", "BAD", r"SAVE|\$"), peers=("cyrus",), ends=False),
    Rule("Cyrus dies of it", OURS, "a process of the peer's that ends", statuses("OK/NO/BAD", "BYE"), ends=True,
         peers=("cyrus",)),
    Rule("an empty list in ID", OURS, "RFC 2971 4: id-params-list may be empty", statuses("OK", "BAD", r"^ID \(\)"),
         peers=("cyrus",), ends=False),
    Rule("modseq of a SEARCH that found nothing", OURS, "RFC 7162 3.1.5: told only with a result that is not empty",
         aspect("SEARCH", lambda d: d.ours and not d.ours[0][0] and d.theirs == [([], True)]), peers=("cyrus",)),
    Rule("what Cyrus says without a tag", BOTH, "RFC 9051 7: lines of no meaning", aspect("stray",
        lambda d: set(d.theirs) <= {b""} or
         not d.theirs and command(d) == "DONE"), peers=("cyrus",)),
    Rule("other namespaces", BOTH, "RFC 2342: Cyrus has other users and shared folders", aspect("NAMESPACE"),
         peers=("cyrus",)),
    Rule("INBOX and what lies below it with Cyrus", BOTH,
         "RFC 9051 5.1: with altnamespace INBOX has no children, and LSUB knows it "
         "in capitals only", aspect("(LIST|LSUB) (row|attributes)|STATUS row", lambda d: d.where == b"INBOX" and command(d)[:1].upper() == "L"), peers=("cyrus",)),
    Rule("SEARCH for octets that are no text", BOTH,
         "RFC 9051 6.4.4: not valid in the charset that was named; Cyrus finds nothing",
         statuses("BAD", "OK", r"\xff|\xe9"), ends=False),
    Rule("DELETE of a mailbox that has others below", OURS,
         "RFC 9051 6.3.5: it stays as a name; Cyrus refuses (HASCHILDREN)",
         both(statuses("OK", "NO", "^DELETE"), said(1, "HASCHILDREN")), ends=True, peers=("cyrus",)),
    Rule("Cyrus wants a header", BOTH, "RFC 9051 6.3.12: a server may refuse; fwmail keeps what it is given",
         both(statuses("OK", "NO", "^APPEND"), said(1, "invalid header|NUL|bare")), ends=True, peers=("cyrus",)),
    Rule("a delimiter at the end of a name", BOTH, "RFC 9051 6.3.4 speaks of CREATE only; Cyrus drops it everywhere",
         statuses("NO", "OK", r'^\S+ "?[^" ]*/"?( |$)|(COPY|MOVE) .*/"?$'), ends=True, peers=("cyrus",)),
    Rule("COPY of nothing to a mailbox that is not there", BOTH, "RFC 9051 6.4.7: an error, or nothing to do",
         both(statuses("OK", "NO", "^(UID )?(COPY|MOVE)"), said(0, "No such messages")), ends=False, peers=("cyrus",)),
    Rule("levels that Cyrus does not tell", BOTH,
         "RFC 9051 7.3.1: fwmail tells \\Noselect of a level that is no mailbox, Cyrus \\NonExistent or nothing",
         aspect("(LIST|LSUB) attributes", lambda d: set(d.ours) <= {"\\noselect"} | TRUE_ALWAYS
                and set(d.theirs) <= {"\\nonexistent"}),
         peers=("cyrus",)),
    Rule("multipart without parts", BOTH,
         "RFC 2046 5.1.1 wants one part at least: fwmail tells an empty one, Cyrus makes a text of it",
         aspect("FETCH BODY(STRUCTURE)?", lambda d: mails_of(d, "empty-multipart", "no-boundary")), peers=("cyrus",)),
    Rule("multipart without a boundary", BOTH, "RFC 2046 5.1.1 wants one: to fwmail it is a text, to Dovecot a multipart with an empty part",
         aspect("FETCH BODY(STRUCTURE)?", lambda d: d.ours[0] == b"text" and d.theirs[1] == b"mixed" and mails_of(
             d, "no-boundary", "empty-multipart")),
         peers=("dovecot",)),
    Rule("header fields of a part that is no message", OURS,
         "RFC 9051 6.4.5.1: HEADER of a part is for message/rfc822 only",
         aspect(r"FETCH BODY\[[0-9.]+HEADER.*", lambda d: d.ours is None), peers=("cyrus",)),
    Rule("preview that is not made yet", BOTH, "RFC 8970 3.1: NIL when it is not at hand", aspect("FETCH PREVIEW",
        lambda d: d.theirs is None),
         peers=("cyrus",)),
    Rule("field names with a space", BOTH, "RFC 9051 9: header-fld-name is an astring; RFC 5322 has no such name",
         statuses("OK", "BAD", r'FIELDS(\.NOT)? \("a b"|X:Y'), peers=("cyrus",)),
    Rule("CHARSET of no name", BOTH, "RFC 9051 6.4.4: fwmail and Dovecot take it for none", statuses("OK", "BAD",
        r'CHARSET ""|(SORT|THREAD) .*[)S] "" '), peers=("cyrus",)),
    Rule("Cyrus keeps the message of an APPEND that it refuses", OURS, "RFC 9051 6.3.12: nothing is appended then",
         aspect("SELECT .*|view.*|STATUS .*", lambda d: "a]b" in before(d)), ends=True, peers=("cyrus",)),
    Rule("FLAGS told though SILENT", BOTH, "RFC 9051 6.4.6: SILENT asks not to be told, a server may tell all the same",
         aspect("FETCH (FLAGS|UID) missing|FETCH row", lambda d: ".SILENT" in command(d).upper()), peers=("cyrus",)),
    Rule("a part of a part that has none", OURS,
         "RFC 3501 6.4.5: 2.1 is the first part of the multipart or message 2; where 2 is a text there is none",
         aspect(r"FETCH (BODY|BINARY|BINARY\.SIZE)\[[0-9.]+\.1\b.*", lambda d: d.ours in (None, Atom("0")))),
    Rule("UID in untagged FETCH", BOTH, "RFC 9051 6.4.8, 7.5.2: the server may add it to what it says unasked",
         aspect("FETCH UID missing", lambda d: d.ours and "FETCH" not in d.step.name)),
    Rule("keywords that no message has any more", BOTH,
         "RFC 9051 7.3.5: FLAGS are those applicable to the mailbox; Dovecot keeps what was used once, fwmail what is used",
         aspect("SELECT (FLAGS|PERMANENTFLAGS)", lambda d: d.ours <= d.theirs
                and not any("\\" in f for f in d.theirs - d.ours))),
    Rule("BODY[1]<0.1> (CHANGEDSINCE 1) without a list", OURS,
         "RFC 3501 9, RFC 7162 7: fetch-att may stand alone; Dovecot "
         "reads the modifiers as part of the section", both(statuses("OK", "BAD"), said(1, "Missing '\\]'"))),
    Rule("how long a keyword may be", BOTH, "RFC 9051 2.3.2 sets no limit; ours is 100 octets, Dovecot's 50",
         both(statuses("OK", "NO"), said(1, "Keyword length too long"))),
    Rule("UNSUBSCRIBE what is not subscribed", BOTH, "RFC 9051 6.3.8: NO when that name cannot be unsubscribed",
         statuses("NO", "OK", "^UNSUBSCRIBE"), ends=False),
    Rule("] in a tag", OURS, "RFC 9051 9: tag is ASTRING-CHARs without '+', and ']' is one of them",
         aspect("stray", lambda d: command(d).startswith("t]g") and not d.theirs)),
    Rule("NOOP with arguments", OURS, "RFC 9051 9: command-any = ... / \"NOOP\" / ...; what follows is a syntax error",
         aspect("stray", lambda d: command(d).startswith("tag NOOP"))),
    Rule("ENABLED names what is new, once", OURS, "RFC 5161 3.2: what has been enabled by this command",
         aspect("ENABLED", lambda d: not d.ours[0] and not d.theirs or set(d.ours[0]) <= set(d.theirs[0]) and d.ours[0]
                or not d.ours[0] and re.search("CONDSTORE|QRESYNC|MODSEQ|SINCE", before(d), re.I))),
    Rule("STORE that changes nothing is answered all the same", OURS,
         "RFC 9051 6.4.6: the new value is returned for each message; RFC 7162 3.1.3: with its modseq",
         aspect("FETCH row", lambda d: "STORE" in d.step.name and d.theirs is None
                and (".SILENT" not in command(d).upper() or enabled(d) and set(d.ours) <= {"MODSEQ", "UID"}))),
]


def explain(difference, peer):
    for rule in RULES:
        if peer in rule.peers and rule.matches(difference):
            return rule
    return None
