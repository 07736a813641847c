"""The mail that servers are filled with, the same for each: made-up words in English frequencies."""

import email.header
import quopri
import random

WORDS = ["con", "ver", "ta", "tion", "ment", "re", "in", "al", "or", "per", "st", "li", "qua", "gre", "ö", "ü", "ing", "er", "no", "mi"]


class Letters:
    """Half of them quoted-printable with other letters, every tenth in Japanese, half with an HTML part."""

    def __init__(self, seed, words, address):
        self.random = random.Random(seed)
        self.words = ["".join(self.random.choices(WORDS, k=self.random.randint(1, 4))) for _ in range(20000)] + ["relation"] * 200
        self.weights = [1 / (rank + 5) for rank in range(len(self.words))]
        self.count, self.address = words, address

    def text(self, number, words):
        chosen = self.random.choices(self.words, self.weights, k=words)
        if number % 997 == 5:
            chosen.insert(words // 2, "xylophone")
        if number % 10 == 3:
            chosen.insert(words // 3, "会議の資料を送ります")
        lines = [" ".join(chosen[i:i + 12]) for i in range(0, len(chosen), 12)]
        return "\r\n".join(lines) + "\r\n"

    def letter(self, number):
        subject = " ".join(self.random.choices(self.words, self.weights, k=5)) + (" 会議" if number % 10 == 3 else "") + \
            (" xylophone" if number % 997 == 5 else "")
        text = self.text(number, self.count)
        head = trace(number) + (f"From: Bob {number % 50} <bob{number % 50}@elsewhere.test>\r\nTo: <{self.address}>\r\n"
                f"Subject: {encoded(subject)}\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-Id: <{number}@client.test>\r\n"
                "MIME-Version: 1.0\r\n")
        plain = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + quoted(text)
        if number % 2:
            return (head + plain).encode()
        html = "".join(f"<p class=\"x\">{line}</p>\r\n" for line in text.split("\r\n") if line)
        return (head + "Content-Type: multipart/alternative; boundary=bb\r\n\r\n--bb\r\n" + plain +
                "\r\n--bb\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
                quoted(f"<html><body>{html}</body></html>") + "\r\n--bb--\r\n").encode()


def trace(number):
    """What a mail carries of its way."""
    return (f"Return-Path: <bob{number % 50}@elsewhere.test>\r\nReceived: from mx{number % 7}.elsewhere.test (mx{number % 7}.elsewhere.test [192.0.2.{number % 250}])\r\n"
            f"\tby mail.client.test (Postfix) with ESMTPS id 4F{number:08X}\r\n\tfor <ann@client.test>; Sat, 21 Nov 2026 12:00:01 +0000 (UTC)\r\n"
            f"Received: by mx{number % 7}.elsewhere.test; Sat, 21 Nov 2026 12:00:00 +0000\r\n"
            f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=elsewhere.test; s=k{number % 3};\r\n\th=from:to:subject:date:message-id; "
            f"bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb={random.Random(number).getrandbits(1024):0256x}\r\n")


def small(number, size=900):
    """One of very many; `size` octets of text, the same in every hundredth."""
    words = random.Random(number % 100)
    text = "\r\n".join(" ".join("".join(words.choices(WORDS[:13], k=2)) for _ in range(10)) for _ in range(size // 65 + 1))[:size]
    return (trace(number) + f"From: Bob {number % 50} <bob{number % 50}@elsewhere.test>\r\nTo: Ann <ann@client.test>\r\n"
            f"Subject: number {number} of the list\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-Id: <{number}@client.test>\r\n"
            f"References: <{number - 1}@client.test>\r\n\r\n{text}\r\n").encode()


def sized(number, size):
    """Text that compresses as text does; its lines are unlike in each."""
    words = random.Random(number)
    pool = ["".join(words.choices(WORDS[:13], k=words.randint(1, 4))) for _ in range(800)]
    text = []
    octets = 0
    while octets < size:
        text.append(" ".join(words.choices(pool, k=11)))
        octets += len(text[-1]) + 2
    return (f"From: Bob <bob@elsewhere.test>\r\nTo: Ann <ann@client.test>\r\nSubject: number {number}\r\n"
            f"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-Id: <{number}.{size}@client.test>\r\n\r\n" +
            "\r\n".join(text)[:size] + "\r\n").encode()


def encoded(text):
    return email.header.Header(text, "utf-8", maxlinelen=900).encode(linesep="\r\n")


def quoted(text):
    return quopri.encodestring(text.replace("\r\n", "\n").encode()).decode().replace("\n", "\r\n")
