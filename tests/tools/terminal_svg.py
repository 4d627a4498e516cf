#!/usr/bin/env python3
"""A terminal's screen as a picture that looks the same everywhere: text as text, blocks as rectangles.

    tmux capture-pane -e -p | tests/tools/terminal_svg.py > docs/images/watch.svg
"""
import re
import sys
import unicodedata
from html import escape

CELL, LINE, MARGIN = 8.4, 18, 14  # of 14 px text
COLOURS = {"": "#d7dae0", "31": "#ef6b73", "32": "#8cc265", "33": "#d9a343", "36": "#4fb7c5"}
BLOCKS = "▁▂▃▄▅▆▇█"


def cells(line, style):
    """(character, style) of each; a style is (colour, bold, dim)."""
    for escape_code, character in re.findall(r"\033\[([0-9;]*)m|([^\033])", line):
        if character:
            yield character, tuple(style)
            continue
        for code in (escape_code or "0").split(";"):
            if code in ("0", "00", ""):
                style[:] = ["", False, False]
            elif code == "1":
                style[1] = True
            elif code == "2":
                style[2] = True
            elif code == "22":
                style[1:] = [False, False]
            elif code in COLOURS or code == "39":
                style[0] = "" if code == "39" else code


def columns_of(character):
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def runs(line, style):
    """(column, text, style) of neighbours that look alike; a block stands alone with its repeats."""
    found, column = [], 0
    for character, how in cells(line, style):
        kind = character if character in BLOCKS + "░" else "text"
        if found and found[-1][2] == how and found[-1][3] == kind:
            found[-1][1] += character
        else:
            found.append([column, character, how, kind])
        column += columns_of(character)
    return found, column


def draw(column, text, how, kind, row):
    colour, bold, dim = how
    fill = COLOURS[colour]
    x, y = MARGIN + column * CELL, MARGIN + row * LINE
    opacity = ' opacity="0.62"' if dim else ""
    if kind != "text":
        height = LINE * (1 if kind == "░" else (BLOCKS.index(kind) + 1) / 8)
        if kind == "░":
            opacity = ' opacity="0.18"'
        return (f'<rect x="{x:.1f}" y="{y + LINE - height:.2f}" width="{len(text) * CELL:.1f}" '
                f'height="{height:.2f}" fill="{fill}"{opacity}/>')
    if not text.strip():
        return ""
    lead = len(text) - len(text.lstrip(" "))
    x, text = x + lead * CELL, text.strip(" ")
    width = sum(map(columns_of, text)) * CELL
    weight = ' font-weight="bold"' if bold else ""
    return (f'<text x="{x:.1f}" y="{y + 13.5:.1f}" textLength="{width:.1f}" fill="{fill}"{weight}{opacity}>'
            f"{escape(text)}</text>")


def main():
    lines = sys.stdin.read().rstrip("\n").split("\n")
    style, parts, n_columns = ["", False, False], [], 0
    for row, line in enumerate(lines):
        found, n = runs(line, style)
        n_columns = max(n_columns, n)
        parts += [draw(*run, row) for run in found]
    width, height = n_columns * CELL + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
          f'width="{width:.0f}" height="{height:.0f}" font-size="14" style="white-space: pre" '
          'font-family="ui-monospace, \'DejaVu Sans Mono\', Menlo, Consolas, monospace">')
    print(f'<rect width="{width:.0f}" height="{height:.0f}" rx="6" fill="#1b1e24"/>')
    print("\n".join(part for part in parts if part))
    print("</svg>")


main()
