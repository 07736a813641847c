#!/usr/bin/env python3
"""Writes a corpus of awkward messages; see README.md beside this file."""

import argparse
import base64
import hashlib
import pathlib
import quopri

MESSAGES = []


def message(about, big=False):
    def add(function):
        MESSAGES.append((function.__name__, about, big, function))
        return function
    return add


def lines(*items):
    """The items as octets, each ended by CRLF."""
    return b"".join((i if isinstance(i, bytes) else i.encode()) + b"\r\n" for i in items)


def header(subject, *more, sender="Anna Berg <anna@example.org>", to="bo@example.net"):
    ident = hashlib.sha256(repr((subject, more)).encode()).hexdigest()[:16]
    return lines("From: " + sender, "To: " + to, "Subject: " + subject, "Date: Tue, 03 Mar 2020 10:11:12 +0100",
                 f"Message-ID: <{ident}@example.org>", *more)


def mime(subject, content_type, *more):
    return header(subject, "MIME-Version: 1.0", "Content-Type: " + content_type, *more)


def noise(count, seed="noise"):
    """Octets that look random and are not."""
    out = bytearray()
    n = 0
    while len(out) < count:
        out += hashlib.sha512(f"{seed}{n}".encode()).digest()
        n += 1
    return bytes(out[:count])


def b64(octets):
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")


def armour(kind, octets):
    return lines(f"-----BEGIN {kind}-----", "") + b64(octets) + lines(f"-----END {kind}-----")


def plain(c, subject="plain"):
    return mime(f"{c} {subject}", "text/plain; charset=us-ascii") + lines("", f"A plain message, {c}.", "It has two lines.")


# --- text and headers -------------------------------------------------------------------------------------------------


@message("nothing special")
def plain_text(c):
    return plain(c)


@message("raw 8-bit latin-1 octets in the header")
def header_8bit(c):
    return lines(b"From: J\xf6rg M\xfcller <joerg@example.org>", "To: bo@example.net", b"Subject: " + c.encode() + b" Gr\xfc\xdfe",
                 "Date: Tue, 03 Mar 2020 10:11:12 +0100", "", f"Body {c}.")


@message("carriage returns without line feeds in the header and the body")
def bare_cr(c):
    return header(f"{c} bare\rcarriage", "X-Note: one\rFake-Header: two") + lines("", f"line one {c}\rstill line one", "line two\r")


@message("bare line feeds throughout")
def bare_lf(c):
    return mixed(c).replace(b"\r\n", b"\n")


@message("bare line feeds in the header, CRLF in the body")
def mixed_endings(c):
    return header(f"{c} mixed endings").replace(b"\r\n", b"\n") + b"\n" + lines(f"one {c}", "two") + b"three\n"


@message("lines longer than 998 octets")
def long_lines(c):
    return header(f"{c} long lines") + lines("", c, "x" * 998, "y" * 999, "z" * 20000, "end")


@message("one line of 2 MB", big=True)
def line_2mb(c):
    return header(f"{c} one long line") + b"\r\n" + c.encode() + b"abcdefghi " * 200_000


@message("a header line of 100 KiB without a fold")
def long_header_line(c):
    return header(f"{c} long header line", "X-Long: " + "q" * 100_000) + lines("", c)


@message("NUL octets in header and body")
def nuls(c):
    return header(f"{c} nul\0nul") + lines("", f"before {c}\0\0\0after", "\0")


@message("a header and its empty line only")
def empty_body(c):
    return header(f"{c} empty body") + b"\r\n"


@message("zero octets")
def zero_octets(c):
    return b""


@message("a header that ends with the message")
def header_only(c):
    return header(f"{c} header only")


@message("a header whose last line has no line ending")
def header_unterminated(c):
    return header(f"{c} header unterminated")[:-2]


@message("no header: the first line is text")
def no_header(c):
    return lines(f"This is just text {c}", "with: a colon on the second line", "", "and more")


@message("an empty line first")
def empty_line_first(c):
    return lines("", f"Subject: {c} not a header", "", "text")


@message("only line endings")
def only_newlines(c):
    return b"\r\n\n\r\n\r\r\n"


@message("header fields that stand twice")
def duplicate_fields(c):
    return lines("Subject: " + c + " first", "From: a@example.org", "From: b@example.org", "Subject: second",
                 "Content-Type: text/html", "Content-Type: multipart/mixed; boundary=no", "To: x@example.org",
                 "To: y@example.org", "Message-ID: <1@example.org>", "Message-ID: <2@example.org>", "", f"<p>{c}</p>")


@message("a header of 200 KiB")
def giant_header(c):
    filler = [f"X-Filler-{i}: " + "f" * 60 for i in range(2700)]
    return header(f"{c} giant header", *filler, "Content-Type: text/html") + lines("", f"<b>{c}</b>")


@message("a header of 400 KiB, the type beyond what is read")
def huge_header(c):
    filler = [f"X-Filler-{i}: " + "f" * 60 for i in range(5400)]
    return header(f"{c} huge header", *filler, "Content-Type: multipart/mixed; boundary=b") + lines("", "--b", "", c, "--b--")


@message("a header line without a colon in the middle")
def no_colon_line(c):
    return lines("From: a@example.org", "this line is no field", "Subject: " + c + " junk line", "", c)


@message("an mbox separator first")
def from_line(c):
    return lines("From anna@example.org Tue Mar  3 10:11:12 2020") + plain(c, "from line")


@message("no line ending at the end")
def no_final_newline(c):
    return header(f"{c} no final newline") + lines("", "first") + f"last {c}".encode()


@message("lines of dots")
def dots(c):
    return header(f"{c} dots") + lines("", ".", "..", ".leading " + c, "...", ".")


@message("raw UTF-8 in header fields (RFC 6532)")
def utf8_header(c):
    return header(f"{c} Grüße aus 東京", "Cc: δοκιμή@παράδειγμα.example", sender="Jörg Müller <jörg@example.org>") + \
        lines("", f"{c} Größe")


@message("encoded words: split characters, B and Q, adjacent, broken")
def encoded_words(c):
    return header(f"{c} =?utf-8?b?w6Q=?= =?utf-8?b?w?= =?utf-8?b?pA==?= =?iso-8859-1?q?=E4_b?= =?x-no?q?z?= =?utf-8?q?open",
                  sender="=?utf-8?q?J=C3=B6rg?= <joerg@example.org>") + lines("", c)


@message("ISO-2022-JP text and subject")
def iso_2022_jp(c):
    word = base64.b64encode("日本語の件名".encode("iso-2022-jp")).decode()
    return mime(f"{c} =?ISO-2022-JP?B?{word}?=", "text/plain; charset=ISO-2022-JP", "Content-Transfer-Encoding: 7bit") + \
        lines("", c) + "これは本文です。\r\n二行目。\r\n".encode("iso-2022-jp")


@message("format=flowed (RFC 3676)")
def format_flowed(c):
    return mime(f"{c} flowed", "text/plain; charset=utf-8; format=flowed; delsp=no") + \
        lines("", f"> quoted {c} ", "> flows on", ">> deeper", " stuffed", "-- ", "Anna")


@message("a DKIM signature (its octets are made up)")
def dkim(c):
    return lines("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=example.org; s=mail;",
                 "\th=from:to:subject:date; bh=" + base64.b64encode(noise(32)).decode() + ";",
                 "\tb=" + base64.b64encode(noise(54)).decode(), "\t " + base64.b64encode(noise(54, "b")).decode()) + plain(c, "dkim")


@message("a References field of 500 ids")
def long_references(c):
    ids = "\r\n".join(f"\t<{hashlib.md5(str(i).encode()).hexdigest()}@lists.example.org>" for i in range(500))
    return header(f"Re: {c} thread", "References:" + ids, "In-Reply-To: <499@lists.example.org>") + lines("", c)


@message("folds in odd places, continuation lines of white space only")
def folding(c):
    return lines("From:", " Anna", "\tBerg", " <anna@example.org>", "To: bo@exam", " ple.net", f"Subject: {c}", "   ", "\t", " folded",
                 "Content-", " Type: text/html", "Content-Type: text/plain;", "\tcharset=", '  "utf-8"', "X-Empty:", "X-Space: ", " ",
                 "", c)


@message("white space between field name and colon (RFC 5322 4.5)")
def space_before_colon(c):
    return lines(f"Subject : {c} space", "From\t: a@example.org", "", c)


@message("addresses of every kind: groups, routes, comments, quotes, broken")
def addresses(c):
    return lines('From: "Berg, Anna \\"x\\"" <anna@example.org> (comment (nested))', "Sender: <@a.example,@b.example:carl@example.org>",
                 f"Subject: {c} addresses", "To: Friends: bo@example.net, \"d e\"@example.net;, undisclosed-recipients:;",
                 "Cc: joe@example.org (Joe Blow), pete . r @ example . net, Missing <missing@example.org, <>, plain, a@[192.0.2.1]",
                 "Reply-To: =?utf-8?q?J=C3=B6rg?= <j@example.org>, x@example.org <x@example.org>", "Bcc: ,,, ;", "", c)


@message("a thousand and more recipients")
def many_recipients(c):
    to = ",\r\n ".join(f"User {i} <user{i}@example.net>" for i in range(1500))
    return header(f"{c} many", to=to) + lines("", c)


# --- multiparts -------------------------------------------------------------------------------------------------------


def mixed(c):
    return mime(f"{c} mixed", 'multipart/mixed; boundary="=_one"') + lines(
        "", "Preamble.", "--=_one", "Content-Type: text/plain; charset=utf-8", "", f"Text {c}", "", "--=_one",
        'Content-Type: application/octet-stream; name="a.bin"', "Content-Transfer-Encoding: base64",
        'Content-Disposition: attachment; filename="a.bin"; size=100', "") + b64(noise(100)) + lines("--=_one--", "Epilogue.")


@message("text and attachment, with preamble and epilogue")
def multipart_mixed(c):
    return mixed(c)


def nested(c, level):
    if level == 0:
        return lines("Content-Type: text/plain", "", f"the core {c}")
    boundary = f"level{level}"
    return lines(f"Content-Type: multipart/mixed; boundary={boundary}", "", f"preamble {level}", f"--{boundary}") + \
        nested(c, level - 1) + lines(f"--{boundary}--", f"epilogue {level}")


@message("20 levels of multipart")
def multipart_20_levels(c):
    return header(f"{c} twenty levels", "MIME-Version: 1.0") + nested(c, 20)


@message("150 levels of multipart, none closed")
def multipart_150_levels(c):
    body = b"".join(lines(f"Content-Type: multipart/mixed; boundary=b{i}", "", f"--b{i}") for i in range(150))
    return header(f"{c} too deep") + body + lines("Content-Type: text/plain", "", c)


@message("12,000 parts")
def many_parts(c):
    return mime(f"{c} many parts", "multipart/mixed; boundary=b") + b"\r\n" + lines("--b", "", c) * 12_000 + lines("--b--")


@message("multipart without a boundary parameter")
def boundary_missing(c):
    return mime(f"{c} no boundary", "multipart/mixed") + lines("", "--x", "Content-Type: text/html", "", c, "--x--")


@message("multipart with an empty boundary")
def boundary_empty(c):
    return mime(f"{c} empty boundary", 'multipart/mixed; boundary=""') + lines("", "--", "", c, "----")


@message("the final boundary is missing")
def boundary_not_final(c):
    return mime(f"{c} not closed", "multipart/alternative; boundary=b") + \
        lines("", "--b", "", f"text {c}", "--b", "Content-Type: text/html", "", f"<p>{c}</p>")


@message("the final boundary of the inner multipart is missing")
def boundary_outer_ends_inner(c):
    return mime(f"{c} outer ends inner", "multipart/mixed; boundary=outer") + lines(
        "", "--outer", "Content-Type: multipart/alternative; boundary=inner", "", "--inner", "", f"one {c}", "--inner",
        "Content-Type: text/html", "", "two", "--outer", "Content-Type: image/png", "", "three", "--outer--")


@message("boundaries that are prefixes of each other and of text")
def boundary_prefix(c):
    return mime(f"{c} prefixes", "multipart/mixed; boundary=abc") + lines(
        "", "--abc", "Content-Type: multipart/mixed; boundary=abcd", "", "--abcd", "", f"inner {c}", "--abcde", "--ab", "--abc-", "--abcd--",
        "--abcd", "--abc", "", "outer", "--abcd", "--abc --", "--abc--")


@message("white space after delimiters, and one too long to be one")
def boundary_padding(c):
    return mime(f"{c} padding", "multipart/mixed; boundary=b") + lines(
        "", "--b \t ", "", c, "--b" + " " * 1000, "still one", "--b\t", "", "two", "--b--   ")


@message("garbage after the final boundary")
def trailing_garbage(c):
    return mixed(c) + lines("--=_one", "Content-Type: text/html", "", "<b>not a part</b>", "--=_one--") + noise(300)


@message("a multipart with no octet of body")
def multipart_empty(c):
    return mime(f"{c} empty multipart", "multipart/mixed; boundary=b") + b"\r\n"


@message("a multipart with its closing delimiter only")
def multipart_closed_only(c):
    return mime(f"{c} closed only", "multipart/mixed; boundary=b") + lines("", "--b--")


@message("a multipart with only a preamble")
def multipart_preamble_only(c):
    return mime(f"{c} preamble only", "multipart/mixed; boundary=b") + lines("", f"nothing but a preamble {c}")


@message("parts without header, without body, and cut in their header")
def multipart_bare_parts(c):
    return mime(f"{c} bare parts", "multipart/mixed; boundary=b") + lines(
        "", "--b", "--b", "", "--b", "Content-Type: text/html", "--b", f"no header {c}", "", "--b", "", "", "--b--")


@message("Content-Type fields that are garbage")
def content_type_garbage(c):
    kinds = ["", "text", "/", "text/", "text/html; charset", "(comment) text (c) / (c) html (c); (c) charset (c) = (c) utf-8 (c)", "=?x?=",
             'text/plain; charset="unclosed', "text/plain;;;; charset=utf-8; =x; name*0=a; name*1*=%20b", "multipart/", "a/b/c",
             'image/png; name="a\\"b\\\\c.png"', "text/html charset=utf-8", "((((((", "\x00\x01/\x02"]
    body = b"".join(lines("--b", "Content-Type: " + k, "", c) for k in kinds)
    return mime(f"{c} garbage types", "multipart/mixed; boundary=b") + b"\r\n" + body + lines("--b--")


@message("RFC 2231 parameters")
def rfc2231(c):
    return mime(f"{c} parameters", "multipart/mixed; boundary*0=con; boundary*1=tinued") + lines(
        "", "--continued", "Content-Type: application/pdf;", " name*0*=utf-8''Gr%C3%BC;", " name*1=\"sse\";", " name*2*=%20%e2%82%ac.pdf",
        "Content-Disposition: attachment; filename*=iso-8859-1'de'Gr%FC%DFe.pdf; filename=\"=?utf-8?q?x?=.pdf\"", "Content-ID: <a@b>",
        "Content-Description: a (description)", "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==", "Content-Language: de, en-GB (x)",
        "Content-Location: http://example.org/a b", "", c, "--continued--")


@message("multipart/digest: parts default to messages")
def digest(c):
    return mime(f"{c} digest", "multipart/digest; boundary=b") + lines(
        "", "--b", "", "From: a@example.org", f"Subject: {c} one", "", "first", "--b", "Content-Type: text/plain", "", "second", "--b", "",
        "no header in this message", "--b--")


@message("message/rfc822 five deep")
def nested_messages(c):
    inner = plain(c, "innermost")
    for i in range(5):
        inner = mime(f"Fwd {i}: {c}", f"multipart/mixed; boundary=fwd{i}") + lines(
            "", f"--fwd{i}", "", f"see below {i}", f"--fwd{i}", "Content-Type: message/rfc822", "") + inner + lines(f"--fwd{i}--")
    return inner


@message("message/rfc822 as the root's own type, and one that holds nothing")
def message_root(c):
    return mime(f"{c} root message", "message/rfc822") + b"\r\n" + mime("inner", "message/rfc822") + b"\r\n"


@message("a base64 message/rfc822, which is a leaf")
def message_base64(c):
    return mime(f"{c} base64 message", "message/rfc822", "Content-Transfer-Encoding: base64") + b"\r\n" + b64(plain(c, "inside"))


@message("a bounce: multipart/report with message/delivery-status")
def bounce(c):
    return mime(f"Undelivered: {c}", "multipart/report; report-type=delivery-status; boundary=b", "Auto-Submitted: auto-replied") + lines(
        "", "--b", "Content-Type: text/plain", "", f"Your mail {c} came back.", "", "--b", "Content-Type: message/delivery-status", "",
        "Reporting-MTA: dns; mx.example.org", "", "Final-Recipient: rfc822; nobody@example.net", "Action: failed", "Status: 5.1.1",
        "Diagnostic-Code: smtp; 550 5.1.1 no such user", "", "--b", "Content-Type: text/rfc822-headers", "") + header(c) + \
        lines("--b--")


@message("mailing list mail with its many fields")
def mailing_list(c):
    return header(f"[list] {c}", "List-Id: A list <list.example.org>", "List-Post: <mailto:list@example.org>",
                  "List-Unsubscribe: <mailto:list-request@example.org?subject=unsubscribe>,", " <https://example.org/u?x=1>",
                  "List-Unsubscribe-Post: List-Unsubscribe=One-Click", "List-Archive: <https://example.org/>", "List-Help: <mailto:h@example.org>",
                  "List-Owner: <mailto:o@example.org>", "Precedence: list", "X-Mailman-Version: 2.1.39", "Errors-To: list-bounces@example.org",
                  'Sender: "list" <list-bounces@example.org>', "Archived-At: <https://example.org/1>") + \
        lines("", c, "", "_" * 47, "list mailing list")


@message("a newsletter: alternative with related HTML")
def newsletter(c):
    html = quopri.encodestring(f'<html><body style="color:red"><h1>{c} – Größe</h1><img src="cid:logo@example.org"></body></html>'.encode())
    return mime(f"=?utf-8?q?{c}_=E2=80=93_News?=", 'multipart/alternative; boundary="alt(1)"') + lines(
        "", "--alt(1)", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "", f"{c} – Größe", "--alt(1)",
        'Content-Type: multipart/related; type="text/html"; boundary="rel:2"', "", "--rel:2", "Content-Type: text/html; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable", "", html.replace(b"\n", b"\r\n"), "--rel:2", "Content-Type: image/png",
        "Content-ID: <logo@example.org>", "Content-Disposition: inline", "Content-Transfer-Encoding: base64", "") + b64(noise(400)) + \
        lines("--rel:2--", "", "--alt(1)--")


@message("a calendar invitation")
def calendar(c):
    return mime(f"{c} invitation", "multipart/alternative; boundary=b") + lines(
        "", "--b", "", f"Come, {c}.", "--b", 'Content-Type: text/calendar; method=REQUEST; charset="utf-8"', "", "BEGIN:VCALENDAR",
        "METHOD:REQUEST", "BEGIN:VEVENT", "UID:1@example.org", f"SUMMARY:{c}", "DTSTART:20200303T100000Z", "END:VEVENT", "END:VCALENDAR",
        "--b--")


@message("uuencoded text in a plain message")
def uuencoded(c):
    return header(f"{c} uuencode") + lines("", c, "begin 644 a.txt", '+:&5L;&\\@=V]R;&0', "`", "end")


# --- cryptography and size --------------------------------------------------------------------------------------------


@message("PGP/MIME encrypted (RFC 3156; its octets are made up)")
def pgp_mime(c):
    return mime(f"{c} ...", 'multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b') + lines(
        "", "--b", "Content-Type: application/pgp-encrypted", "", "Version: 1", "", "--b",
        'Content-Type: application/octet-stream; name="encrypted.asc"', "") + armour("PGP MESSAGE", c.encode() + noise(500)) + \
        lines("--b--")


@message("inline PGP")
def pgp_inline(c):
    return header(f"{c} inline pgp") + lines("", f"before {c}", "") + armour("PGP MESSAGE", noise(300)) + \
        lines("", "-----BEGIN PGP SIGNED MESSAGE-----", "Hash: SHA256", "", "- --dash escaped", "-----BEGIN PGP SIGNATURE-----", "") + \
        b64(noise(60)) + lines("-----END PGP SIGNATURE-----")


@message("S/MIME encrypted")
def smime_encrypted(c):
    return mime(f"{c} smime", 'application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"',
                "Content-Transfer-Encoding: base64", 'Content-Disposition: attachment; filename="smime.p7m"') + b"\r\n" + \
        b64(c.encode() + noise(700))


@message("S/MIME signed, the signed part with trailing white space")
def smime_signed(c):
    return mime(f"{c} signed", 'multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary="----=_sig"') + lines(
        "", "This is a signed message", "", "------=_sig", "Content-Type: text/plain", "", f"signed {c}  ", "", "", "------=_sig",
        'Content-Type: application/pkcs7-signature; name="smime.p7s"', "Content-Transfer-Encoding: base64", "") + b64(noise(300)) + \
        lines("------=_sig--")


@message("an attachment of 25 MB", big=True)
def attachment_25mb(c):
    octets = noise(1 << 20) * 25
    return mime(f"{c} large", "multipart/mixed; boundary=big") + lines(
        "", "--big", "", f"attached {c}", "--big", "Content-Type: application/zip", "Content-Transfer-Encoding: base64", "") + b64(octets) + \
        lines("--big--")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", nargs="?", type=pathlib.Path)
    parser.add_argument("--canary", default="canary", help="a word that stands in subjects and bodies")
    parser.add_argument("--small", action="store_true", help="leave out the files over 1 MB")
    parser.add_argument("--list", action="store_true", help="print names and what they are about")
    args = parser.parse_args()
    if args.list:
        for name, about, _, _ in MESSAGES:
            print(f"{name:28} {about}")
        return
    if args.directory is None:
        parser.error("name a directory")
    args.directory.mkdir(parents=True, exist_ok=True)
    for name, _, big, make in MESSAGES:
        if not (big and args.small):
            (args.directory / f"{name}.eml").write_bytes(make(args.canary))


if __name__ == "__main__":
    main()
