#!/usr/bin/env python3
"""Text of a terminal as an SVG that appears line by line: film.py <TEXT >SVG.

A line is a command where it begins with `$ `, and shown in red where v4run refuses. Without animation
everything is there at once.
"""

import sys
import textwrap
from xml.sax.saxutils import escape

COLUMNS = 100
WIDTH, HEIGHT = 8.4, 19


def lines(text):
    for line in text.rstrip().split("\n"):
        yield from textwrap.wrap(line, COLUMNS, subsequent_indent="  ", drop_whitespace=False) or [""]


def colour(line):
    if line.startswith("$ "):
        return "#8fd18f"
    if "refused" in line or line.startswith("[status"):
        return "#f0837c"
    if line.lstrip().startswith("hint:"):
        return "#e5c07b"
    return "#d8dee9"


def main():
    shown = list(lines(sys.stdin.read()))
    width, height = round(COLUMNS * WIDTH + 32), len(shown) * HEIGHT + 32
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">')
    print("<title>v4run refuses two installs</title>")
    print("<style>text{font:14px ui-monospace,Menlo,Consolas,monospace;white-space:pre;"
          "animation:a .01s both}@keyframes a{from{opacity:0}}"
          "@media(prefers-reduced-motion:reduce){text{animation:none}}</style>")
    print(f'<rect width="{width}" height="{height}" rx="8" fill="#1d2127"/>')
    clock = 0.0
    for number, line in enumerate(shown):
        clock += 1.2 if line.startswith("$ ") else 0.06
        y = 16 + HEIGHT * (number + 0.75)
        print(f'<text x="16" y="{y:.0f}" fill="{colour(line)}" style="animation-delay:{clock:.2f}s" '
              f'xml:space="preserve">{escape(line)}</text>')
    print("</svg>")


main()
