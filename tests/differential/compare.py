"""What two servers said to one step, brought to one form and held against each other.

Left out: texts, values of UIDVALIDITY, MODSEQ, MAILBOXID and SAVEDATE, what is told of \\Recent, order where it is free,
and when news are told: what a client then knows is compared after NOOP instead.
"""

import re
from datetime import datetime

import parse

READING = ("NOOP", "CHECK", "SORT", "UID SORT", "THREAD", "UID THREAD", "GETQUOTA", "GETQUOTAROOT", "SETQUOTA", "CAPABILITY", "ID", "NAMESPACE", "LIST", "LSUB", "STATUS", "SEARCH", "UID SEARCH",
           "ENABLE", "IDLE",
           "UID", "nothing", "garbage", "FETCH", "UID FETCH")
NO_VALUE = ("MODSEQ", "SAVEDATE", "EMAILID", "THREADID")


class Difference:
    def __init__(self, aspect, ours, theirs, step, rivals):
        self.aspect, self.ours, self.theirs, self.step, self.rivals = aspect, ours, theirs, step, rivals
        self.command = step.text()

    def __repr__(self):
        return f"{self.aspect}: ours {short(self.ours)}, theirs {short(self.theirs)}"


def short(value):
    text = repr(value)
    return text if len(text) < 700 else text[:500] + "..." + text[-150:]


def flag_set(flags):
    return frozenset(str(flag).lower() for flag in flags) - {"\\recent"}


def item_value(name, value):
    if name == "FLAGS":
        return flag_set(value or [])
    if name == "INTERNALDATE":
        try:
            return datetime.strptime(value.decode().strip(), "%d-%b-%Y %H:%M:%S %z").timestamp()
        except ValueError:
            return value
    if name in NO_VALUE:
        return "given"
    return value


def fetches(result):
    """{number: {item: value}}; several answers about one message are one."""
    rows = {}
    for response in result.of("FETCH"):
        row = rows.setdefault(response.number, {})
        row.update({name: item_value(name, value) for name, value in response.value.items()})
    return rows


def expunged(result):
    """The numbers that went, as they were before the first went; or how many UIDs vanished."""
    gone = []
    for response in result.of("EXPUNGE"):
        number = response.number
        for other in sorted(gone):
            if other <= number:
                number += 1
        gone.append(number)
    return sorted(gone), sorted(uid for response in result.of("VANISHED") for uid in response.value)


def code_value(code):
    name, text = code
    if name in ("APPENDUID", "COPYUID"):
        # The order of a COPYUID's pairs is free.
        sets = [parse.numbers(part) for part in text.split(" ")[1:]]
        return name, sorted(zip(*sets))
    if name in ("MODIFIED",):
        return name, sorted(parse.numbers(text)) if text else []
    if name == "BADCHARSET":
        return name, ""
    return name, text


INBOX_RENAMED = re.compile(rb'(?i)RENAME ("?INBOX"?|\{5\+?\}\r\nINBOX) ')
KEPT_CODES = ("APPENDUID", "COPYUID", "MODIFIED", "READ-ONLY", "READ-WRITE", "TRYCREATE", "BADCHARSET")


def compare_codes(ours, theirs, add):
    if ours.status != "OK" and {ours.code[0], theirs.code[0]} & {"READ-ONLY", "READ-WRITE"}:
        return
    mine, other = code_value(ours.code), code_value(theirs.code)
    if mine != other and (mine[0] in KEPT_CODES or other[0] in KEPT_CODES):
        add("code", mine if mine[0] in KEPT_CODES else None, other if other[0] in KEPT_CODES else None)


def compare_fetches(ours, theirs, step, add):
    mine, other = fetches(ours), fetches(theirs)
    asked = "FETCH" in step.name
    for number in sorted(set(mine) | set(other)):
        if number not in mine or number not in other:
            # What others have done may be told now or later.
            if asked or "STORE" in step.name:
                add("FETCH row", mine.get(number), other.get(number), number)
            continue
        for item in sorted(set(mine[number]) | set(other[number])):
            there = item in mine[number], item in other[number]
            if not all(there):
                add(f"FETCH {item} missing", *there, number)
            elif mine[number][item] != other[number][item]:
                add(f"FETCH {item}", mine[number][item], other[number][item], number)


def listed(response):
    name, attributes, delimiter, more = response.value
    return name, (frozenset(attributes), bytes(delimiter or b""), tuple(str(item) for item in more))


def compare_lists(ours, theirs, add):
    for kind in ("LIST", "LSUB"):
        mine, other = (dict(listed(response) for response in result.of(kind)) for result in (ours, theirs))
        for name in sorted(set(mine) | set(other)):
            if mine.get(name) == other.get(name):
                continue
            if name not in mine or name not in other:
                add(f"{kind} row", mine.get(name), other.get(name), name)
                continue
            for what, a, b in zip(("attributes", "delimiter", "extension"), mine[name], other[name]):
                if a != b:
                    only = [sorted(x - y) for x, y in ((a, b), (b, a))] if what == "attributes" else [a, b]
                    add(f"{kind} {what}", *only, name)


def status_rows(result):
    return {re.sub(rb"(?i)^inbox$", b"INBOX", name): items for name,
            items in (response.value for response in result.of("STATUS"))}


def compare_status(ours, theirs, add):
    mine, other = status_rows(ours), status_rows(theirs)
    for name in sorted(set(mine) | set(other)):
        if name not in mine or name not in other:
            add("STATUS row", mine.get(name), other.get(name), name)
            continue
        for item in sorted(set(mine[name]) | set(other[name])):
            a, b = mine[name].get(item), other[name].get(item)
            if item in ("UIDVALIDITY", "HIGHESTMODSEQ", "RECENT", "MAILBOXID"):
                a, b = (None if value is None else "given" for value in (a, b))
            if a != b:
                add(f"STATUS {item}", a, b, name)


def compare_searches(ours, theirs, add):
    mine, other = ([(sorted(found), modseq) for found, modseq in (response.value for response in result.of("SEARCH"))]
                   for result in (ours, theirs))
    if mine != other:
        add("SEARCH", mine, other)
    mine, other = ([{key: "given" if key in ("MODSEQ", "TAG") else value for key, value in response.value.items()}
                    for response in result.of("ESEARCH")] for result in (ours, theirs))
    if mine != other:
        add("ESEARCH", mine, other)


def select_facts(result):
    facts = {}
    for response in result.responses:
        if response.kind == "EXISTS":
            facts["EXISTS"] = response.number
        elif response.kind == "FLAGS":
            facts["FLAGS"] = frozenset(str(flag).lower() for flag in response.value[0])
        elif response.kind == "OK":
            code, text = response.value
            if code == "PERMANENTFLAGS":
                text = frozenset(text.strip("()").lower().split())
            if code in ("HIGHESTMODSEQ", "UIDVALIDITY"):
                text = "given"
            if code and code not in ("MAILBOXID", "ANNOTATIONS", "URLMECH"):
                facts[code] = text
    return facts


def compare_select(ours, theirs, add):
    mine, other = select_facts(ours), select_facts(theirs)
    for fact in sorted(set(mine) | set(other)):
        if mine.get(fact) != other.get(fact):
            add(f"SELECT {fact}", mine.get(fact), other.get(fact))


def compare_one(step, ours, theirs, rivals):
    """Differences of one step; `rivals`: the pair of servers' names."""
    out = []

    def add(aspect, mine, other, where=None):
        difference = Difference(aspect, mine, other, step, rivals)
        difference.where = where
        difference.results = (ours, theirs)
        out.append(difference)

    for result, name in ((ours, "ours"), (theirs, "theirs")):
        for response in result.of("MALFORMED"):
            add(f"malformed, {name}", response.value, None)
    if ours.status != theirs.status:
        add("status", ours.status, theirs.status)
        return out
    if step.kind == "pipeline":
        # Which untagged answer belongs to which command is not told.
        for one, mine, other in zip(step.steps, ours.results, theirs.results):
            out += compare_one(one, mine, other, rivals)
        return out
    if step.kind not in ("command", "raw", "done", "scram"):
        return out
    if step.name == "RENAME" and ours.status == "OK" and INBOX_RENAMED.match(step.text()):
        add("INBOX renamed", None, None)
    stray = [[response.value for response in result.of("STRAY")] for result in (ours, theirs)]
    heads = [[line.split(b" ")[:2] for line in lines] for lines in stray]
    if heads[0] != heads[1]:
        add("stray", *stray)
    compare_codes(ours, theirs, add)
    compare_fetches(ours, theirs, step, add)
    compare_lists(ours, theirs, add)
    compare_status(ours, theirs, add)
    compare_searches(ours, theirs, add)
    if step.name in ("SELECT", "EXAMINE"):
        compare_select(ours, theirs, add)
    if step.name in ("EXPUNGE", "UID EXPUNGE", "MOVE", "UID MOVE") and expunged(ours) != expunged(theirs):
        add("expunged", expunged(ours), expunged(theirs))
    earlier = [sorted(uid for response in result.of("VANISHED EARLIER") for uid in response.value) for result in (ours,
        theirs)]
    if earlier[0] != earlier[1]:
        add("VANISHED EARLIER", *earlier)
    quotas = [[{name: (None if name == "STORAGE" else usage, limit) for name, (usage, limit) in response.value[1].items()}
               for response in result.of("QUOTA")] for result in (ours, theirs)]
    if quotas[0] != quotas[1]:
        add("QUOTA", *quotas)
    roots = [[(response.value[0].upper(), len(response.value) - 1) for response in result.of("QUOTAROOT")] for result in (ours, theirs)]
    if roots[0] != roots[1]:
        add("QUOTAROOT", *roots)
    for kind in ("ENABLED", "NAMESPACE", "SORT", "THREAD"):
        mine, other = ([response.value for response in result.of(kind)] for result in (ours, theirs))
        if mine != other:
            add(kind, mine, other)
    if "sync" in step.traits:
        if ours.exists != theirs.exists:
            add("view: how many there are", ours.exists, theirs.exists)
        elif any(a is not None and b is not None and a != b for a, b in zip(ours.flags, theirs.flags)):
            add("view: flags", ours.flags, theirs.flags)
    return out


def reads_only(step):
    if step.kind == "pipeline":
        return all(reads_only(one) for one in step.steps)
    if step.kind != "command":
        return step.kind == "raw"
    if step.name not in READING or re.search(rb"(?i)RETURN \([^)]*SAVE", step.text()):
        return False
    marks = re.search(rb"(?i)(BODY|BINARY)\[|RFC822(\.TEXT)?[ )]|RFC822(\.TEXT)?$", step.text())
    return not ("FETCH" in step.name and marks)


def parts_ways(step, ours, theirs):
    """Whether the servers' states differ from here on, so that nothing more can be compared."""
    if ours.status == theirs.status:
        if step.kind == "pipeline":
            return any(parts_ways(*each) for each in zip(step.steps, ours.results, theirs.results))
        return False
    if {ours.status, theirs.status} & {"BYE", "TIMEOUT", "DEAD"}:
        return True
    return "OK" in (ours.status, theirs.status) and not reads_only(step)
