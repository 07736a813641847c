"""A handful of mails, each for something that servers see differently. Names are what a replay shows."""


def crlf(text):
    return text.replace("\n", "\r\n").encode("latin-1")


HEAD = """From: Ann Example <ann@example.org>
To: "Bob, the other" <bob@example.com>, carol@example.net
Subject: {subject}
Date: Wed, 11 Mar 2026 10:20:30 +0100
Message-ID: <{subject}.1@example.org>
"""

PLAIN = HEAD.format(subject="plain") + "\nHello world\nsecond line of text\n"

MIXED = HEAD.format(subject="mixed") + """Cc: Dave <dave@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=_outer"

preamble
--=_outer
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe aus K=C3=B6ln
soft=
break
--=_outer
Content-Type: application/octet-stream; name="a file.bin"
Content-Disposition: attachment; filename="a file.bin"; size=9
Content-Transfer-Encoding: base64
Content-ID: <part2@example.org>
Content-Description: nine octets
Content-Language: de, en
Content-Location: http://example.org/x
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==

AAECAwQFBgcI
--=_outer--
epilogue
"""

ALTERNATIVE = HEAD.format(subject="alternative") + """MIME-Version: 1.0
Content-Type: multipart/related; boundary=rel; type="multipart/alternative"

--rel
Content-Type: multipart/alternative; boundary="alt"

--alt
Content-Type: text/plain; charset="iso-8859-1"
Content-Transfer-Encoding: 8bit

caf\xe9 plain
--alt
Content-Type: text/html; charset=us-ascii

<html><body><p>caf&eacute; <b>html</b></p></body></html>
--alt--

--rel
Content-Type: image/png
Content-Transfer-Encoding: base64
Content-Disposition: inline

iVBORw0KGgo=
--rel--
"""

NESTED = HEAD.format(subject="nested") + """MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b1

--b1

no header of its own
--b1
Content-Type: message/rfc822
Content-Description: a forwarded one

From: inner@example.org
To: ann@example.org
Subject: the inner one
Date: Tue, 10 Mar 2026 09:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=b2

--b2
Content-Type: text/plain

inner plain text
--b2
Content-Type: text/html

<p>inner html</p>
--b2--
--b1
Content-Type: message/rfc822

Subject: flat inner
From: flat@example.org

flat text
--b1--
"""

DIGEST = HEAD.format(subject="digest") + """MIME-Version: 1.0
Content-Type: multipart/digest; boundary=dig

--dig

Subject: first of the digest
From: one@example.org

digest text one
--dig

Subject: second of the digest
From: two@example.org

digest text two
--dig--
"""

REPORT = HEAD.format(subject="report") + """MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=rep

--rep

It could not be delivered.
--rep
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; nobody@example.org
Action: failed
Status: 5.1.1
--rep
Content-Type: text/rfc822-headers

Subject: what was sent
--rep--
"""

RFC822 = HEAD.format(subject="rfc822") + """MIME-Version: 1.0
Content-Type: message/rfc822

From: within@example.org
Subject: all of it
Content-Type: text/plain; charset=us-ascii

the text within
"""

HEADER_ONLY = HEAD.format(subject="header-only")
HEADER_AND_BLANK = HEAD.format(subject="no-body") + "\n"
NO_HEADER = "\nonly a body, behind an empty line\n"

ENCODED = """From: =?utf-8?Q?J=C3=BCrgen?= <juergen@example.org>
Sender: secretary@example.org
Reply-To: replies@example.org, Other <other@example.org>
To: undisclosed-recipients:;
Cc: A group: one@example.org, Two <two@example.org>;, three@example.org
Bcc: hidden@example.org
Subject: =?utf-8?B?R3LDvMOfZQ==?= =?iso-8859-1?Q?_caf=E9?=
Date: Thu, 12 Mar 2026 23:59:59 -0800
In-Reply-To: <plain.1@example.org>
References: <plain.1@example.org> <mixed.1@example.org>
Message-ID: <encoded.1@example.org>
Received: from a by b; Thu, 12 Mar 2026 23:59:59 -0800
Received: from c by d; Thu, 12 Mar 2026 23:59:58 -0800
X-Long: one
 two
\tthree
X-Empty:
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8; format=flowed
Content-Transfer-Encoding: base64

R3LDvMOfZSBhdXMgS8O2bG4sIHVuZCBub2NoIGVpbmUgWmVpbGUuCg==
"""

COMMENTS = """From: "Quoted \\"name\\"" (a comment) <quoted@example.org>
To: <@route.example.org:routed@example.org>
Subject:    spaces   within
Date: 11 Mar 2026 10:20:30 GMT
Message-ID: <comments.1@example.org> (comment)
Content-Type: TEXT/Plain; CHARSET="UTF-8"; name*0="long "; name*1="name.txt" (comment)
Content-Disposition: Attachment; FileName*=utf-8''%e2%82%ac.txt

text
"""

BROKEN_MIME = HEAD.format(subject="broken") + """MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="never closed"

--never closed
Content-Type: text/plain

first part
--never closed
Content-Type: text/html

second part, and no end
"""

NO_BOUNDARY = HEAD.format(subject="noboundary") + """MIME-Version: 1.0
Content-Type: multipart/mixed

text without any boundary
"""

EMPTY_MULTIPART = HEAD.format(subject="emptymultipart") + """MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x--
"""

LONG_LINES = HEAD.format(subject="long") + "X-Long: " + "y" * 3000 + "\n\n" + "z" * 6000 + "\nend\n"
EIGHT_BIT = """From: J\xfcrgen <j@example.org>
Subject: caf\xe9 8-bit header
Date: Wed, 11 Mar 2026 10:20:30 +0100
Content-Type: text/plain; charset=iso-8859-1

body with caf\xe9
"""
UTF8_HEADER = """From: J\xc3\xbcrgen <j@example.org>
Subject: caf\xc3\xa9 in UTF-8
Content-Type: text/plain; charset=utf-8

body with caf\xc3\xa9
"""
DOTS = HEAD.format(subject="dots") + "\n.\n..\n.leading dot\n\n\n"
ODD_FIELDS = """Subject: odd fields
NoColonHere
From : space@example.org
To:nospace@example.org
Subject: twice
Date: not a date
Message-ID: no brackets

odd
"""
REPLY = HEAD.format(subject="reply").replace("Subject: reply", "Subject: Re: [list] plain") \
    + "In-Reply-To: <plain.1@example.org>\n\nan answer\n"
SECOND_REPLY = HEAD.format(subject="second").replace("Subject: second", "Subject: Fwd: Re: plain (fwd)").replace(
    "11 Mar 2026 10:20:30 +0100", "11 Mar 2026 04:00:00 -0600") \
    + "References: <gone@example.org> <plain.1@example.org>\n <reply.1@example.org>\n\nanother answer\n"
NO_FINAL_NEWLINE = HEAD.format(subject="nonewline") + "\nends without a line end"

# What every store keeps as it is.
FAITHFUL = {name: crlf(text) for name, text in {
    "plain": PLAIN, "mixed": MIXED, "alternative": ALTERNATIVE, "nested": NESTED, "digest": DIGEST,
    "report": REPORT, "rfc822": RFC822, "header-and-blank": HEADER_AND_BLANK, "encoded": ENCODED,
    "comments": COMMENTS, "long-lines": LONG_LINES, "dots": DOTS, "utf8-header": UTF8_HEADER, "reply": REPLY,
    "second-reply": SECOND_REPLY}.items()}
FAITHFUL["no-final-newline"] = crlf(NO_FINAL_NEWLINE)

# What some store would rather not have.
ODD = {name: crlf(text) for name, text in {
    "header-only": HEADER_ONLY, "no-header": NO_HEADER, "broken-mime": BROKEN_MIME, "no-boundary": NO_BOUNDARY,
    "empty-multipart": EMPTY_MULTIPART, "eight-bit": EIGHT_BIT, "odd-fields": ODD_FIELDS}.items()}
ODD["bare-lf"] = PLAIN.encode().replace(b"plain", b"bare-lf")
ODD["nul"] = crlf(PLAIN.replace("plain", "nul")).replace(b"second", b"sec\0nd")
ODD["one-octet"] = b"x"
ODD["only-crlf"] = b"\r\n"

MAILS = FAITHFUL | ODD
