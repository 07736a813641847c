#!/usr/bin/env python3
"""Holds the documentation against the code.

    docs_test.py [TREE]

- fwmail.conf.5 has every option of src/config/schema.cpp, and no other: type, default, choices, role, repetition and
  first sentence are the same.
- Every command of src/main.cpp's table has a section in fwmail.1 and is shown somewhere in README.md or a page.
- Every command line that README.md, HACKING.md or a page shows has a command, a verb and options that there are.
- examples/config holds known options only. Links and cross references lead somewhere.
- mandoc has nothing to say about the pages, systemd-analyze nothing about the units.
- No path of the machine that this runs on stands anywhere.

The checks are first run on planted errors: each must be found.
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROLES = {"role_core": "core only", "role_remote": "remote only"}


# --- what the code says

class Code:
    def __init__(self, top):
        self.options = read_options((top / "src/config/schema.cpp").read_text())
        self.commands = read_commands((top / "src/main.cpp").read_text())
        self.command_options = read_command_options(top / "src/roles", self.commands)

    def is_config_option(self, name):
        section, _, key = name.rpartition(".")
        if re.fullmatch(r"link\.[\w-]+", section):
            section = "link.*"
        return (section, key) in self.options


def split_fields(text):
    """The comma separated fields of a C++ initialiser; strings that stand side by side are one."""
    fields = [""]
    for part in re.findall(r'"(?:\\.|[^"\\])*"|[^"]+', text):
        if part.startswith('"'):
            fields[-1] += part[1:-1]
        else:
            pieces = part.split(",")
            fields[-1] += pieces[0].strip()
            fields += [piece.strip() for piece in pieces[1:]]
    return fields


def read_options(text):
    """{(section, key): (facts as the page writes them, help)}"""
    constants = dict(re.findall(r'constexpr std::string_view (\w+) = "([^"]*)";', text))
    table = text[text.index("table[] = {"):]
    options = {}
    for row in re.findall(r'\{((?:"[^"]*"|[^"{}])*)\}', table[table.index("{") + 1:table.index("};")]):
        fields = [constants.get(field, field) for field in split_fields(row)] + [""] * 4
        section, key, kind, fallback, sentence, roles, required, repeated, choices = fields[:9]
        facts = [choices if kind == "choice" else kind]
        facts.append("required" if required == "true" else f"default {fallback}" if fallback else "no default")
        if repeated == "true":
            facts.append("may be repeated")
        if roles in ROLES:
            facts.append(ROLES[roles])
        options[section, key] = (", ".join(facts), sentence)
    return options


def read_commands(text):
    """{command: usage}"""
    table = text[text.index("commands[] = {"):]
    rows = re.findall(r'\{((?:"[^"]*"|[^"{}])*)\}', table[table.index("{") + 1:])
    return {fields[0]: fields[1] for fields in map(split_fields, rows)}


def read_command_options(folder, commands):
    """{command: its options}, from parse_words() in the function that does it, and from the usage."""
    options = {name: set(re.findall(r"--([a-z-]+)", usage)) for name, usage in commands.items()}
    for path in sorted(folder.glob("*.cpp")):
        function = None
        text = path.read_text()
        for match in re.finditer(r"^Result<> (\w+)\(const Arguments& arguments\)|parse_words\(arguments, \{([^}]*)\}, \{([^}]*)\}\)",
                                 text, re.M):
            if match.group(1):
                function = match.group(1).removesuffix("_message")
            elif function in options:
                options[function] |= set(re.findall(r'"([a-z-]+)"', match.group(2) + match.group(3)))
    return options


def verbs_of(usage):
    """`core|remote ...`, or `add NAME ... | list ...`: the words that may come first; none where a usage begins otherwise."""
    outside = re.sub(r"\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\]", "", usage)
    words = [alternative.split(" ")[0] for alternative in outside.split(" | ")]
    if len(words) == 1:
        words = words[0].split("|")
    return set(words) if all(re.fullmatch("[a-z]+", word) for word in words) else set()


# --- what the pages say

def plain(line):
    """A line of mdoc text without its escapes."""
    return line.replace("\\e", "\\").replace("\\&", "").replace("\\-", "-")


def read_page_options(text):
    """{(section, key): (facts, text behind)} of fwmail.conf.5"""
    options, section, current = {}, None, None
    for line in text[text.index(".Sh OPTIONS"):].split("\n"):
        if line.startswith(".Sh ") and line != ".Sh OPTIONS":
            break
        if line.startswith(".Ss "):
            name = line[4:].removeprefix("Section ")
            section = {"Before the first section": "", "link.NAME": "link.*"}.get(name, name)
        elif match := re.fullmatch(r"\.It Cm (\S+) Pq (.*)", line):
            current = section, match.group(1)
            options[current] = [match.group(2), ""]
        elif current and not line.startswith("."):
            options[current][1] += " " + plain(line)
    return {key: (facts, text.strip()) for key, (facts, text) in options.items()}


def shown_lines(path, text):
    """(line number, words) of each fwmail command line in a page or a Markdown file."""
    lines, held, first = [], "", 0
    for number, line in enumerate(text.split("\n"), 1):
        if path.suffix == ".md":
            spans = re.findall(r"`(fwmail [^`]*)`", line)
            if line.startswith("    "):
                spans = [line.strip()]
        else:
            spans = [re.sub(r"^\.(Dl|Dq) | [.,;:]$", "", plain(line)).strip()]
        for span in spans:
            if held:
                span = held + " " + span
            elif not re.match(r"\$? ?fwmail [a-z]", span):
                continue
            else:
                first = number
            if span.endswith("\\"):
                held = span[:-1]
                continue
            held = ""
            lines.append((first, span.removeprefix("$ ")))
    found = []
    for number, line in lines:
        line = re.split(r" [<>|&]|;", line)[0]
        try:
            words = shlex.split(line, comments=True)[1:]
        except ValueError:
            words = None
        found.append((number, line, words))
    return found


class Docs:
    def __init__(self, top):
        self.top = top
        self.code = Code(top)
        self.problems = []
        self.checked_lines = 0
        self.pages = sorted((top / "man").glob("*.[1-8]"))
        self.markdown = [path for path in (top / "README.md", top / "HACKING.md", top / "src/README.md") if path.exists()]
        self.used = set()

    def report(self, where, text):
        self.problems.append(f"{where}: {text}")

    def check(self):
        self.check_options()
        for path in self.pages + self.markdown:
            self.check_shown(path)
        self.check_commands()
        self.check_examples()
        self.check_references()
        self.check_paths()

    def check_options(self):
        code, page = self.code.options, read_page_options((self.top / "man/fwmail.conf.5").read_text())
        for key in code.keys() - page.keys():
            self.report("fwmail.conf.5", f"does not have {'.'.join(key)}")
        for key in page.keys() - code.keys():
            self.report("fwmail.conf.5", f"has {'.'.join(key)}, which is no option")
        for key in code.keys() & page.keys():
            (facts, sentence), (page_facts, page_text) = code[key], page[key]
            if facts != page_facts:
                self.report("fwmail.conf.5", f"{'.'.join(key)} is ({page_facts}), in the code ({facts})")
            if not page_text.startswith(sentence + "."):
                self.report("fwmail.conf.5", f"{'.'.join(key)} does not begin with: {sentence}.")

    def check_commands(self):
        sections = re.findall(r"^\.Ss (\S+)$", (self.top / "man/fwmail.1").read_text(), re.M)
        for name in self.code.commands.keys() - set(sections):
            self.report("fwmail.1", f"has no section for the command {name}")
        for name in set(sections) - self.code.commands.keys():
            self.report("fwmail.1", f"has a section for {name}, which is no command")
        text = "".join(path.read_text() for path in self.pages)
        for name in self.code.commands.keys() - self.used:
            if not re.search(rf"^\.Cm {name}$", text, re.M):
                self.report("README.md, man", f"show the command {name} nowhere")

    def check_shown(self, path):
        where = path.relative_to(self.top)
        for number, line, words in shown_lines(path, path.read_text()):
            self.checked_lines += 1
            problem = self.problem_of(words)
            if problem:
                self.report(f"{where}:{number}", f"{problem}: {line}")

    def problem_of(self, words):
        if not words:
            return "cannot be taken apart"
        name, rest = words[0], words[1:]
        if name in ("...", "COMMAND", "TOPIC"):
            return None
        if name not in self.code.commands:
            return f"there is no command {name}"
        self.used.add(name)
        verbs = verbs_of(self.code.commands[name])
        if verbs and rest and rest[0] not in verbs and rest[0] not in ("ROLE", "..."):
            return f"fwmail {name} has no {rest[0]}"
        for word in rest:
            if not word.startswith("--"):
                continue
            option = word[2:].split("=")[0]
            if option == "help" or option in self.code.command_options[name]:
                continue
            if name in ("core", "remote", "init") and (option == "config" or self.code.is_config_option(option)):
                continue
            return f"fwmail {name} has no option --{option}"
        return None

    def check_examples(self):
        for path in sorted((self.top / "examples/config").glob("*.conf")):
            section = ""
            for number, line in enumerate(path.read_text().split("\n"), 1):
                line = line.split("#")[0].strip()
                if line.startswith("["):
                    section = line[1:-1] + "."
                elif line and not self.code.is_config_option(section + line.split("=")[0].strip()):
                    self.report(f"{path.relative_to(self.top)}:{number}", f"no such option: {line}")

    def check_references(self):
        names = {path.name for path in self.pages}
        for path in self.pages:
            for name, section in re.findall(r"^\.Xr (\S+) (\d)", path.read_text(), re.M):
                if f"{name}.{section}" not in names:
                    self.report(path.name, f"refers to {name}({section}), which is not here")
            for file in re.findall(r"(?:packaging|examples|tests|src|scripts)/[\w./-]*\w", path.read_text()):
                if not (self.top / file).exists():
                    self.report(path.name, f"names {file}, which is not here")
        for path in self.markdown:
            text = path.read_text()
            for target in re.findall(r"\]\(([^)#]+)\)", text):
                if "://" not in target and not (path.parent / target).exists():
                    self.report(path.name, f"links to {target}, which is not here")
        sources = self.top / "src"
        map_text = (sources / "README.md").read_text() if (sources / "README.md").exists() else ""
        for file in re.findall(r"`([\w/]+\.[ch]pp)`", map_text):
            if not (sources / file).exists() and not list(sources.rglob(file)):
                self.report("src/README.md", f"names {file}, which is not here")
        for folder in sorted(path.name for path in sources.iterdir() if path.is_dir()):
            if f"| `{folder}` |" not in map_text:
                self.report("src/README.md", f"has no line for {folder}")

    def check_paths(self):
        forbidden = {str(self.top), str(pathlib.Path.home()), *os.environ.get("FWMAIL_FORBIDDEN_PATHS", "").split(":")}
        forbidden = {path + "/" for path in forbidden if len(path) > 1}
        folders = [self.top / "man", self.top / "examples", self.top / "packaging"]
        files = self.markdown + [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        for path in files:
            text = path.read_text(errors="replace")
            for bad in forbidden:
                if bad in text:
                    self.report(path.relative_to(self.top), f"holds a path of this machine: {bad}")


# --- what other programs say

def check_mandoc(docs):
    if not shutil.which("mandoc"):
        return "mandoc"
    folder = docs.top / "man"
    done = subprocess.run(["mandoc", "-Tlint", "-W", "style", *(path.name for path in docs.pages)], cwd=folder,
                          capture_output=True, text=True)
    for line in (done.stdout + done.stderr).splitlines():
        docs.report("man", line)
    return None


def check_units(docs):
    """The executable need not be where the unit looks for it."""
    if not shutil.which("systemd-analyze"):
        return "systemd-analyze"
    with tempfile.TemporaryDirectory() as folder:
        for unit in sorted((docs.top / "packaging/systemd").glob("*.service")):
            text = unit.read_text()
            command = re.search(r"^ExecStart=(\S+) (.*)$", text, re.M)
            words = shlex.split(command.group(2)) if command else []
            if problem := docs.problem_of(words):
                docs.report(unit.name, problem)
            copy = pathlib.Path(folder) / unit.name
            copy.write_text(text.replace("/usr/bin/fwmail", "/bin/true"))
            done = subprocess.run(["systemd-analyze", "--man=no", "verify", copy], capture_output=True, text=True)
            for line in (done.stdout + done.stderr).splitlines():  # the exit status is 0 for unknown keys
                docs.report(unit.name, line)
    return None


def check_binary(docs):
    """The executable has the same commands, and each tells its usage."""
    found = [path for path in (docs.top / "build/fwmail", docs.top / "build-debug/fwmail") if os.access(path, os.X_OK)]
    sources = [docs.top / "src/main.cpp", *(docs.top / "src/roles").glob("*.cpp"), *docs.pages]
    sources = [path.stat().st_mtime for path in sources]
    found = [path for path in found if path.stat().st_mtime > max(sources)]
    if not found:
        return "an executable newer than its sources"
    for name, usage in docs.code.commands.items():
        done = subprocess.run([found[0], name, "--help"], capture_output=True, text=True, timeout=60)
        if done.returncode or f"fwmail {name} {usage}" not in done.stdout:
            docs.report(f"fwmail {name} --help", f"exit {done.returncode}, says {done.stdout!r}")
    for page in docs.pages:
        done = subprocess.run([found[0], "help", page.stem], capture_output=True, text=True, timeout=60)
        if done.returncode or "NAME" not in done.stdout:
            docs.report(f"fwmail help {page.stem}", f"exit {done.returncode}: {done.stderr.strip()}")
    return None


# --- planted errors

PLANTS = [  # file, what stands there, what is put there, part of the message that it must give
    ("man/fwmail.conf.5", ".It Cm max-recipients Pq count, default 1000", ".It Cm max-recipients Pq count, default 100",
     "max-recipients is (count, default 100)"),
    ("man/fwmail.conf.5", ".It Cm max-recipients Pq", ".It Cm most-recipients Pq", "which is no option"),
    ("man/fwmail.conf.5", "Recipients of one message.", "Senders of one message.", "does not begin with"),
    ("man/fwmail.conf.5", ", may be repeated, core only", ", may be repeated", "smtp.relay-from is"),
    ("src/config/schema.cpp", '"queue-lifetime", duration, "5d"', '"queue-lifetime", duration, "4d"', "queue-lifetime is"),
    ("src/config/schema.cpp", '"yes|no|pin"', '"yes|no"', "verify is (yes|no|pin"),
    ("src/config/schema.cpp", '{"poll", "interval",', '{"poll", "extra", text, "", "More"},\n    {"poll", "interval",',
     "does not have poll.extra"),
    ("src/main.cpp", '{"version",', '{"look", "", "looks", run_look},\n        {"version",',
     "no section for the command look"),
    ("src/main.cpp", '{"demo",', '{"show",', "demo, which is no command"),
    ("README.md", "fwmail user add ann", "fwmail user make ann", "fwmail user has no make"),
    ("README.md", "fwmail status --config", "fwmail stature --config", "there is no command stature"),
    ("README.md", "fwmail open sealed.eml --key-file", "fwmail open sealed.eml --keyfile", "no option --keyfile"),
    ("README.md", "(man/fwmail.1)", "(man/fwmail.9)", "links to man/fwmail.9"),
    ("README.md", "# fwmail\n", "# fwmail\nSee TOP/notes.\n", "path of this machine"),
    ("man/fwmail-core.8", "--smtp.listen '*:25' --smarthost.address", "--smtp.listen '*:25' --smarthost.adress",
     "no option --smarthost.adress"),
    ("man/fwmail-core.8", ".Xr fwmail-sync 7", ".Xr fwmail-synch 7", "refers to fwmail-synch(7)"),
    ("examples/config/core.conf", "relay-from", "relay-form", "no such option"),
    ("src/README.md", "`roles/open.cpp`", "`roles/opens.cpp`", "names roles/opens.cpp"),
]


def self_test(top):
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name).resolve() / "tree"
        for folder in ("src", "man", "examples", "packaging"):
            shutil.copytree(top / folder, root / folder)
        for path in (top / "README.md", top / "HACKING.md"):
            shutil.copy(path, root)
        for folder in ("scripts", "tests"):
            (root / folder).symlink_to(top / folder)
        shutil.copy(top / "LICENSE", root)
        before = Docs(root)
        before.check()
        for file, old, new, message in PLANTS:
            path = root / file
            text = path.read_text()
            if old not in text:
                wrong.append(f"nowhere to plant: {file} has no {old!r}")
                continue
            path.write_text(text.replace(old, new.replace("TOP", str(root)), 1))
            docs = Docs(root)
            docs.check()
            path.write_text(text)
            if not any(message in problem for problem in docs.problems if problem not in before.problems):
                wrong.append(f"planted in {file}: {new!r}: not found")
        wrong += plant_for_programs(root)
    for line in wrong:
        print("docs self-test:", line)
    return not wrong


def plant_for_programs(root):
    wrong = []
    for file, line, check in (("man/fwmail.1", ".Nosuch macro\n", check_mandoc),
                              ("packaging/systemd/fwmail-core.service", "[Service]\nNoSuchKey=1\n", check_units)):
        path = root / file
        path.write_text(path.read_text() + line)
        docs = Docs(root)
        if not check(docs) and not docs.problems:
            wrong.append(f"planted in {file}: {line!r}: not found")
    return wrong


def main():
    top = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]).resolve()
    if not self_test(top):
        return 1
    docs = Docs(top)
    docs.check()
    missing = [check(docs) for check in (check_mandoc, check_units, check_binary)]
    for problem in docs.problems:
        print(problem)
    print(f"docs: {len(docs.pages)} pages, {len(docs.code.options)} options, {len(docs.code.commands)} commands, "
          f"{docs.checked_lines} command lines, {len(docs.problems)} problems"
          + "".join(f"; without {name}" for name in missing if name))
    return 1 if docs.problems or not docs.code.options or not docs.checked_lines else 0


if __name__ == "__main__":
    sys.exit(main())
