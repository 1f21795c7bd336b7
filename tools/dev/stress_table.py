#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes what tools/stress measured into docs/reliability.md: stress_table.py FIGURES.json [MUTANTS.json]

The files are what `tools/stress --json` and `tools/stress --mutants --json` print. Several runs of a kind are added up.
"""
import json
import pathlib
import sys

import machine

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs/reliability.md'
MARKS = {'figures': ('<!-- figures: tools/dev/stress_table.py -->', '<!-- end of figures -->'),
         'mutants': ('<!-- mutants: tools/dev/stress_table.py -->', '<!-- end of mutants -->')}
# What stands in the column of blows: whatever a run does to locks and those who use them.
BLOWS = ('kills', 'stops', 'removals', 'faults', 'forks', 'traps', 'scenes', 'inputs', 'settings of the wall clock', 'visits', 'points')


def objects(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines() if line.startswith('{')]


def number(n):
    return f'{n:,}' if n < 10_000_000 else f'{n / 1e6:,.0f} M'


def added_up(runs):
    """One for each run and backend; of each backend in the order in which they came."""
    sums = {}
    for run in runs:
        mine = sums.setdefault((run['backend'], run['run']), {'seconds': 0, 'counts': {}, 'worst': {}, 'broken': {}, 'why': ''})
        mine['seconds'] += run['seconds']
        mine['why'] = run['why']
        for part, combine in (('counts', sum), ('broken', sum), ('worst', max)):
            for what, figure in run[part].items():
                mine[part][what] = combine([mine[part].get(what, 0), figure])
    return dict(sorted(sums.items(), key=lambda item: item[0][0]))


def row(backend, name, run):
    if run['why']:
        return f'| {backend} | {name} | skipped: {run["why"]} | | | | |'
    blows = [f'{number(run["counts"][what])} {what}' for what in BLOWS if run['counts'].get(what)]
    broken = [f'**{what} {n}**' for what, n in run['broken'].items() if n]
    worst = run['worst'].get('worst recovery, ms', run['worst'].get('longest wait, ms', run['worst'].get('longest urgent wait, ms')))
    return (f'| {backend} | {name} | {run["seconds"] / 60:.1f} | {number(run["counts"].get("acquisitions", 0)) if "acquisitions" in run["counts"] else ""} | '
            f'{blows[0] if blows else ""} | {", ".join(broken) or 0} | {f"{worst:,.0f} ms" if worst is not None else ""} |')


def figures(runs):
    lines = ['', f'On {machine.sentence(machine.facts(ROOT))}.', '', '| backend | run | minutes | acquisitions | what was done to them | promises seen broken | worst recovery or wait |',
             '|---|---|---:|---:|---:|---:|---:|']
    sums = added_up(runs)
    lines += [row(backend, name, run) for (backend, name), run in sums.items()]
    for backend in dict.fromkeys(backend for backend, _ in sums):
        mine = [run for (of, _), run in sums.items() if of == backend]
        kills = sum(run['counts'].get('kills', 0) for run in mine)
        acquisitions = sum(run['counts'].get('acquisitions', 0) for run in mine)
        broken = sum(sum(run['broken'].values()) for run in mine)
        lines.append(f'| **{backend}** | **all** | **{sum(run["seconds"] for run in mine) / 60:.0f}** | **{number(acquisitions)}** | **{number(kills)} kills** | **{broken}** | |')
    return '\n'.join([*lines, ''])


def mutants(found):
    seeds = [m for m in found if m['run'] != 'steps_file']
    steps = [m for m in found if m['run'] == 'steps_file']
    lines = ['', '| bug | found by | after | by what it saw |', '|---|---|---:|---|']
    lines += [f'| {m["mutant"].replace("-", " ")} | {m["run"]}, {m["backend"]} | {m["seconds"]:.0f} s | {m["found"] or "**not found**"} |' for m in seeds]
    missed = sum(not m['found'] for m in steps)
    lines += ['', f'{len(steps)} more are mutants of single steps of the file backend; {len(steps) - missed} are found, the slowest in {max((m["seconds"] for m in steps), default=0):.0f} s.', '']
    return '\n'.join(lines)


def main():
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    parts = {'figures': figures(objects(sys.argv[1]))}
    if len(sys.argv) == 3:
        parts['mutants'] = mutants(objects(sys.argv[2]))
    page = PAGE.read_text()
    for part, text in parts.items():
        begin, end = MARKS[part]
        if page.count(begin) != 1 or page.count(end) != 1:
            sys.exit(f'{PAGE} has no place for {part}')
        before, rest = page.split(begin)
        page = before + begin + '\n' + text + '\n' + end + rest.split(end)[1]
    PAGE.write_text(page)


if __name__ == '__main__':
    main()
