"""Foreign OpenPGP programs, each with a home of its own: whoever holds the key can open what fwmail sealed."""

import email
import email.policy
import os
import shutil
import subprocess
import unittest


def encrypted_part(message):
    """The OpenPGP message inside a PGP/MIME mail (RFC 3156 section 4)."""
    parts = email.message_from_bytes(message, policy=email.policy.default).get_payload()
    assert [part.get_content_type() for part in parts] == ["application/pgp-encrypted", "application/octet-stream"]
    return parts[1].get_payload(decode=True)


class Program:
    name = ""

    def __init__(self, home, key_file):
        if not shutil.which(self.name):
            raise unittest.SkipTest(f"{self.name} is not installed")
        self.home, self.key_file = home, key_file
        os.chmod(home, 0o700)
        self.set_up()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def set_up(self):
        pass

    def run(self, *command, input=None):
        done = subprocess.run(command, input=input, capture_output=True, timeout=60,
                              env=dict(os.environ, GNUPGHOME=self.home))
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.decode('utf-8', 'replace')}"
        return done.stdout


class Gpg(Program):
    name = "gpg"

    def set_up(self):
        self.run("gpg", "--batch", "--quiet", "--import", self.key_file)

    def decrypt(self, sealed):
        return self.run("gpg", "--batch", "--quiet", "--decrypt", input=sealed)

    def __exit__(self, *_):
        self.run("gpgconf", "--kill", "all")


class Sq(Program):
    name = "sq"

    def decrypt(self, sealed):
        return self.run("sq", "decrypt", "--recipient-key", self.key_file, input=sealed)


class Rnp(Program):
    name = "rnp"

    def set_up(self):
        self.run("rnpkeys", "--homedir", self.home, "--import-keys", self.key_file)

    def decrypt(self, sealed):
        command = ["rnp", "--homedir", self.home, "--password", "", "--decrypt"]
        return self.run(*command, "--output", "-", "-", input=sealed)
