"""SEARCH in mail of many languages, asked by Python's imaplib and made by Python's email package."""

import contextlib
import email.base64mime
import email.header
import os
import sqlite3
import unittest

from fwmail import DOMAIN, Node, NodeTest, ok, wait_for_messages
from wire import smtp_send, wait_until

ANN = f"ann@{DOMAIN}"

# Name, charset, subject, body, HTML or not.
MAILS = [
    ("ja-jis", "iso-2022-jp", "会議の資料", "来週の会議は東京で開きます。\nカタカナ", False),
    ("ja-sjis", "shift_jis", "請求書の送付", "お世話になっております。請求書を送ります。", False),
    ("ja-euc", "euc-jp", "旅行の予定", "京都へ行きましょう。", True),
    ("zh-gb", "gb2312", "会议纪要", "请查收附件中的会议纪要。", False),
    ("zh-big5", "big5", "會議紀錄", "請查收附件。", True),
    ("ru-koi8", "koi8-r", "Отчёт за квартал", "Съешь ещё этих мягких французских булок.", False),
    ("ru-1251", "windows-1251", "Счёт на оплату", "Просим оплатить счёт до пятницы.", True),
    ("de-latin1", "iso-8859-1", "Größere Änderung", "Viele Grüße aus Köln.", False),
    ("de-utf8", "utf-8", "Straßenfest", "Am Samstag feiern wir auf der Königstraße.", True),
    ("ko", "euc-kr", "회의 자료", "첨부 파일을 확인하세요.", False),
    ("plain", "us-ascii", "Lunch", "Shall we have lunch at noon?", False),
]

# Key, text, which mails it finds.
SEARCHES = [
    ("SUBJECT", "会議", {"ja-jis"}), ("SUBJECT", "会议", {"zh-gb"}), ("SUBJECT", "會議", {"zh-big5"}),
    ("BODY", "会議", {"ja-jis"}), ("TEXT", "会議は東京", {"ja-jis"}), ("BODY", "請", {"ja-sjis", "zh-big5"}),
    ("BODY", "ｶﾀｶﾅ", {"ja-jis"}), ("TEXT", "京都", {"ja-euc"}), ("TEXT", "京", {"ja-jis", "ja-euc"}), ("BODY", "京都 へ", set()),
    ("SUBJECT", "ОТЧЁТ", {"ru-koi8"}), ("SUBJECT", "счёт", {"ru-1251"}), ("BODY", "счёт до", {"ru-1251"}),
    ("TEXT", "счет", set()), ("BODY", "БУЛОК", {"ru-koi8"}), ("TEXT", "ьт", set()),
    ("SUBJECT", "grössere", set()), ("SUBJECT", "GRÖßERE", {"de-latin1"}), ("BODY", "grüße", {"de-latin1"}), ("BODY", "gru\u0308ße", {"de-latin1"}),
    ("TEXT", "KÖNIGSTRAßE", {"de-utf8"}), ("TEXT", "kö", {"de-utf8", "de-latin1"}), ("BODY", "확인하세요", {"ko"}), ("SUBJECT", "회의", {"ko"}),
    ("BODY", "lunch at", {"plain"}), ("SUBJECT", "unc", {"plain"}), ("TEXT", "x-name: ja-jis", {"ja-jis"}), ("HEADER X-Name", "JA-", {"ja-jis", "ja-sjis", "ja-euc"}),
    ("HEADER X-None", "", set()), ("HEADER X-Name", "", {mail[0] for mail in MAILS}), ("TO", "ANN@", {mail[0] for mail in MAILS}),
    ("FROM", "Jörg", {"ja-sjis", "zh-gb", "ru-koi8", "de-latin1", "ko"}), ("BODY", "<p>", set()), ("BODY", "&", set()), ("TEXT", "nirgends", set()),
]


def mail(number, name, charset, subject, body, html):
    sender = email.header.Header("Jörg Müller" if number % 2 else "Bob", "utf-8").encode()
    encoding = "quoted-printable" if number % 3 else "base64"
    octets = f"<html><style>p{{}}</style><body><p>{body}</p></body></html>" if html else body
    octets = octets.replace("\n", "\r\n").encode(charset)
    text = soft_lines(octets) if number % 3 else email.base64mime.body_encode(octets).replace("\n", "\r\n")
    fields = [f"From: {sender} <bob@elsewhere.test>", f"To: {ANN}", f"Subject: {email.header.Header(subject, charset).encode(linesep=chr(13) + chr(10))}",
              f"X-Name: {name}", "MIME-Version: 1.0", f"Content-Type: text/{'html' if html else 'plain'}; charset={charset}",
              f"Content-Transfer-Encoding: {encoding}"]
    return ("\r\n".join(fields) + "\r\n\r\n" + text + "\r\n").encode()


def soft_lines(octets):
    lines, line = [], ""
    for octet in octets:
        piece = chr(octet) if 32 < octet < 127 and octet != 61 else f"={octet:02X}"
        if len(line) + len(piece) > 72:
            lines.append(line + "=")
            line = ""
        line += piece
    return "\r\n".join(lines + [line])


class Search(NodeTest):
    @classmethod
    def setUpClass(cls):
        cls.core = Node("core", cls.new_folder() + "/core")
        cls.core.add_user("ann")
        cls.core.start()
        cls.addClassCleanup(cls.core.kill9)
        for number, row in enumerate(MAILS):
            smtp_send(cls.core.smtp_port, "bob@elsewhere.test", ANN, mail(number, *row))
        wait_for_messages(cls.core, "ann", len(MAILS))
        cls.names = {}

    def setUp(self):
        self.client = self.core.imap("ann", "INBOX")
        self.addCleanup(self.close)
        for number in range(1, len(MAILS) + 1):
            found = ok(self.client.uid("SEARCH", None, "UID", str(number), "HEADER", "X-Name", '""'))
            self.assertEqual(found[0].decode(), str(number))
            header = ok(self.client.uid("FETCH", str(number), "(BODY.PEEK[HEADER.FIELDS (X-Name)])"))[0][1]
            self.names[number] = header.decode().split(":")[1].strip()

    def close(self):
        with contextlib.suppress(OSError):
            self.client.shutdown()

    def search(self, key, text, charset="UTF-8"):
        self.client.literal = text.encode(charset)
        found = ok(self.client.uid("SEARCH", "CHARSET", charset, *key.split()))[0]
        return {self.names[int(uid)] for uid in found.split()}

    def check_all(self):
        for key, text, expected in SEARCHES:
            with self.subTest(key=key, text=text):
                self.assertEqual(self.search(key, text), expected)

    def wait_for_index(self):
        wait_until(lambda: self.core.status()["users"][0]["not_indexed"] == 0, 60, "the index to come up")

    def test_languages(self):
        """By the bodies perhaps, as mail has just come; then certainly by the index."""
        self.check_all()
        self.wait_for_index()
        self.check_all()

    def test_index_comes_back(self):
        """Whatever becomes of the file, the answers stay; what is expunged leaves it."""
        self.wait_for_index()
        folder = os.path.join(self.core.data_dir, "accounts")
        path, = (os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".search.db"))
        for damage in (None, b"", b"x" * 5000):
            self.close()
            self.core.stop()
            for end in ("", "-wal", "-shm"):
                if os.path.exists(path + end):
                    os.unlink(path + end)
            if damage is not None:
                with open(path, "wb") as file:
                    file.write(damage)
            self.core.start()
            self.client = self.core.imap("ann", "INBOX")
            self.check_all()
            self.wait_for_index()
            self.check_all()

    def test_expunged(self):
        self.core.append("ann", b"Subject: doomed\r\n\r\nquixotic zebras\r\n", "Trash")
        self.core.append("ann", b"Subject: kept\r\n\r\nquixotic gnus\r\n", "Trash")
        self.wait_for_index()
        folder = os.path.join(self.core.data_dir, "accounts")
        path, = (os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".search.db"))

        def indexed():
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as index:
                return index.execute("SELECT count(*) FROM texts").fetchone()[0]

        before = indexed()
        with self.core.imap("ann", "Trash", readonly=False) as client:
            self.assertEqual(ok(client.uid("SEARCH", "BODY", "uixoti"))[0].split(), [b"1", b"2"])
            client.uid("STORE", "1", "+FLAGS", "(\\Deleted)")
            client.expunge()
            self.assertEqual(ok(client.uid("SEARCH", "BODY", "uixoti"))[0].split(), [b"2"])
            wait_until(lambda: indexed() == before - 1, 30, "the expunged message to leave the index")
            self.assertEqual(ok(client.uid("SEARCH", "BODY", "uixoti"))[0].split(), [b"2"])
            self.assertEqual(ok(client.uid("SEARCH", "BODY", "zebra"))[0], b"")

    def test_large(self):
        """More text than the index takes."""
        body = b"lorem ipsum dolor \r\n" * 120_000
        self.core.append("ann", b"Subject: large\r\n\r\n" + body + b"the very last words\r\n", "Archive")
        with self.core.imap("ann", "Archive") as client:
            for _ in range(2):
                self.assertEqual(ok(client.uid("SEARCH", "BODY", '"very LAST"'))[0], b"1")
                self.assertEqual(ok(client.uid("SEARCH", "TEXT", '"very LOST"'))[0], b"")
                self.assertEqual(ok(client.uid("SEARCH", "SUBJECT", "large"))[0], b"1")
                self.wait_for_index()

    def test_charsets_of_the_question(self):
        for charset, key, text, expected in (
                ("ISO-2022-JP", "SUBJECT", "会議", {"ja-jis"}), ("Shift_JIS", "BODY", "会議", {"ja-jis"}), ("KOI8-R", "SUBJECT", "отчёт", {"ru-koi8"}),
                ("GB18030", "BODY", "会议纪要", {"zh-gb"}), ("windows-1252", "TEXT", "königstraße", {"de-utf8"})):
            with self.subTest(charset=charset):
                self.assertEqual(self.search(key, text, charset), expected)
        kind, answer = self.client.uid("SEARCH", "CHARSET", "X-KLINGON", "TEXT", "x")
        self.assertEqual(kind, "NO")
        self.assertIn(b"[BADCHARSET (UTF-8 ", answer[0])


if __name__ == "__main__":
    unittest.main()
