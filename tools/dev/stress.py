#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plays the runs of the torture bench: what tools/stress does when all is built.

Prints a line for each run and backend: what was done, what was seen broken, and the worst that was endured. A run that saw a promise broken is told at
once, with the command that plays it again. What this machine cannot do is skipped, and says why. Ends with "N kept, N broken, N skipped".
"""
import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUNS = ROOT / 'tests/stress/runs.txt'
SEEDS, STEP_MUTANTS = ROOT / 'tests/stress/seeds/seeds.py', ROOT / 'tests/stress/step_mutants/mutants.py'
IN_TIME = 60  # seconds within which a planted bug must be found
ROUND = 30.0  # seconds; a seed plays no longer than that, so that what it finds can be seen again
GRACE = 300  # seconds a round may take longer than it was told
terminal = sys.stderr.isatty()


class Run:
    def __init__(self, name, program, backend, brief):
        self.name, self.program, self.backend, self.brief = name, program, backend, float(brief)
        self.counts, self.worst, self.broken = {}, {}, {}
        self.rounds, self.seconds, self.seed, self.skipped = 0, 0.0, None, ''

    def target(self):
        return 'tests/' + self.program

    def add(self, told):
        """What one round said."""
        self.skipped = told.get('why', '')
        if self.skipped:
            return
        for mine, theirs, combine in ((self.counts, told['counts'], sum), (self.broken, told['broken'], sum), (self.worst, told['worst'], max)):
            for what, figure in theirs.items():
                mine[what] = combine([mine.get(what, 0), figure])

    def result(self):
        return 'skipped' if self.skipped else 'broken' if any(self.broken.values()) else 'kept'

    def text(self):
        if self.skipped:
            return f'skipped: {self.skipped}'
        figures = [f'{n} {what}' for what, n in self.counts.items()] + [f'{what} {n}' for what, n in self.broken.items()]
        figures += [f'{what.rpartition(", ")[0]} {n:.3g} {what.rpartition(", ")[2]}' for what, n in self.worst.items()]
        return ', '.join(figures) + ('; BROKEN' if self.result() == 'broken' else '; kept')

    def as_json(self):
        return {'run': self.name, 'backend': self.backend, 'result': self.result(), 'why': self.skipped, 'seed': self.seed, 'rounds': self.rounds,
                'seconds': round(self.seconds, 1), 'counts': self.counts, 'worst': self.worst, 'broken': self.broken}


def all_runs():
    runs = []
    for line in RUNS.read_text().splitlines():
        if line and not line.startswith('#'):
            name, program, backends, brief = line.split()
            runs += [Run(name, program, backend, brief) for backend in backends.split(',')]
    return sorted(runs, key=lambda run: run.backend)


def options():
    parser = argparse.ArgumentParser(prog='tools/stress', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--backend', metavar='B', help='only this one')
    parser.add_argument('--run', metavar='R', action='append', help='only this one; may be given again. They are: ' +
                        ', '.join(dict.fromkeys(run.name for run in all_runs())))
    parser.add_argument('--minutes', metavar='N', type=float, help='for each backend, in equal parts for its runs (default: each as long as in the tests)')
    parser.add_argument('--seed', metavar='N', type=int, help='of the first round; the next ones count on from it (default: the time)')
    parser.add_argument('--json', action='store_true', help='an object for each run, on a line of its own, instead')
    parser.add_argument('--sanitize', action='store_true', help='the same with AddressSanitizer and UBSan')
    parser.add_argument('--mutants', action='store_true', help='instead, plants bugs, one at a time, and sees each of them found by the run that is there for it')
    parser.add_argument('--targets', action='store_true', help=argparse.SUPPRESS)
    parser.add_argument('build', nargs='?', help=argparse.SUPPRESS)
    return parser.parse_args()


def chosen(asked):
    runs = all_runs()
    for word, known in ((asked.backend, [r.backend for r in runs]), *((name, [r.name for r in runs]) for name in asked.run or [])):
        if word and word not in known:
            sys.exit(f'stress: {word} is not known here; there are {", ".join(dict.fromkeys(known))}')
    return [r for r in runs if (not asked.backend or r.backend == asked.backend) and (not asked.run or r.name in asked.run)]


def progress(text):
    if terminal:
        print('\r\033[K' + text[:150], end='', file=sys.stderr, flush=True)


def play_round(run, build, seconds, seed):
    """One process. What it said; where it said nothing sensible, that is broken."""
    command = [build / run.target(), '--run', run.name, '--backend', run.backend, '--seconds', f'{seconds:.3g}', '--seed', str(seed), '--json']
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        out, err = process.communicate(timeout=seconds * 4 + GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        return {'counts': {}, 'worst': {}, 'broken': {'did not end': 1}}, err
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    try:
        return json.loads(out.strip().splitlines()[-1]), err
    except (ValueError, IndexError):
        return {'counts': {}, 'worst': {}, 'broken': {f'ended with {process.returncode}': 1}}, out + err


class Mutant:
    """A program with a bug in it."""

    def __init__(self, line, seed):
        self.name, _, *words = line.split('|')
        if seed:
            program, self.run, self.backend, more, _ = words
            self.target = f'tests/stress/seeds/seed-{self.name}'
            self.arguments = ['--run', self.run, '--backend', self.backend, '--seconds', '5', '--json'] + [w for w in more.split(',') if w]
        else:
            self.run, self.backend = 'steps_file', 'file'
            self.target = f'tests/stress/step_mutants/{self.name}'
            self.arguments = words[0].split(';')
        self.seed = seed

    def found(self, build):
        """What gave it away, or nothing."""
        started, rounds = time.monotonic(), 0
        while (left := IN_TIME - (time.monotonic() - started)) > 0:
            rounds += 1
            process = subprocess.Popen([build / self.target, *self.arguments, *(['--seed', str(rounds)] if self.seed else [])], stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, text=True, start_new_session=True)
            try:
                out, _ = process.communicate(timeout=left)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                return ''
            if not self.seed:
                if process.returncode == 0:
                    return self.arguments[self.arguments.index('--expect') + 1]
            elif process.returncode not in (0, 1):
                return ''  # the detector died of it, which tells nothing
            elif broken := {what: n for what, n in json.loads(out.strip().splitlines()[-1])['broken'].items() if n}:
                return ', '.join(f'{what} {n}' for what, n in broken.items())
        return ''


def all_mutants():
    mutants = []
    for program in (SEEDS, STEP_MUTANTS):
        listed = subprocess.run([sys.executable, program, '--list'], check=True, capture_output=True, text=True).stdout
        mutants += [Mutant(line, program == SEEDS) for line in listed.splitlines()]
    return mutants


def play_mutants(mutants, build, as_json):
    missed = 0
    for number, mutant in enumerate(mutants, 1):
        progress(f'[{number} of {len(mutants)}] {mutant.name}')
        started = time.monotonic()
        why = mutant.found(build)
        took = time.monotonic() - started
        missed += not why
        progress('')
        if as_json:
            print(json.dumps({'mutant': mutant.name, 'run': mutant.run, 'backend': mutant.backend, 'found': why, 'seconds': round(took, 1)}), flush=True)
        else:
            print(f'{mutant.name}: ' + (f'found by {mutant.run}, {mutant.backend}, in {took:.1f} s: {why}' if why else f'NOT FOUND by {mutant.run} in {took:.0f} s'), flush=True)
    print(f'{len(mutants) - missed} found, {missed} not found', file=sys.stderr if as_json else sys.stdout)
    return 1 if missed else 0


def play(run, build, seconds, seed, place):
    run.seed = seed
    started = time.monotonic()
    while True:
        left = seconds - (time.monotonic() - started)
        progress(f'{place} {run.name}, {run.backend}: {seconds - left:.0f} of {seconds:.0f} s ')
        told, said = play_round(run, build, max(min(left, ROUND), min(seconds, 1)), seed + run.rounds)
        progress('')
        if any(told['broken'].values()):
            print(f'{run.name}, {run.backend}, seed {seed + run.rounds}: ' + ', '.join(f'{what} {n}' for what, n in told['broken'].items() if n) +
                  f'; again with: tools/stress --run {run.name} --backend {run.backend} --seed {seed + run.rounds}', file=sys.stderr)
            print(said, end='', file=sys.stderr, flush=True)
        run.rounds += 1
        run.add(told)
        run.seconds = time.monotonic() - started
        if run.skipped or run.seconds >= seconds - 0.5:
            return


def main():
    asked = options()
    if asked.mutants:
        mutants = [m for m in all_mutants() if (not asked.backend or m.backend == asked.backend) and (not asked.run or m.run in asked.run)]
        if asked.targets:
            print('\n'.join(m.target for m in mutants))
            return 0
        return play_mutants(mutants, pathlib.Path(asked.build), asked.json)
    runs = chosen(asked)
    if asked.targets:
        print('\n'.join(dict.fromkeys(run.target() for run in runs)))
        return 0
    results = []
    try:
        for number, run in enumerate(runs, 1):
            beside = sum(other.backend == run.backend for other in runs)
            seconds = asked.minutes * 60 / beside if asked.minutes else run.brief or 10
            play(run, pathlib.Path(asked.build), seconds, asked.seed or int(time.time()), f'[{number} of {len(runs)}]')
            results.append(run.result())
            line = json.dumps(run.as_json()) if asked.json else f'{run.name}, {run.backend}, seed {run.seed}, {run.seconds:.0f} s: {run.text()}'
            print(line, flush=True)
    except KeyboardInterrupt:
        progress('')
        print('stress: interrupted', file=sys.stderr)
    print(f'{results.count("kept")} kept, {results.count("broken")} broken, {results.count("skipped")} skipped', file=sys.stderr if asked.json else sys.stdout)
    return 1 if 'broken' in results or not results else 0


if __name__ == '__main__':
    sys.exit(main())
