#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares what the shared library exports with tests/house/symbols.txt: every change of the interface shows in review.

  check_symbols.py LIBRARY [LIST]            exit 1 and the differences
  check_symbols.py --update LIBRARY [LIST]   rewrites the list
"""
import argparse
import difflib
import pathlib
import subprocess
import sys

LIST = pathlib.Path(__file__).parents[2] / 'tests/house/symbols.txt'


def exported(library):
    lines = subprocess.run(['nm', '--dynamic', '--defined-only', '--demangle', library], check=True, capture_output=True, text=True).stdout
    names = set()
    for line in lines.splitlines():
        kind, name = line[17:].split(' ', 1)
        name = name.split('@@')[0]
        if kind != 'A':  # the name of the version itself
            names.add(name.replace('[abi:cxx11]', ''))
    return sorted(names)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--update', action='store_true')
    parser.add_argument('library')
    parser.add_argument('list', nargs='?', type=pathlib.Path, default=LIST)
    asked = parser.parse_args()

    found = exported(asked.library)
    if asked.update:
        asked.list.write_text('\n'.join(found) + '\n')
        print(f'{asked.list}: {len(found)} symbols')
        return 0
    listed = asked.list.read_text().splitlines()
    for line in difflib.unified_diff(listed, found, str(asked.list), asked.library, lineterm='', n=0):
        print(line)
    strangers = [name for name in found if 'sherlock::' not in name]
    for name in strangers:
        print(f'not ours: {name}')
    if found != listed:
        print(f'If this is meant: {sys.argv[0]} --update {asked.library}')
    return 1 if strangers or found != listed or not found else 0


if __name__ == '__main__':
    sys.exit(main())
