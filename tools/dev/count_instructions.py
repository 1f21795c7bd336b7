#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the instructions of an uncontended pair with callgrind. They repeat exactly, as times do not.

  count_instructions.py PAIRS [LIST]            compares with LIST (tests/bench/instructions.txt); exit 1 where a pair has become longer
  count_instructions.py --update PAIRS [LIST]   rewrites the list, when the change is meant

PAIRS is the program build/gcc/tests/bench/pairs. What the kernel does is not counted.
"""
import argparse
import glob
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

LIST = pathlib.Path(__file__).parents[2] / 'tests/bench/instructions.txt'
PAIRS = 30
TOLERANCE = 0.02  # another g++ 12, another C library
UNTESTED = 77  # as meson has it


def count(program, backend):
    """Of one pair: of many one of the shortest, since now and then one looks at the file; on a busy machine, where pairs are far apart, most of them do."""
    with tempfile.TemporaryDirectory(prefix='sherlock-count-') as folder:
        segment = os.path.basename(folder)
        client = {'file': f'{folder}/locks', 'shm': segment, 'sqlite': f'{folder}/locks.db'}[backend]
        command = ['valgrind', '--tool=callgrind', '--collect-atstart=no', '--toggle-collect=one_pair', '--dump-after=one_pair',
                   f'--callgrind-out-file={folder}/count', program, backend, client, str(PAIRS)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        finally:
            for left in glob.glob(f'/dev/shm/{segment}*'):
                os.unlink(left)
        if done.returncode != 0:
            raise RuntimeError(f'{backend}: {done.stderr.strip()[-2000:]}')
        counts = []
        for dump in glob.glob(f'{folder}/count.*'):
            text = pathlib.Path(dump).read_text()
            counts += [int(n) for n in re.findall(r'^(?:summary|totals): (\d+)', text, re.M)[:1] if int(n) > 0]
    if len(counts) < PAIRS:
        raise RuntimeError(f'{backend}: callgrind saw {len(counts)} pairs of {PAIRS}')
    return sorted(counts)[len(counts) // 10]


def read(path):
    lines = [line.split() for line in path.read_text().splitlines() if line and not line.startswith('#')]
    return {backend: int(number) for backend, number in lines}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--update', action='store_true')
    parser.add_argument('pairs')
    parser.add_argument('list', nargs='?', type=pathlib.Path, default=LIST)
    asked = parser.parse_args()
    if not shutil.which('valgrind'):
        print('skipped: valgrind is not installed')
        return UNTESTED

    listed = read(asked.list)
    found = {backend: count(asked.pairs, backend) for backend in listed}
    if asked.update:
        head = [line for line in asked.list.read_text().splitlines() if line.startswith('#')]
        asked.list.write_text('\n'.join(head + [f'{backend} {number}' for backend, number in found.items()]) + '\n')
    worse = [backend for backend in listed if found[backend] > listed[backend] * (1 + TOLERANCE) and not asked.update]
    for backend, number in found.items():
        print(f'{backend}: {number} instructions a pair, {listed[backend]} listed' + (': too many' if backend in worse else ''))
        if number < listed[backend] * (1 - TOLERANCE) and not asked.update:
            print(f'  fewer than listed: keep it so, with --update')
    if worse:
        print(f'If this is meant: {sys.argv[0]} --update {asked.pairs}')
    return 1 if worse else 0


if __name__ == '__main__':
    sys.exit(main())
