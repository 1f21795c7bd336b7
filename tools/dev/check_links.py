#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every relative link of the documentation leads to a file, and to a heading where it names one: check_links.py [ROOT]"""
import pathlib
import re
import sys

LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')


def anchors(page):
    headings = re.findall(r'^#+ +(.*)$', page.read_text(), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', h.lower()).replace(' ', '-') for h in headings}


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2]).resolve()
    pages = sorted([*root.glob('*.md'), *(root / 'docs').rglob('*.md')])
    links = wrong = 0
    for page in pages:
        prose = re.sub(r'```.*?```', '', page.read_text(), flags=re.DOTALL)
        for target in LINK.findall(prose):
            if re.match(r'[a-z]+:', target):
                continue
            links += 1
            path, _, anchor = target.partition('#')
            file = (page.parent / path).resolve() if path else page
            if not file.exists() or (anchor and file.suffix == '.md' and anchor not in anchors(file)):
                wrong += 1
                print(f'{page.relative_to(root)}: {target} leads nowhere')
    print(f'{links} links on {len(pages)} pages, {wrong} lead nowhere')
    return 1 if wrong or not pages else 0


if __name__ == '__main__':
    sys.exit(main())
