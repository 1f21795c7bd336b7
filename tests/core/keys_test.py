#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Computes the keys of keys.txt with Python's own uuid module: what docs promise to other programs, and our C++, agree."""
import hashlib
import sys
import urllib.parse
import uuid

NAMESPACE = uuid.UUID("5b9f5b0e-4a1d-5c53-9d5c-7d6a1c0f2e61")
READABLE = b"abcdefghijklmnopqrstuvwxyz0123456789-_"


def decoded(text):
    return b"" if text == "-" else urllib.parse.unquote_to_bytes(text)


def digits(ns, name):
    text = b"%d:" % len(ns) + ns + name
    try:
        return uuid.uuid5(NAMESPACE, text.decode()).hex
    except UnicodeDecodeError:  # uuid5 takes text only; RFC 4122, section 4.3, takes bytes
        return uuid.UUID(bytes=hashlib.sha1(NAMESPACE.bytes + text).digest()[:16], version=5).hex


def readable(name):
    shown = bytes(c if c in READABLE else ord("_") for c in name[:40].lower())
    return (b"_" + shown[1:] if shown.startswith(b"-") else shown).decode()


def main(path):
    wrong = count = 0
    with open(path, encoding="ascii") as file:
        for line in file:
            if not line.strip() or line.startswith("#"):
                continue
            ns, name, key = line.split()
            ns, name = decoded(ns), decoded(name)
            count += 1
            expected = readable(name) + "-" + digits(ns, name)
            if key != expected:
                wrong += 1
                print(f"{ns!r} {name!r}: {key} should be {expected}")
    print(f"{count} keys, {wrong} wrong")
    return 0 if count >= 15 and not wrong else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
