"""Reads a mail from standard input and prints what it holds as JSON; of files that are named, a list.

Owns no opinion of what a mail should hold.
"""

import email
import email.policy
import html.parser
import json
import re
import sys


class Links(html.parser.HTMLParser):
    """Collects where links lead and what a mail program would fetch from elsewhere."""

    def __init__(self):
        super().__init__()
        self.links = []
        self.remote = []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "href":
                self.links.append(value)
            elif name in ("src", "background", "srcset", "poster", "action"):
                self.remote.append(f"{tag} {name}={value}")
            elif name == "style" and "url(" in (value or ""):
                self.remote.append(f"{tag} style={value}")


def parse(raw):
    try:
        raw.partition(b"\r\n\r\n")[0].decode("ascii")
        return email.message_from_bytes(raw, policy=email.policy.default)
    except UnicodeDecodeError:
        # A header in UTF-8 (RFC 6532), which the module reads from text alone.
        return email.message_from_string(raw.decode("utf-8"), policy=email.policy.default)


def look(raw):
    message = parse(raw)
    parts = [part for part in message.walk() if not part.is_multipart()]
    text, html_text = (
        next((p.get_content() for p in parts if p.get_content_type() == kind), None)
        for kind in ("text/plain", "text/html")
    )
    links = Links()
    links.feed(html_text or "")
    return {
        "headers": [[name, str(value)] for name, value in message.items()],
        "type": message.get_content_type(),
        "parts": [p.get_content_type() for p in parts],
        "text": text,
        "html": html_text,
        "textLinks": re.findall(r"[a-z][a-z0-9+.-]*://[^\s<>\"]+", text or ""),
        "htmlLinks": links.links,
        "remote": links.remote,
        "defects": [repr(d) for p in message.walk() for d in p.defects],
        "longestLine": max((len(line) for line in re.split(rb"\r?\n", raw)), default=0),
        "bareLineFeeds": len(re.findall(rb"(?<!\r)\n", raw)),
    }


def main():
    files = sys.argv[1:]
    found = [look(open(file, "rb").read()) for file in files] if files else look(sys.stdin.buffer.read())
    json.dump(found, sys.stdout)


main()
