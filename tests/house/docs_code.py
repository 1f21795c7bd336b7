#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every C++ block of the documentation is part of a program under docs/examples, or of an add-on: it is compiled, and run by a test.

  docs_code.py [ROOT]

A block may stand there indented, nothing else may differ. Says which block is found nowhere, and ends with 1 if there is one.
"""
import pathlib
import re
import sys
import textwrap

FENCE = re.compile(r"^( *)```cpp\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def tidy(lines):
    return textwrap.dedent("\n".join(line.rstrip() for line in lines))


def occurs(block, program):
    return any(tidy(program[i : i + len(block)]) == tidy(block) for i in range(len(program) - len(block) + 1))


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    sources = [p for place in ("docs/examples", "src/addons") for p in sorted((root / place).rglob("*"))]
    programs = [p.read_text().splitlines() for p in sources if p.suffix in (".cpp", ".hpp")]
    pages = [p for p in [root / "README.md", *sorted((root / "docs").rglob("*.md"))] if p.exists()]
    found = missing = 0
    for page in pages:
        text = page.read_text()
        for match in FENCE.finditer(text):
            block = match.group(2).splitlines()
            if any(occurs(block, program) for program in programs):
                found += 1
                continue
            missing += 1
            line = text.count("\n", 0, match.start()) + 1
            print(f"{page}:{line}: this block is in no file of docs/examples or src/addons; it begins with: {block[0] if block else '(nothing)'}")
        if text.count("```cpp") != len(FENCE.findall(text)):
            missing += 1
            print(f"{page}: a ```cpp without its end")
    print(f"{found} blocks on {len(pages)} pages are part of a program, {missing} are not")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
