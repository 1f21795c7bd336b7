# SPDX-License-Identifier: MIT
"""Pictures of a run, an SVG each, drawn by gnuplot: logarithmic, since what is compared differs by powers of ten."""
import dataclasses
import pathlib
import shutil
import subprocess
import sys

OURS = 'sherlock '
COLOURS = {'sherlock file': '#c2410c', 'sherlock shm': '#0369a1', 'sherlock sqlite': '#15803d'}
OTHERS = ['#111111', '#666666', '#999999', '#a16207', '#7e22ce', '#be185d', '#475569', '#0f766e', '#78716c', '#4338ca', '#9f1239']


@dataclasses.dataclass
class Bars:
    """A bar for each of those who have the figure `what`; a tick at what `tick` says of it."""
    name: str
    section: str
    what: str
    title: str
    unit: str
    tick: str = ''
    at: float = 0  # of a curve, only this place
    path: pathlib.Path = None


@dataclasses.dataclass
class Lines:
    """A line for each, along a curve."""
    name: str
    section: str
    what: str
    title: str
    unit: str
    along: str
    path: pathlib.Path = None


PICTURES = [
    Bars('pair', 'pair', 'uncontended pair', 'lock() and unlock() of a free lock', 'ns'),
    Bars('hand-off', 'hand-off', 'hand-off, median', 'From a release to the next holder, which slept: median, and p99 as a tick', 'us', tick='hand-off, p99'),
    Lines('throughput', 'contention', 'contended pairs a second', 'Everybody wants one lock all the time', 'pairs a second', 'processes'),
    Lines('changes', 'contention', 'changes of holder a second', 'How often the lock changes hands meanwhile', 'changes a second', 'processes'),
    Lines('fairness', 'contention', 'the luckiest process, times the unluckiest', 'Who gets most, times who gets least', 'times', 'processes'),
    Bars('turns', 'turns', 'holds of 1 ms: the mean wait', '16 processes hold the lock for 1 ms in turns: the mean wait, and the longest as a tick', 'ms',
         tick='holds of 1 ms: the longest wait', at=16),
    Bars('death', 'death', 'SIGKILL to the next holder, median', 'From the SIGKILL of a holder to the next: median, and the worst as a tick', 'us',
         tick='SIGKILL to the next holder, '),
    Lines('names-new', 'names', 'a new name is taken', 'A name that is taken for the first time, and held', 'us a name', 'names'),
    Lines('names-known', 'names', 'a known name is taken', 'A name that was taken before', 'us a name', 'names'),
    Lines('memory', 'names', 'memory of the process for a held name', 'Memory of the process that holds names', 'bytes a name', 'names'),
    Lines('store', 'names', 'memory or disk of the store for a name', 'Memory or disk of the store', 'bytes a name', 'names'),
    Lines('wakes', 'waiters', 'context switches a hand-off', 'Does a release wake one waiter or all?', 'context switches a hand-off', 'waiters'),
    Lines('waiters', 'waiters', 'hand-off among waiters, median', 'Hand-off among so many waiters', 'us', 'waiters'),
    Bars('start', 'start', 'start of a process to its first lock', 'From the start of a process to its first lock', 'us'),
    Bars('run', 'run', 'a whole process that runs true under a lock', 'The whole process that runs true under a lock', 'us'),
]

HEAD = '''set terminal svg size {width},{height} font "sans,13" background "#ffffff" rounded
set output "{output}"
set title "{title}" font ",15"
set border 3 linecolor "#888888"
set tics nomirror textcolor "#333333"
set grid {grid} linecolor "#e2e2e2" linetype 1
set format {axis} "{format}"
set logscale {logs}
'''


def format_from(low):
    return '%.0s%c' if low >= 1 else '%h'  # 10k, 1M


def readable(value):
    if value >= 1e6:
        return f'{value / 1e6:.3g}M'
    if value >= 1e4:
        return f'{value / 1e3:,.0f}k'
    return f'{value:,.0f}' if value >= 100 else f'{value:.3g}'


def colour(who, others):
    for ours, colour_ in COLOURS.items():
        if who.startswith(ours):
            return colour_
    return OTHERS[others.index(who) % len(OTHERS)]


def quoted(text):
    return text.replace('_', '\\\\_').replace('"', '')


def of(run, picture, what):
    return [f for f in run['sections'].get(picture.section, {}).get('figures', []) if f['what'] == what]


def bars(run, picture, output):
    figures = [f for f in of(run, picture, picture.what) if not picture.at or f.get('at') == picture.at]
    if not figures:
        return None
    ticks = {f['who']: f['value'] for s in run['sections'].values() for f in s['figures']
             if picture.tick and f['section'] == picture.section and f['what'].startswith(picture.tick) and f['what'] != picture.what
             and 'child' not in f['what'] and 'resident' not in f['what'] and (not picture.at or f.get('at') == picture.at)}
    figures.sort(key=lambda f: f['value'] if f['value'] is not None else float('inf'))
    values = [v for f in figures for v in (f['value'], ticks.get(f['who'])) if v]
    low, high = 10 ** (len(str(int(min(values)))) - 1) if min(values) >= 1 else min(values) / 2, max(values)
    room = (high / low) ** 0.25 * 2  # for the numbers behind the bars
    script = HEAD.format(width=860, height=110 + 24 * len(figures), output=output, title=quoted(picture.title), grid='xtics', axis='x', logs='x', format=format_from(low))
    script += f'set xlabel "{picture.unit}"\nset xrange [{low / 1.5}:{high * room}]\nset yrange [{len(figures) - 0.3}:-0.7]\nunset key\nset style fill solid 0.9 noborder\n'
    script += 'set ytics (' + ', '.join(f'"{quoted(f["who"])}" {i}' for i, f in enumerate(figures)) + ')\nset ytics scale 0\n'
    for i, f in enumerate(figures):
        ours = f['who'].startswith(OURS)
        fill = colour(f['who'], [f['who']]) if ours else '#9ca3af'
        if f['value'] is None:
            script += f'set label "never" at {low}, {i} font ",12" textcolor "#b91c1c"\n'
            continue
        script += f'set object rectangle from {low / 1.5}, {i - 0.36} to {f["value"]}, {i + 0.36} fillcolor rgb "{fill}" fillstyle solid noborder\n'
        end = f['value']
        tick = ticks.get(f['who'])
        if tick:
            script += f'set arrow from {tick}, {i - 0.36} to {tick}, {i + 0.36} nohead linewidth 2 linecolor "#333333"\n'
            script += f'set arrow from {f["value"]}, {i} to {tick}, {i} nohead linewidth 1 linecolor "#333333"\n'
            end = max(end, tick)
        text = readable(f['value']) + (f' ... {readable(tick)}' if tick else '')
        script += f'set label "  {text}" at {end}, {i} font ",12" textcolor "#333333"\n'
    return script + 'plot -10 notitle linecolor "#ffffff"\n'


def lines(run, picture, output):
    figures = [f for f in of(run, picture, picture.what) if f['value'] and 'at' in f]  # neither never nor nothing has a place
    if not figures:
        return None
    whos = list(dict.fromkeys(f['who'] for f in figures))
    others = [who for who in whos if not who.startswith(OURS)]
    places = sorted({f['at'] for f in figures})
    script = HEAD.format(width=860, height=460, output=output, title=quoted(picture.title), grid='xtics ytics', axis='y', logs='xy',
                         format=format_from(min(f['value'] for f in figures)))
    script += f'set xlabel "{picture.along}"\nset ylabel "{picture.unit}"\nset key outside right top Left reverse samplen 2 spacing 1.15\n'
    script += 'set xtics (' + ', '.join(f'"{p:,.0f}" {p}' for p in places) + f')\nset xrange [{places[0] / 1.2}:{places[-1] * 1.2}]\n'
    plots, data = [], ''
    for who in sorted(whos, key=lambda who: not who.startswith(OURS)):
        ours = who.startswith(OURS)
        style = f'linecolor "{colour(who, others)}" ' + ('linewidth 3 pointtype 7 pointsize 0.7' if ours else
                                                         f'linewidth 1.3 pointtype {4 + others.index(who) % 9} pointsize 0.6 dashtype {1 + others.index(who) % 4}')
        plots.append(f'"-" using 1:2 with linespoints {style} title "{quoted(who)}"')
        data += ''.join(f'{f["at"]} {f["value"]}\n' for f in sorted(figures, key=lambda f: f['at']) if f['who'] == who) + 'e\n'
    return script + 'plot ' + ', '.join(plots) + '\n' + data


def draw(run, folder):
    """Those of PICTURES that the run has figures for; their `path` is where they are."""
    if not shutil.which('gnuplot'):
        print('bench: no pictures: gnuplot is not installed (apt-get install gnuplot-nox)', file=sys.stderr)
        return []
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for picture in PICTURES:
        picture.path = folder / f'{picture.name}.svg'
        script = (bars if isinstance(picture, Bars) else lines)(run, picture, picture.path)
        if script is None:
            continue
        subprocess.run(['gnuplot'], input=script, text=True, check=True)
        drawn.append(picture)
    return drawn
