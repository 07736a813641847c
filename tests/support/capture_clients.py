"""The jobs that scripts/capture gives to real clients."""

import http.server
import json
import os
import queue
import re
import shutil
import subprocess
import threading
import time
import urllib.parse
import zipfile

from captures import MAILBOXES, PASSWORD
from wire import wait_until

CLIENTS = {}


def client(name):
    def register(cls):
        CLIENTS[name] = cls
        return cls
    return register


class Client:
    packages, protocol, job = (), "imap", ""

    def __init__(self, scene):
        self.scene = scene

    def command(self, *words, check=True, input=None):
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=120, input=input,
                              env=dict(os.environ, HOME=self.scene.home, LC_ALL="C.UTF-8"))
        if check and done.returncode != 0:
            raise AssertionError(f"{words}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def expect(self, condition, what):
        if not condition:
            raise AssertionError(f"{self.scene.name}: {what}")


class Terminal:
    """A program in tmux."""

    def __init__(self, scene, *command):
        self.scene, self.socket, self.pages = scene, os.path.join(scene.home, "tmux"), []
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", "env", f"HOME={scene.home}",
                  "TERM=screen-256color", "LC_ALL=C.UTF-8", *command)
        self.tmux("set-option", "-g", "remain-on-exit", "on")

    def tmux(self, *words):
        return subprocess.run(["tmux", "-S", self.socket, *words], check=True, capture_output=True, text=True).stdout

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def wait(self, pattern, timeout=30):
        try:
            wait_until(lambda: re.search(pattern, self.screen()), timeout, lambda: f"{pattern} shows\n{self.screen()}")
        finally:
            self.pages.append(self.screen())
            self.scene.show("\n----\n".join(self.pages))

    def keys(self, *keys, then=None, literal=False):
        for key in keys:
            self.tmux("send-keys", *(["-l"] if literal or key == ";" else []), key.replace(";", "\\;"))
            time.sleep(0.2)
        if then:
            self.wait(then)
        self.scene.relay.settle(0.7)

    def type(self, text, then=None):
        self.keys(text, literal=True)
        self.keys("Enter", then=then)

    def end(self):
        wait_until(lambda: "Pane is dead" in self.screen() or not self.scene.relay.open, 30,
                   lambda: f"it ends\n{self.screen()}")
        self.scene.show("\n----\n".join(self.pages))
        self.tmux("kill-server")


# curl: one request a run.

@client("curl")
class Curl(Client):
    packages = ("curl",)
    job = "lists, examines, fetches, searches, stores, appends"

    def run(self):
        def curl(path, *more):
            return self.command("curl", "-sS", "--max-time", "60", "--user", f"curl:{PASSWORD}",
                                f"imap://127.0.0.1:{self.scene.port}/{path}", *more)
        listed = curl("")
        for name in MAILBOXES:
            self.expect(f" {name}\n" in listed, f"{name} in {listed}")
        curl("INBOX", "--request", "EXAMINE INBOX")
        self.expect("lunch at noon" in curl("INBOX;UID=1"), "the message")
        self.expect("plan.pdf" in curl("INBOX;UID=3;SECTION=2.MIME"), "the part")
        curl("INBOX;MAILINDEX=2;SECTION=HEADER.FIELDS%20(SUBJECT)")
        self.expect("* SEARCH 1 6" in curl("INBOX?SUBJECT%20plain"), "the search")
        curl("INBOX", "--request", "STORE 1 +FLAGS (\\Flagged)")
        curl("INBOX", "--request", "UID COPY 2 Projects")
        curl("INBOX", "--request", "STATUS Projects (MESSAGES UNSEEN)")
        path = self.scene.write("draft", "Subject: by curl\n\nA draft.\n")
        curl("Drafts", "--upload-file", path)


@client("curl_pop")
class CurlPop(Client):
    packages, protocol, job = ("curl",), "pop3", "lists, reads, looks at the top, deletes"

    def run(self):
        def curl(path, *more):
            return self.command("curl", "-sS", "--max-time", "60", "--user", f"curl_pop:{PASSWORD}",
                                f"pop3://127.0.0.1:{self.scene.port}/{path}", *more)
        self.expect(curl("").count("\n") == 6, "six")
        self.expect("lunch at noon" in curl("1"), "the message")
        curl("", "--request", "UIDL")
        curl("", "--request", "TOP 3 1")
        curl("1", "--request", "DELE", "--head")
        self.expect(curl("").count("\n") == 5, "five")


@client("mpop")
class Mpop(Client):
    packages, protocol, job = ("mpop",), "pop3", "takes all with pipelining, then what is new, and deletes"

    def run(self):
        for folder in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(self.scene.home, "Mail", folder))
        config = self.scene.write("mpoprc", f"account a\nhost 127.0.0.1\nport {self.scene.port}\ntls off\nauth plain\n"
                                  f"user mpop\npassword {PASSWORD}\nkeep on\npipelining on\nreceived_header off\n"
                                  f"uidls_file {self.scene.home}/uidls\ndelivery maildir {self.scene.home}/Mail\n")
        self.command("mpop", f"--file={config}", "a")
        self.scene.happen("append INBOX new")
        self.command("mpop", f"--file={config}", "--keep=off", "a")
        self.expect(len(os.listdir(f"{self.scene.home}/Mail/new")) == 7, "seven")
        self.expect(self.scene.core.count("mpop") == 0, "all are gone")


@client("fetchmail")
class Fetchmail(Client):
    packages, protocol, job = ("fetchmail",), "pop3", "takes what is new by UIDL, and deletes"

    def run(self):
        out = os.path.join(self.scene.home, "out")
        config = self.scene.write("fetchmailrc", f"poll 127.0.0.1 protocol POP3 port {self.scene.port} uidl\n  user "
                                  f"fetchmail password \"{PASSWORD}\" is root here sslproto ''\n  mda \"cat >> {out}\"\n")
        for count in (6, 7):
            self.command("fetchmail", "-f", config, "--keep", "--nosyslog", "--pidfile", f"{self.scene.home}/pid",
                         "-i", f"{self.scene.home}/ids", check=False)
            with open(out) as file:
                self.expect(len(re.findall("^Received: from 127.0.0.1", file.read(), re.M)) >= count, f"{count}")
            if count == 6:
                self.scene.happen("append INBOX new")


@client("getmail")
class Getmail(Client):
    packages, protocol, job = ("getmail6",), "pop3", "takes all, then what is new"
    retriever = "SimplePOP3Retriever"

    def run(self):
        taken = os.path.join(self.scene.home, "taken")
        self.scene.write("getmail/getmailrc", f"[retriever]\ntype = {self.retriever}\nserver = 127.0.0.1\n"
                         f"port = {self.scene.port}\nusername = {self.scene.user}\npassword = {PASSWORD}\n{self.more}"
                         f"[destination]\ntype = MDA_external\npath = {shutil.which('tee')}\n"
                         f"arguments = ('-a', '{taken}')\nallow_root_commands = true\n"
                         "[options]\nread_all = false\ndelete = false\ndelivered_to = false\nreceived = false\n")
        for count in (6, 7):
            self.command("getmail", "--getmaildir", f"{self.scene.home}/getmail")
            with open(taken, errors="replace") as file:
                self.expect(len(re.findall("^Subject: (?!inner)", file.read(), re.M)) == count, f"{count}")
            if count == 6:
                self.scene.happen("append INBOX new")

    more = ""


@client("getmail_imap")
class GetmailImap(Getmail):
    protocol, job, retriever = "imap", "takes INBOX and Projects, then what is new", "SimpleIMAPRetriever"
    more = "mailboxes = ('INBOX',)\n"


@client("mbsync")
class Mbsync(Client):
    packages, job = ("isync",), "first sync, changes on both sides, second sync"

    def run(self):
        mail = os.path.join(self.scene.home, "Mail")
        os.makedirs(mail)
        config = self.scene.write("mbsyncrc", f"IMAPAccount a\nHost 127.0.0.1\nPort {self.scene.port}\nUser mbsync\n"
                                  f"Pass {PASSWORD}\nSSLType None\nAuthMechs LOGIN PLAIN\n\nIMAPStore far\nAccount a\n\n"
                                  f"MaildirStore near\nPath {mail}/\nInbox {mail}/INBOX\nSubFolders Verbatim\n\n"
                                  "Channel c\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n")
        self.command("mbsync", "-c", config, "-a")
        box = os.path.join(mail, "INBOX")
        names = sorted(os.listdir(f"{box}/new") + os.listdir(f"{box}/cur"))
        self.expect(len(names) == 6, names)
        self.expect(os.path.isdir(f"{mail}/Projects/2025/cur"), "the nested folder")

        def find(words):
            for folder in ("new", "cur"):
                for name in os.listdir(f"{box}/{folder}"):
                    with open(f"{box}/{folder}/{name}", "rb") as file:
                        if words in file.read():
                            return folder, name
        folder, name = find(b"lunch at noon")
        os.rename(f"{box}/{folder}/{name}", f"{box}/cur/{name.split(':')[0]}:2,FS")
        folder, name = find(b"no more than this")
        os.rename(f"{box}/{folder}/{name}", f"{box}/cur/{name.split(':')[0]}:2,T")
        self.scene.write("Mail/Drafts/new/1.2.host", "Subject: a draft\nMessage-ID: <draft@here.test>\n\nBy mbsync.\n")
        self.scene.happen("append INBOX new")
        self.command("mbsync", "-c", config, "-a")
        self.expect(find(b"Tick.") and not find(b"no more than this"), "both ways")
        self.expect(self.scene.core.count("mbsync", "Drafts") == 1, "the draft")
        state = self.scene.core.state("mbsync")
        self.expect(state[1][1] == {b"\\Seen", b"\\Flagged"} and 5 not in state, state)


@client("offlineimap")
class OfflineImap(Client):
    packages, job = ("offlineimap3",), "first sync, changes on both sides, second sync"

    def run(self):
        mail = os.path.join(self.scene.home, "Mail")
        config = self.scene.write("offlineimaprc", "[general]\naccounts = a\nmetadata = " + self.scene.home + "/meta\n"
                                  "[Account a]\nlocalrepository = near\nremoterepository = far\n[Repository near]\n"
                                  f"type = Maildir\nlocalfolders = {mail}\n[Repository far]\ntype = IMAP\n"
                                  f"remotehost = 127.0.0.1\nremoteport = {self.scene.port}\nremoteuser = offlineimap\n"
                                  f"remotepass = {PASSWORD}\nssl = no\nstarttls = no\nusecompression = no\n"
                                  "maxconnections = 1\n")
        run = lambda: self.command("offlineimap", "-1", "-c", config, "-u", "basic")  # noqa: E731
        run()
        box = os.path.join(mail, "INBOX")

        def find(words):
            for folder in ("new", "cur"):
                for name in os.listdir(f"{box}/{folder}"):
                    with open(f"{box}/{folder}/{name}", "rb") as file:
                        if words in file.read():
                            return folder, name
        folder, name = find(b"lunch at noon")
        os.rename(f"{box}/{folder}/{name}", f"{box}/cur/{name.split(':')[0]}:2,FS")
        folder, name = find(b"no more than this")
        os.remove(f"{box}/{folder}/{name}")
        self.scene.write("Mail/Drafts/new/1.2.host", "Subject: a draft\nMessage-ID: <draft@here.test>\n\nBy OfflineIMAP.\n")
        self.scene.happen("append INBOX new")
        self.scene.show(run())
        self.expect(find(b"Tick."), "the new one")
        self.expect(self.scene.core.count("offlineimap", "Drafts") == 1, "the draft")
        state = self.scene.core.state("offlineimap")
        self.expect(state[1][1] >= {b"\\Seen", b"\\Flagged"} and 5 not in state, state)


# Programs at a terminal.

EDITOR = "#!/bin/sh\nprintf 'Written here.\\n' >>\"$1\"\n"


class MuttLike(Client):
    program = "mutt"

    def run(self):
        scene = self.scene
        editor = scene.write("editor", EDITOR)
        os.chmod(editor, 0o700)
        os.makedirs(f"{scene.home}/cache/bodies")
        rc = scene.write("rc", f"set folder=\"imap://{scene.user}@127.0.0.1:{scene.port}/\" spoolfile=\"+INBOX\"\n"
                         f"set imap_user={scene.user} imap_pass={PASSWORD} ssl_force_tls=no ssl_starttls=no record=+Sent\n"
                         f"set postponed=+Drafts trash=+Trash header_cache={scene.home}/cache message_cachedir="
                         f"{scene.home}/cache/bodies imap_condstore=yes imap_qresync=yes imap_idle=yes timeout=3\n"
                         "set mail_check=20 imap_check_subscribed=yes sendmail=/bin/true editor=" + editor + "\n"
                         "set realname=Ann from=ann@example.test hostname=here.test copy=yes confirmappend=no delete=yes quit=yes\n"
                         "set wait_key=no markers=no sort=mailbox-order resolve=no postpone=yes mail_check_stats=no "
                         "user_agent=no imap_peek=yes beep=no\n")
        screen = Terminal(scene, self.program, "-n", "-F", rc)
        screen.wait("It comes|A plain one.*(?s:.)*Re: A plain one")
        screen.keys("Enter", then="lunch at noon")
        screen.keys("q", "F", "$", then="A plain one")
        screen.type("5")
        screen.keys("d", "$", then="(?s)no more than this|INBOX")
        screen.type("2")
        screen.keys("s")
        screen.keys("C-u")
        screen.type("=Projects")
        screen.keys("$")
        screen.keys("l")
        screen.type("=b attached", then="Plan attached")
        screen.keys("l")
        screen.keys("C-u")
        screen.type("~A", then="A plain one")
        scene.happen("append INBOX new")
        screen.wait("It comes meanwhile")
        screen.keys("m")
        screen.type("bob@elsewhere.test")
        screen.type("Sent by a terminal", then="Sent by a terminal|Subject")
        screen.keys("y", then="INBOX")
        screen.keys("c")
        screen.keys("C-u")
        screen.type("=Projects/2025")
        screen.keys("c")
        screen.keys("C-u")
        screen.type("=INBOX", then="It comes meanwhile")
        screen.keys("q")
        screen.end()
        screen = Terminal(scene, self.program, "-n", "-F", rc)
        screen.wait("It comes meanwhile")
        screen.keys("x")
        screen.end()
        self.expect(scene.core.count(scene.user, "Sent") == 1, "the copy in Sent")
        self.expect(scene.core.count(scene.user, "Projects") == 2, "the one that was moved")
        self.expect(b"\\Flagged" in scene.core.state(scene.user)[1][1], "the flag")


@client("mutt")
class Mutt(MuttLike):
    packages = ("mutt",)
    job = "reads, flags, deletes, moves, searches, hears of new mail, files a copy; starts again with QRESYNC"


@client("neomutt")
class NeoMutt(MuttLike):
    packages, program = ("neomutt",), "neomutt"
    job = "reads, flags, deletes, moves, searches, hears of new mail, files a copy; starts again"


@client("aerc")
class Aerc(Client):
    packages = ("aerc",)
    job = "lists, reads, flags, moves, deletes, searches, hears of new mail; starts again"

    def run(self):
        scene = self.scene
        editor = scene.write("editor", EDITOR)
        os.chmod(editor, 0o700)
        scene.write(".config/aerc/accounts.conf", f"[a]\nsource = imap+insecure://aerc:{PASSWORD}@127.0.0.1:{scene.port}\n"
                    "outgoing = /bin/true\ndefault = INBOX\nfrom = Ann <ann@example.test>\ncopy-to = Sent\n"
                    "postpone = Drafts\ncache-headers = false\n")
        scene.write(".config/aerc/aerc.conf", f"[general]\nunsafe-accounts-conf = true\n[compose]\neditor = {editor}\n"
                    "[viewer]\npager = cat\n[filters]\ntext/plain = cat\n")
        for name in ("binds.conf",):
            for folder in ("/usr/share/aerc", "/etc/xdg/aerc"):
                if os.path.exists(f"{folder}/{name}"):
                    with open(f"{folder}/{name}") as file:
                        scene.write(f".config/aerc/{name}", file.read())
        screen = Terminal(scene, "aerc")
        screen.wait("A plain one")
        screen.type(":view", then="At one")
        screen.type(":close", then="A plain one")
        screen.type(":flag -t<space>".replace("<space>", ""))
        screen.type(":next")
        screen.type(":move Projects")
        screen.type(":search attached")
        screen.type(":clear")
        scene.happen("append INBOX new")
        screen.wait("It comes meanwhile")
        screen.type(":select 0")
        screen.type(":delete")
        screen.type(":cf Projects", then="Filed long ago")
        screen.type(":cf INBOX", then="A plain one")
        screen.type(":quit")
        screen.end()
        screen = Terminal(scene, "aerc")
        screen.wait("A plain one")
        screen.type(":quit")
        screen.end()


@client("alpine")
class Alpine(Client):
    packages = ("alpine",)
    job = "lists, reads, flags, deletes, saves, searches, hears of new mail, postpones; starts again"

    def run(self):
        scene = self.scene
        server = f"{{127.0.0.1:{scene.port}/novalidate-cert/notls/user=alpine}}"
        rc = scene.write("pinerc", f"inbox-path={server}INBOX\nfolder-collections=Mail {server}[]\n"
                         "user-domain=example.test\npersonal-name=Ann\nsmtp-server=127.0.0.1:1\n"
                         f"default-fcc={server}Sent\npostponed-folder={server}Drafts\nmail-check-interval=15\n"
                         "feature-list=enable-aggregate-command-set,enable-flag-cmd,expunge-without-confirm,"
                         "quit-without-confirm,save-will-quote-leading-froms,enable-jump-shortcut,"
                         "confirm-role-even-for-default\ninitial-keystroke-list=\nlast-time-prune-questioned=126.12\n"
                         "last-version-used=7.99\nsort-key=arrival\nnew-version-threshold=9.99\n")

        def start():
            screen = Terminal(scene, "alpine", "-p", rc, "-i")
            screen.wait("ENTER PASSWORD")
            screen.type(PASSWORD)
            screen.wait("A plain one|Preserve password")
            if "Preserve password" in screen.screen():
                screen.keys("n", then="A plain one")
            return screen
        screen = start()
        screen.keys("Enter", then="lunch at noon")
        screen.keys("i", then="A plain one")
        screen.keys("*", "*", then="Important")
        screen.keys("n", "s")
        screen.keys("C-u")
        screen.type("Projects", then="copied|saved")
        screen.keys("n", "n", "n", "d", "x", then="Re: A plain one")
        screen.keys(";", then="SELECT criteria")
        screen.keys("t", then="(?i)text")
        screen.keys("a", then="(?i)text")
        screen.type("attached")
        screen.wait("(?i)selected|attached")
        scene.happen("append INBOX new")
        screen.keys("C-l", then="It comes meanwhile")
        screen.keys("c", then="COMPOSE MESSAGE")
        screen.type("bob@elsewhere.test")
        screen.keys("Down", "Down")
        screen.type("A draft")
        screen.keys("C-o", then="postponed")
        screen.keys("z", then="It comes meanwhile")
        screen.keys("q")
        screen.end()
        screen = start()
        screen.wait("It comes meanwhile")
        screen.keys("q")
        screen.end()
        self.expect(scene.core.count(scene.user, "Drafts") == 1, "the draft")
        self.expect(scene.core.count(scene.user, "Projects") == 2, "the one that was saved")
        self.expect(b"\\Flagged" in scene.core.state(scene.user)[1][1], "the flag")


# Thunderbird in a window of its own, with an extension that does what a user would.

EXTENSION = """
const wait = ms => new Promise(done => setTimeout(done, ms));
const all = async folder => {
  let page = await messenger.messages.list(folder.id), rows = page.messages;
  while (page.id) { page = await messenger.messages.continueList(page.id); rows = rows.concat(page.messages); }
  return rows;
};
async function until(what, condition) {
  for (let n = 0; n < 300; n++) { const value = await condition(); if (value) return value; await wait(200); }
  throw new Error("not in time: " + what);
}
async function tell(text) { await fetch("http://127.0.0.1:PORT/" + encodeURIComponent(text)); }
async function run() {
  const account = await until("account", async () => (await messenger.accounts.list()).find(a => a.type == "imap"));
  const folder = name => until(name, async () =>
    (await messenger.folders.query({accountId: account.id})).find(f => f.path.toLowerCase() == name.toLowerCase()));
  const inbox = await folder("/INBOX");
  const tab = (await messenger.mailTabs.query({}))[0];
  await messenger.mailTabs.update(tab.id || tab.tabId, {displayedFolder: inbox});
  const mail = async (box, subject) => until(subject, async () => (await all(box)).find(m => m.headerMessageId.startsWith(subject + "@") || m.subject.startsWith(subject)));
  await mail(inbox, "reply");
  if (SECOND) { await mail(inbox, "newer"); await wait(4000); return tell("done"); }
  await wait(3000);
  const plain = await mail(inbox, "plain");
  await messenger.messages.getFull(plain.id);
  await messenger.messages.getFull((await mail(inbox, "attached")).id);
  await messenger.messages.update(plain.id, {read: true, flagged: true, tags: ["$label1"]});
  const projects = await folder("/Projects");
  await messenger.messages.move([(await mail(inbox, "words")).id], projects.id);
  await mail(projects, "words");
  await messenger.messages.copy([plain.id], projects.id);
  await mail(projects, "plain");
  await messenger.messages.delete([(await mail(inbox, "no more than this")).id], {deletePermanently: false});
  await wait(2000);
  await tell("append INBOX new");
  await mail(inbox, "new");
  const made = await messenger.folders.create(projects.id, "Made here");
  await wait(1000);
  const compose = await messenger.compose.beginNew({to: ["bob@elsewhere.test"], subject: "A draft", plainTextBody: "Later.", isPlainText: true});
  await messenger.compose.saveMessage(compose.id, {mode: "draft"});
  await wait(1000);
  await messenger.compose.sendMessage(compose.id, {mode: "sendNow"});
  await wait(3000);
  await tell("done");
}
run().catch(error => tell("failed " + error + " " + error.stack));
"""

PREFERENCES = """
user_pref("mail.accountmanager.accounts", "account1");
user_pref("mail.accountmanager.defaultaccount", "account1");
user_pref("mail.account.account1.identities", "id1");
user_pref("mail.account.account1.server", "server1");
user_pref("mail.identity.id1.fullName", "Ann");
user_pref("mail.identity.id1.useremail", "thunderbird@example.test");
user_pref("mail.identity.id1.smtpServer", "smtp1");
user_pref("mail.identity.id1.valid", true);
user_pref("mail.identity.id1.compose_html", false);
user_pref("mail.server.server1.type", "imap");
user_pref("mail.server.server1.hostname", "127.0.0.1");
user_pref("mail.server.server1.port", IMAP);
user_pref("mail.server.server1.realport", IMAP);
user_pref("mail.server.server1.userName", "thunderbird");
user_pref("mail.server.server1.name", "fwmail");
user_pref("mail.server.server1.login_at_startup", true);
user_pref("mail.server.server1.check_new_mail", true);
user_pref("mail.server.server1.authMethod", 3);
user_pref("mail.server.server1.socketType", 0);
user_pref("mail.server.server1.directory-rel", "[ProfD]ImapMail/core");
user_pref("mail.smtpservers", "smtp1");
user_pref("mail.smtp.defaultserver", "smtp1");
user_pref("mail.smtpserver.smtp1.hostname", "127.0.0.1");
user_pref("mail.smtpserver.smtp1.port", SMTP);
user_pref("mail.smtpserver.smtp1.username", "thunderbird");
user_pref("mail.smtpserver.smtp1.authMethod", 3);
user_pref("mail.smtpserver.smtp1.try_ssl", 0);
user_pref("mail.shell.checkDefaultClient", false);
user_pref("mail.spotlight.firstRunDone", true);
user_pref("mail.rights.version", 1);
user_pref("mailnews.start_page.enabled", false);
user_pref("mailnews.database.global.indexer.enabled", false);
user_pref("extensions.autoDisableScopes", 0);
user_pref("extensions.startupScanScopes", 15);
user_pref("xpinstall.signatures.required", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("datareporting.policy.dataSubmissionPolicyBypassNotification", true);
user_pref("app.update.enabled", false);
user_pref("app.donation.eoy.version.viewed", 999);
user_pref("mail.provider.suppress_dialog_on_startup", true);
user_pref("network.proxy.type", 0);
"""


class Thunderbird(Client):
    packages = ("thunderbird", "xvfb", "imagemagick", "x11-apps")

    def run(self):
        scene = self.scene
        self.profile = os.path.join(scene.home, "profile")
        imap, smtp = self.ports()
        scene.write("profile/prefs.js", PREFERENCES.replace("IMAP)", f"{imap})").replace("SMTP)", f"{smtp})"))
        save_passwords(self.profile, [(f"imap://127.0.0.1", "thunderbird"), ("smtp://127.0.0.1", "thunderbird")])
        display = f":{os.getpid() % 20000 + 100}"
        xvfb = subprocess.Popen(["Xvfb", display, "-screen", "0", "1280x900x24", "-nolisten", "tcp"],
                                stderr=subprocess.DEVNULL)
        try:
            for second in (False, True):
                if second:
                    scene.happen("append INBOX newer")
                self.start(display, second)
        finally:
            xvfb.kill()
            xvfb.wait()
        self.expect(scene.core.count(scene.user, "Sent") == 1, "the copy in Sent")
        self.expect(scene.core.count(scene.user, "Projects") == 3, "what was moved and copied")
        self.expect(scene.core.count(scene.user, "Trash") == 1, "what was deleted")
        self.expect({b"\\Flagged", b"\\Seen", b"$label1"} <= scene.core.state(scene.user)[1][1], "the flags")

    def ports(self):
        return self.scene.port, self.scene.ports["smtp"]

    def start(self, display, second):
        told = Told()
        folder = os.path.join(self.profile, "extensions")
        os.makedirs(folder, exist_ok=True)
        with zipfile.ZipFile(os.path.join(folder, "job@fwmail.test.xpi"), "w") as file:
            file.writestr("manifest.json", json.dumps({
                "manifest_version": 2, "name": "job", "version": "2.0" if second else "1.0",
                "browser_specific_settings": {"gecko": {"id": "job@fwmail.test"}},
                "background": {"scripts": ["job.js"]},
                "permissions": ["accountsRead", "accountsFolders", "messagesRead", "messagesMove", "messagesDelete",
                                "messagesUpdate", "messagesTags", "compose", "compose.send", "compose.save",
                                "http://127.0.0.1/*"]}))
            file.writestr("job.js", EXTENSION.replace("PORT", str(told.port)).replace("SECOND", str(second).lower()))
        program = subprocess.Popen(["thunderbird", "--no-remote", "--profile", self.profile], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL,
                                   env=dict(os.environ, HOME=self.scene.home, DISPLAY=display, LC_ALL="C.UTF-8",
                                            MOZ_CRASHREPORTER_DISABLE="1"))
        try:
            while True:
                word = told.next(180)
                if word.startswith("append "):
                    self.scene.happen(word)
                elif word == "done":
                    break
                else:
                    raise AssertionError(word)
            self.scene.relay.settle()
        finally:
            shown = os.path.join(self.scene.shown, f"{self.scene.name}{'-again' if second else ''}.png")
            subprocess.run(["import", "-display", display, "-window", "root", shown], check=False)
            program.terminate()
            try:
                program.wait(30)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()


@client("thunderbird")
class ThunderbirdImap(Thunderbird):
    job = "first sync, reads, flags, moves, copies, deletes, hears of new mail, drafts, files in Sent; starts again"


@client("thunderbird-smtp")
class ThunderbirdSmtp(Thunderbird):
    protocol, job = "smtp", "submits a message"

    def ports(self):
        return self.scene.ports["imap"], self.scene.port


class Told:
    """A web server to which the extension tells how far it is."""

    def __init__(self):
        told, self.words = self, queue.Queue()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                told.words.put(urllib.parse.unquote(self.path[1:]))
                self.send_response(200)
                self.send_header("Access-Control-Allow-Origin", "*")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self, timeout):
        return self.words.get(timeout=timeout)


def save_passwords(profile, logins):
    """As if the user had ticked `remember`: NSS, the program's own library, encrypts them with the profile's key."""
    script = """
import ctypes, sys, base64
class Item(ctypes.Structure):
    _fields_ = [("type", ctypes.c_uint), ("data", ctypes.c_void_p), ("len", ctypes.c_uint)]
nss = ctypes.CDLL("/usr/lib/thunderbird/libnss3.so")
nss.PK11_GetInternalKeySlot.restype = ctypes.c_void_p
assert nss.NSS_InitReadWrite(b"sql:" + sys.argv[1].encode()) == 0
slot = ctypes.c_void_p(nss.PK11_GetInternalKeySlot())
if nss.PK11_NeedUserInit(slot):
    assert nss.PK11_InitPin(slot, None, b"") == 0
for text in sys.argv[2:]:
    out = Item()
    octets = ctypes.cast(ctypes.c_char_p(text.encode()), ctypes.c_void_p)
    assert nss.PK11SDR_Encrypt(ctypes.byref(Item(0, None, 0)), ctypes.byref(Item(0, octets, len(text))),
                               ctypes.byref(out), None) == 0
    print(base64.b64encode(ctypes.string_at(out.data, out.len)).decode())
nss.NSS_Shutdown()
"""
    rows = []
    for number, (origin, user) in enumerate(logins, 1):
        name, password = subprocess.run(["python3", "-c", script, profile, user, PASSWORD], check=True,
                                        capture_output=True, text=True,
                                        env=dict(os.environ, LD_LIBRARY_PATH="/usr/lib/thunderbird")).stdout.split()
        rows.append({"id": number, "hostname": origin, "httpRealm": origin, "formSubmitURL": None, "usernameField": "",
                     "passwordField": "", "encryptedUsername": name, "encryptedPassword": password,
                     "guid": f"{{00000000-0000-0000-0000-00000000000{number}}}", "encType": 1, "timeCreated": 1,
                     "timeLastUsed": 1, "timePasswordChanged": 1, "timesUsed": 1})
    with open(os.path.join(profile, "logins.json"), "w") as file:
        json.dump({"nextId": len(rows) + 1, "logins": rows, "potentiallyVulnerablePasswords": [],
                   "dismissedBreachAlertsByLoginGUID": {}, "version": 3}, file)


# Submission.

class Submits(Client):
    protocol, job = "smtp", "logs in and submits a message"
    letter = "From: ann@example.test\nTo: bob@elsewhere.test\nSubject: submitted\n\n.\n..\nFrom me.\n"


@client("msmtp")
class Msmtp(Submits):
    packages = ("msmtp",)

    def run(self):
        for mechanism in ("plain", "login"):
            config = self.scene.write(f"rc-{mechanism}", f"account default\nhost 127.0.0.1\nport {self.scene.port}\n"
                                      f"from msmtp@example.test\nauth {mechanism}\nuser msmtp\npassword {PASSWORD}\ntls off\n"
                                      "domain client.test\n" + ("dsn_notify failure,delay\ndsn_return headers\n"
                                                                if mechanism == "login" else ""))
            self.command("msmtp", "-C", config, "bob@elsewhere.test", input=self.letter)


@client("curl_smtp")
class CurlSmtp(Submits):
    packages = ("curl",)

    def run(self):
        path = self.scene.write("letter", self.letter.replace("\n", "\r\n"))
        self.command("curl", "-sS", "--max-time", "60", "--user", f"curl_smtp:{PASSWORD}", "--upload-file", path,
                     "--mail-from", "curl_smtp@example.test", "--mail-rcpt", "bob@elsewhere.test", "--mail-rcpt",
                     "ben@elsewhere.test", f"smtp://127.0.0.1:{self.scene.port}/client.test")


@client("swaks")
class Swaks(Submits):
    packages = ("swaks",)

    def run(self):
        for mechanism in ("PLAIN", "LOGIN"):
            self.command("swaks", "--server", f"127.0.0.1:{self.scene.port}", "--from", "swaks@example.test", "--to",
                         "bob@elsewhere.test", "--auth", mechanism, "--auth-user", "swaks", "--auth-password", PASSWORD,
                         "--ehlo", "client.test", "--pipeline")
