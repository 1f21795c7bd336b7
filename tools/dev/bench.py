#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The benchmark's front: runs the programs of tests/bench, section by section, and shows what they measured. tools/bench builds them first."""
import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import bench_pictures
import bench_tables
import count_instructions
import machine

# In the order in which they are run. Seconds are what each takes in full, where nothing else runs.
SECTIONS = {
    'pair': 'lock() and unlock() of a free lock, without and with a lease',
    'hand-off': 'from a release to the next holder, which slept',
    'contention': '2 to 64 processes that all want one lock: throughput, changes of holder, fairness',
    'turns': '2 and 16 processes that hold it for a millisecond: does anybody wait too long',
    'death': 'from the SIGKILL of a holder to the next holder',
    'names': '1,000 to 100,000 names: how cost grows, and memory',
    'waiters': '1 to 1,000 waiters: does a release wake one or all, and memory',
    'start': 'from the start of a process to its first lock',
    'run': 'sherlock run beside flock(1), the whole process',
    'foreign': 'a foreign flock(1) lets go',
    'looks': 'locked() and holder() beside try_acquire()',
    'idle': 'what an idle waiter takes of a processor',
    'torture': 'random SIGKILLs and leases that end, for a minute each: do the promises hold',
    'instructions': 'of an uncontended pair, counted by callgrind',
}
BACKENDS = ('file', 'shm', 'sqlite')


class Live:
    """What goes on: on a terminal one line that the next one overwrites, elsewhere a line a section."""

    def __init__(self):
        self.terminal, self.began = sys.stderr.isatty(), time.monotonic()

    def clock(self):
        seconds = int(time.monotonic() - self.began)
        return f'[{seconds // 60}m{seconds % 60:02}s]'

    def section(self, name, number, of):
        text = f'{self.clock()} {number} of {of}: {name}: {SECTIONS[name]}'
        print(('\r\033[K' if self.terminal else 'bench: ') + text, file=sys.stderr, flush=True)

    def detail(self, text):
        if self.terminal:
            print(f'\r\033[K{self.clock()}   {text}'[:150], end='', file=sys.stderr, flush=True)

    def end(self):
        if self.terminal:
            print('\r\033[K', end='', file=sys.stderr, flush=True)


class Runner:
    def __init__(self, build, amount, live, work):
        self.build, self.amount, self.live, self.work = build, amount, live, work

    def run(self, command):
        """What it printed, line by line; what it says to stderr goes to the line that shows what goes on."""
        environment = {**os.environ, 'TMPDIR': self.work}
        errors = []
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)
        try:
            with tempfile.TemporaryFile('w+') as out:
                copier = subprocess.Popen(['cat'], stdin=process.stdout, stdout=out)
                for line in process.stderr:
                    errors.append(line)
                    self.live.detail(line.strip())
                copier.wait()
                out.seek(0)
                lines = out.read().splitlines()
            code = process.wait()
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)  # whoever is left, and all of them after ^C
            except ProcessLookupError:
                pass
        return code, lines, ''.join(errors)

    def bench(self, section):
        size = [] if self.amount == 'full' else ['--quick']
        code, lines, errors = self.run([self.build / 'tests/bench/bench', section, '--json', '--sherlock', self.build / 'tools/sherlock/sherlock', *size])
        if code != 0:
            raise RuntimeError(f'{section}: {errors[-2000:]}')
        found = [json.loads(line) for line in lines]
        return [f for f in found if 'what' in f], [f['note'] for f in found if 'note' in f]

    def torture(self):
        """What the stress programs count, against what is promised for a minute of it."""
        figures, notes = [], []
        kill_seconds, lease_seconds = (60, 5) if self.amount == 'full' else (4, 2)
        least = {'file': 5e6, 'shm': 50e6, 'sqlite': 50e3}
        for backend in BACKENDS:
            for run, seconds in (('kill', kill_seconds), ('lease', lease_seconds)):
                self.live.detail(f'torture: {backend}, {run}, {seconds} s')
                code, lines, errors = self.run([self.build / 'tests/stress/stress', '--run', run, '--backend', backend, '--seconds', str(seconds)])
                said = next((line for line in lines if line.startswith(f'{run}, {backend},')), None)
                if said is None:
                    raise RuntimeError(f'torture: {backend}, {run}: {lines} {errors[-2000:]}')

                def number(word):
                    """Numbers of what happened stand before the word, of what must not happen behind it."""
                    found = re.search(rf'(\d+) {word}\b', said) if word in ('acquisitions', 'kills') else re.search(rf'\b{word} (\d+)\b', said)
                    return int(found[1])

                def add(what, value, relation, bound):
                    holds = value <= bound if relation == '<=' else value >= bound
                    figures.append({'section': 'torture', 'what': what, 'who': f'sherlock {backend}', 'value': value, 'unit': '', 'bound': bound,
                                    'relation': relation, 'holds': holds})
                if run == 'kill':
                    share = seconds / 60
                    add(f'acquisitions in {seconds} s of random SIGKILL', number('acquisitions'), '>=', round(least[backend] * share))
                    add(f'kills in {seconds} s', number('kills'), '>=', round(4000 * share))
                    for word in ('overlaps', 'fences back', 'stuck'):
                        add(f'{word} in {seconds} s of random SIGKILL', number(word), '<=', 0)
                else:
                    for word, what in (('overlaps', 'overlaps before a deadline'), ('losses untold', 'losses that were not told at the next call')):
                        add(f'{what}, in {seconds} s of leases, SIGSTOPs and SIGKILLs', number(word), '<=', 0)
                add(f'{run} run: broken promises of any kind', 0 if code == 0 else 1, '<=', 0)
        return figures, notes

    def instructions(self):
        figures = []
        listed = count_instructions.read(count_instructions.LIST)
        for backend, bound in listed.items():
            self.live.detail(f'instructions: {backend}')
            try:
                value = count_instructions.count(self.build / 'tests/bench/pairs', backend)
            except (RuntimeError, OSError) as error:
                return figures, [f'skipped: {error}'[:300]]
            limit = round(bound * (1 + count_instructions.TOLERANCE))
            figures.append({'section': 'instructions', 'what': 'instructions of an uncontended pair', 'who': f'sherlock {backend}', 'value': value, 'unit': '',
                            'bound': limit, 'relation': '<=', 'holds': value <= limit})
        return figures, []

    def measure(self, section):
        own = {'torture': self.torture, 'instructions': self.instructions}
        return own[section]() if section in own else self.bench(section)


def measure(build, sections, amount, done):
    """Measures into `done`, what is there of other sections stays."""
    live = Live()
    done.setdefault('sections', {})
    with tempfile.TemporaryDirectory(prefix='sherlock-bench-') as work:
        done['machine'] = machine.facts(work)
        try:
            for number, section in enumerate(sections, 1):
                live.section(section, number, len(sections))
                began = time.monotonic()
                try:
                    figures, notes = Runner(build, amount, live, work).measure(section)
                except RuntimeError as error:
                    live.end()
                    print(f'bench: {error}', file=sys.stderr)
                    figures, notes = [], [f'failed: {str(error).splitlines()[0][:200]}']
                done['sections'][section] = {'amount': amount, 'seconds': round(time.monotonic() - began, 1), 'notes': notes, 'figures': figures}
        finally:
            live.end()
            # What a run that was ended has left in /dev/shm is named as its directories are.
            for folder in pathlib.Path(work).glob('sherlock-test-*'):
                for left in pathlib.Path('/dev/shm').glob(f'*{folder.name}*'):
                    left.unlink(missing_ok=True)
    done['sections'] = {name: done['sections'][name] for name in SECTIONS if name in done['sections']}
    return done


def main():
    listing = '\n'.join(f'  {name:13} {what}' for name, what in SECTIONS.items())
    parser = argparse.ArgumentParser(prog='tools/bench', formatter_class=argparse.RawDescriptionHelpFormatter, epilog=f'sections:\n{listing}',
                                     description='Measures sherlock beside what one would pick instead, and says of every promise whether it holds.')
    parser.add_argument('section', nargs='*', help='only these; all of them without')
    parser.add_argument('--quick', action='store_true', help='a look: less of everything, not to be quoted')
    parser.add_argument('--json', metavar='FILE', type=pathlib.Path, help='keep the figures; sections that FILE has from before stay, unless measured again')
    parser.add_argument('--from-json', metavar='FILE', type=pathlib.Path, help='measure nothing, show the figures that FILE has')
    parser.add_argument('--pictures', metavar='DIR', type=pathlib.Path, help='draw them, an SVG each, with gnuplot')
    parser.add_argument('--page', metavar='FILE', type=pathlib.Path, help='put tables (and links to the pictures in DIR) between the marks of this page')
    parser.add_argument('--list', action='store_true', help='list the sections')
    parser.add_argument('--build', default='build/bench', type=pathlib.Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.list:
        print(listing)
        return 0
    for name in asked.section:
        if name not in SECTIONS:
            parser.error(f'there is no section {name}; there are {", ".join(SECTIONS)}')

    if asked.from_json:
        run = json.loads(asked.from_json.read_text())
    else:
        run = json.loads(asked.json.read_text()) if asked.json and asked.json.exists() else {}
        run = measure(asked.build.absolute(), asked.section or list(SECTIONS), 'quick' if asked.quick else 'full', run)
        if asked.json:
            asked.json.write_text(json.dumps(run, indent=1) + '\n')

    shown = dict(run, sections={name: s for name, s in run['sections'].items() if not asked.section or name in asked.section})
    bench_tables.show(shown, sys.stdout)
    pictures = bench_pictures.draw(run, asked.pictures) if asked.pictures else []
    if asked.page:
        bench_tables.write_page(run, asked.page, pictures)
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
