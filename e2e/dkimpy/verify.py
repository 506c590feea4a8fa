"""Checks every DKIM signature of the mail on standard input with dkimpy, against the records in the JSON file that the
first argument names ({name: value}), and prints a list of {domain, selector, algorithm, ok, why}."""

import json
import sys

import dkim


def main():
    with open(sys.argv[1]) as file:
        records = {f"{name}.".encode(): value.encode() for name, value in json.load(file).items()}
    mail = sys.stdin.buffer.read()
    found = []
    for index in range(sum(name.lower() == b"dkim-signature" for name, _ in dkim.DKIM(mail).headers)):
        # One for each: it keeps what it has read.
        checker = dkim.DKIM(mail)
        ok, why = False, None
        try:
            ok = checker.verify(index, dnsfunc=lambda name, timeout=5: records.get(name))
        except dkim.DKIMException as error:
            why = f"{type(error).__name__}: {error}"
        tag = lambda name: checker.signature_fields.get(name, b"").decode()
        found.append({"domain": tag(b"d"), "selector": tag(b"s"), "algorithm": tag(b"a"), "ok": ok, "why": why})
    json.dump(found, sys.stdout)


main()
