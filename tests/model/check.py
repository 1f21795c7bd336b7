#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the models with spin, every state of them, and sees that broken ones are found broken.

  check.py [WORD ...]     only runs with one of these words in their names

Exits with 77 where spin or a C compiler is missing.
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
MEGABYTES = 620  # for one run; two run at the same time, and seldom two large ones

EXCLUSION, STUCK, ASLEEP, NO_END = 'assertion violated', 'invalid end state', 'lapses<=', 'non-progress cycle'


class Run:
    """What is given to spin's preprocessor, and what is to be found: nothing, or a word of pan's complaint."""

    def __init__(self, name, model, options, broken=None, liveness=False):
        self.name, self.model, self.options, self.broken, self.liveness = name, model, options.split(), broken, liveness


KEPT = [
    # The largest first: they are begun first.
    Run('3 processes, 2 deaths', 'waiting', 'SLICES=1 CRASHES=2 COMPETE=0'),
    Run('3 processes, woken by wakes alone, one of them twice', 'waiting', 'SLICES=0 TWICE=1'),
    Run('3 processes, woken by wakes alone, heirs called before the release', 'waiting', 'SLICES=0 CALLS LEAVERS=1'),
    Run('2 processes, 1 death, early slices, tries, heirs called before the release', 'waiting', 'PROCS=2 SLICES=2 CRASHES=1 TRIES CALLS'),
    Run('3 processes with leases, 2 deaths', 'lease', 'CRASHES=2 COMPETE=0 LAST_TICK=4'),
    Run('2 processes, 2 deaths, early slices, tries, one gives up', 'waiting', 'PROCS=2 SLICES=2 CRASHES=2 TRIES ELDERS LEAVERS=1'),
    Run('3 processes, woken by wakes alone, elders, tries, one gives up', 'waiting', 'SLICES=0 ELDERS TRIES LEAVERS=1'),
    Run('2 processes with leases, 1 death, every run ends', 'lease', 'PROCS=2 CRASHES=1', liveness=True),
    Run('2 processes, 1 death, every run ends', 'waiting', 'PROCS=2 SLICES=3 CRASHES=1 TRIES', liveness=True),
]

BROKEN = [
    Run('wake of the heir dropped', 'waiting', 'SLICES=0 DROP_WAKE', STUCK),
    Run('call of the heir dropped', 'waiting', 'SLICES=0 CALLS DROP_CALL', STUCK),
    Run('no promotion at a release', 'waiting', 'SLICES=0 DROP_PROMOTE', STUCK),
    Run('queue mark cleared without one more wake', 'waiting', 'SLICES=0 ONE_BUMP', STUCK),
    Run('queue mark cleared with one more woken', 'waiting', 'SLICES=0 TWICE=1 ONE_WOKEN', STUCK),
    Run('futexes read after the word', 'waiting', 'SLICES=0 LATE_FUTEX', STUCK),
    Run('owner stored after the swap', 'waiting', 'PROCS=2 SLICES=1 CRASHES=1 OWNER_LATER', EXCLUSION),
    Run('reservation of the dead respected', 'waiting', 'PROCS=2 SLICES=1 CRASHES=1 TRUST_RESERVATION', ASLEEP),
    Run('reservation of the dead respected, for ever', 'waiting', 'PROCS=2 SLICES=3 CRASHES=1 TRUST_RESERVATION', NO_END, liveness=True),
    Run('slots with a generation of 1 bit', 'waiting', 'PROCS=2 SLICES=1 CRASHES=2 GENERATIONS=2', ASLEEP),
    Run('slots without a generation, for ever', 'waiting', 'PROCS=2 SLICES=3 CRASHES=1 GENERATIONS=1', NO_END, liveness=True),
    Run('leases, slots with a generation of 1 bit', 'lease', 'PROCS=2 CRASHES=2 GENERATIONS=2', STUCK),
    Run('take-over without marking the lease as over', 'lease', 'PROCS=2 NO_MARK_OVER', EXCLUSION),
    Run('renewal that stores its record blindly', 'lease', 'PROCS=2 RENEW_BLINDLY', EXCLUSION),
    Run('release that does not look whose word it is', 'lease', 'RELEASE_BLINDLY', EXCLUSION),
    Run('records that do not say of which hold they are', 'lease', 'RECORD_WITHOUT_TAG', EXCLUSION),
]


def check(run):
    """What is wrong with the outcome, or nothing; and how many states there were."""
    with tempfile.TemporaryDirectory() as place:
        def call(*words):
            return subprocess.run(words, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

        made = call('spin', '-a', *('-D' + option for option in run.options), str(HERE / f'{run.model}.pml'))
        if not os.path.exists(os.path.join(place, 'pan.c')):
            return made.stdout, 0
        built = call('cc', '-w', '-O0' if run.broken else '-O2', '-DCOLLAPSE', f'-DMEMLIM={MEGABYTES}', '-DNP' if run.liveness else '-DSAFETY', '-DNFAIR=3',
                     '-o', 'pan', 'pan.c')
        if built.returncode != 0:
            return built.stdout, 0
        out = call('./pan', '-m20000', '-w19' if run.broken else '-w23', *(['-l', '-f'] if run.liveness else [])).stdout
    states = int(re.search(r'(\d+) states, stored', out).group(1)) if 'states, stored' in out else 0
    if run.broken:
        return ('' if run.broken in out and 'errors: 1' in out else 'not found broken:\n' + out), states
    complete = 'errors: 0' in out and not re.search('too small|not completed|out of memory|reached -DMEMLIM', out)
    return ('' if complete else out), states


def main():
    missing = [tool for tool in ('spin', 'cc') if not shutil.which(tool)]
    if missing:
        print(f'skipped: no {" and no ".join(missing)}')
        sys.exit(77)
    words = sys.argv[1:]
    runs = [run for run in KEPT + BROKEN if not words or any(word in run.name for word in words)]
    failed = 0

    def timed(run):
        before = time.monotonic()
        return check(run), time.monotonic() - before

    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for run, ((wrong, states), took) in zip(runs, pool.map(timed, runs)):
            outcome = 'WRONG' if wrong else 'found' if run.broken else 'kept'
            print(f'{outcome}: {run.model}, {run.name}: {states:,} states, {took:.1f} s', flush=True)
            if wrong:
                print(wrong)
                failed += 1
    print(f'{len(runs) - failed} passed, {failed} failed')
    sys.exit(failed != 0 or not runs)


if __name__ == '__main__':
    main()
