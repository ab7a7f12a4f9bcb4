#!/usr/bin/env python3
"""Writes the figures of the last suite into SECURITY.md, between two marks.

Usage: scripts/figures.py DIRECTORY. The directory holds what the suite left where V4RUN_SCORES named it:
one JSON file a score, with the line that was printed. Nothing is computed or rounded here. Each figure is
stamped with the commit and the kernel that it was taken on.
"""
import json
import os
import pathlib
import platform
import subprocess
import sys

START = "<!-- figures: scripts/figures.py writes what stands here -->\n"
END = "<!-- end of figures -->\n"


def main() -> None:
    scores = sorted(pathlib.Path(sys.argv[1]).glob("*.json"))
    if not scores:
        sys.exit("no scores: run the suite with V4RUN_SCORES")
    page = pathlib.Path(__file__).resolve().parent.parent / "SECURITY.md"
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=page.parent, capture_output=True, text=True, check=False,
    ).stdout.strip() or "unknown"
    lines = [f"Commit {commit}, Linux {platform.release()} on {platform.machine()}, {os.cpu_count()} processors.\n\n"]
    for score in scores:
        read = json.loads(score.read_text())
        lines.append(f"- {score.stem}: {read['line']}\n")
    text = page.read_text()
    before, rest = text.split(START, 1)
    after = rest.split(END, 1)[1]
    page.write_text(before + START + "".join(lines) + END + after)


main()
