"""src/imap/README.md and the capabilities that the code offers are the same."""

import pathlib
import re
import sys

TABLE = re.compile(r"^\| [\d, ]+ \| [^|]+ \| `([^`]+)` \| (yes|in part)\b", re.M)


def offered(code):
    names = set()
    for name in ("offered_always", "offered_after_login"):
        body = re.search(rf"{name}\[\] = \{{(.*?)\}};", code, re.S).group(1)
        names |= set(re.findall(r'"([^"]+)"', body))
    limits = re.findall(r'" (\w+=)" \+ std::to_string', code)
    return names | set(limits)


def before_login(code):
    mechanisms = re.search(r"string_view (scram_plus.*?);", code, re.S)
    words = re.findall(r'" (STARTTLS|LOGINDISABLED)"', code)
    return set(words) | {"AUTH=" + name for name in re.findall(r'"([^"]+)"', mechanisms.group(1))}


def problems(code, page):
    found = []
    rows, names = TABLE.findall(page), offered(code)
    told = {row[0] for row in rows}
    found += [f"README.md has no row for {name}" for name in sorted(names - told)]
    found += [f"README.md promises {name}, which is not offered" for name in sorted(told - names)]
    listed = re.search(r"^Offered before login.*?:(.*?)\n\n", page, re.S | re.M).group(1)
    words = before_login(code)
    if words != set(re.findall(r"`([^`]+)`", listed)):
        found.append(f"README.md names other offers before login than {sorted(words)}")
    return found


def self_test(code, page):
    """A planted error of each kind is found."""
    plants = [(code.replace('"MOVE",', ""), page), (code, page.replace("| `MOVE` |", "| `MOVED` |")),
              (code, page.replace("`LOGINDISABLED`", "`NOLOGIN`")), (code.replace(" APPENDLIMIT=", " APPENDMOST="), page)]
    return all((c, p) != (code, page) and problems(c, p) for c, p in plants)


def main():
    top = pathlib.Path(__file__).resolve().parents[2]
    code, page = ((top / "src/imap" / name).read_text() for name in ("capabilities.cpp", "README.md"))
    code += (top / "src/sasl/mechanism.hpp").read_text()
    if not self_test(code, page):
        print("imap table: the test does not see a planted error")
        return 1
    found = problems(code, page)
    for problem in found:
        print(problem)
    print(f"imap table: {len(TABLE.findall(page))} capabilities, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
