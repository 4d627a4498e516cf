#!/usr/bin/env python3
"""Links of the pages to files and headings of this project that are not there: one line each. Pages are the arguments."""
import os
import re
import sys


def headings(path):
    """The anchors that a page's headings make, as GitHub names them."""
    with open(path, encoding="utf-8") as f:
        titles = re.findall(r"^#+ (.*)", f.read(), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


def broken(page):
    with open(page, encoding="utf-8") as f:
        text = re.sub(r"```.*?```", "", f.read(), flags=re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        if not os.path.exists(target):
            yield f"{page}: {link}: no such file"
        elif anchor and target.endswith(".md") and anchor not in headings(target):
            yield f"{page}: {link}: no such heading"


for name in sys.argv[1:]:
    for line in broken(name):
        print(line)
