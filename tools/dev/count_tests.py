#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sums up runs of `meson test`: count_tests.py [--broken NAME]... [--left-out NAME]... BUILD_DIR...

A program that uses Catch2 counts as many tests as it has test cases, one that ends with a line like ours as many as it says there, everything
else as one. The end of what a failed test printed is shown: of a long log it is the end that is kept. --broken is a run that could not be made,
--left-out one that this machine cannot do. The last line is "N passed, N failed", and ", N skipped" where there are.
"""
import argparse
import json
import pathlib
import re
import sys

SKIPPED, GOOD = ('SKIP',), ('OK', 'EXPECTEDFAIL')
SHOWN = 25  # lines of a failed test, of each of its outputs


def cases(output):
    """Passed, failed and skipped tests as the program says in its last lines; nothing where there is no such line."""
    if found := re.search(r'^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*\Z', output, re.MULTILINE):
        return [int(n or 0) for n in found.groups()]
    if found := re.findall(r'^All tests passed \(.* in (\d+) test cases?\)', output, re.MULTILINE):
        return sum(map(int, found)), 0, 0
    if found := re.findall(r'^test cases: *(\d+)(.*)', output, re.MULTILINE):
        failed = sum(int(n) for _, rest in found for n in re.findall(r'(\d+) failed(?! as)', rest))
        return sum(int(total) for total, _ in found) - failed, failed, 0
    return 0, 0, 0


def count(result, output):
    passed, failed, skipped = cases(output)
    if result in SKIPPED:
        return 0, 0, 1
    if result in GOOD:
        return max(passed, 1), 0, skipped
    return passed, max(failed, 1), skipped  # it failed, whatever the summary says


def last_words(test):
    for name in 'stdout', 'stderr':
        for line in test.get(name, '').rstrip().splitlines()[-SHOWN:]:
            yield f'      | {line}'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--broken', action='append', default=[])
    parser.add_argument('--left-out', action='append', default=[])
    parser.add_argument('builds', nargs='*', type=pathlib.Path)
    asked = parser.parse_args()

    totals = [0, len(asked.broken), len(asked.left_out)]
    for name in asked.broken:
        print(f'  {name}: could not be made')
    for name in asked.left_out:
        print(f'  {name}: left out, this machine cannot')
    for build in asked.builds:
        here, bad = [0, 0, 0], []
        log = build / 'meson-logs/testlog.json'
        for line in log.read_text().splitlines() if log.exists() else []:
            test = json.loads(line)
            counts = count(test['result'], test.get('stdout', ''))
            here = [a + b for a, b in zip(here, counts)]
            if counts[1]:
                bad += [f'    {test["result"].lower()}: {test["name"]}', *last_words(test)]
        if not any(here):
            here[1] = 1
            bad.append('    no test ran')
        print(f'  {build.name}: {here[0]} passed, {here[1]} failed, {here[2]} skipped', *bad, sep='\n')
        totals = [a + b for a, b in zip(totals, here)]

    print(f'{totals[0]} passed, {totals[1]} failed' + (f', {totals[2]} skipped' if totals[2] else ''))
    return 1 if totals[1] or not totals[0] else 0


if __name__ == '__main__':
    sys.exit(main())
