# SPDX-License-Identifier: MIT
"""Tables of a run: what is promised and whether it holds, then each section, ratios first. Absolute times are the machine's."""
import machine

BEGIN, END = '<!-- figures: tools/bench --page -->', '<!-- end of figures -->'
OURS = 'sherlock '
SAID_ABOVE = ('torture', 'instructions')  # all that these say is promised


def number(value, unit=''):
    if value is None:
        return 'never'
    if abs(value) >= 1e6:
        return f'{value / 1e6:,.1f} M'
    if abs(value) >= 100 or value == int(value):
        return f'{value:,.0f}'
    return f'{value:.3g}'


def measure_of(value, unit):
    """A number with the unit that suits it."""
    if value is None:
        return 'never'
    if unit == 'ns' and value >= 1000:
        return measure_of(value / 1000, 'us')
    if unit == 'us' and value >= 1000:
        return measure_of(value / 1000, 'ms')
    if unit == 'us' and value < 0.1:
        return measure_of(value * 1000, 'ns')
    if unit == 'bytes' and value >= 2048:
        return measure_of(value / 1024, 'KiB')
    return f'{number(value)} {unit}'.strip()


def where(figure):
    return f', {figure["at"]:,.0f} {figure["along"]}' if 'at' in figure else ''


def promises(run):
    """Rows of text: what is promised, of whom, how it is, what the bound is, whether it holds."""
    return [[section, f['what'] + where(f), f['who'].removeprefix(OURS), measure_of(f['value'], f['unit']), f'{f["relation"]} {number(f["bound"])}',
             'yes' if f['holds'] else 'NO'] for section, of in run['sections'].items() for f in of['figures'] if 'bound' in f]


def groups(figures):
    """Figures that one table is about, in their order: those of one `what`."""
    found = {}
    for figure in figures:
        found.setdefault(figure['what'], []).append(figure)
    return found


def bars(figures):
    """who, times the first of them, value. Ratios that are figures themselves need no other."""
    first = next((f['value'] for f in figures if f['value']), None)
    if figures[0]['unit'] in ('x', '%', '') or len(figures) == 1:
        return ['', 'figure'], [[f['who'], measure_of(f['value'], f['unit'])] for f in figures]
    return ['', f'times {figures[0]["who"]}', 'figure'], [
        [f['who'], 'never' if f['value'] is None else f'{number(f["value"] / first)} x' if first else '', measure_of(f['value'], f['unit'])] for f in figures]


def curves(figures):
    """A row for each `who`, a column for each place along the curve."""
    places = sorted({f['at'] for f in figures})
    rows = {}
    for f in figures:
        rows.setdefault(f['who'], {})[f['at']] = measure_of(f['value'], f['unit'])
    return [figures[0]['along'], *(f'{p:,.0f}' for p in places)], [[who, *(cells.get(p, '') for p in places)] for who, cells in rows.items()]


def tables(section):
    """Ratios first: (title, head, rows)."""
    found = groups(section['figures'])
    in_order = sorted(found, key=lambda what: found[what][0]['unit'] != 'x')
    for what in in_order:
        yield what, *(curves(found[what]) if 'at' in found[what][0] else bars(found[what]))


def plain(head, rows):
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows] if any(head) else rows:
        yield '  ' + '  '.join(str(cell).ljust(w) if i == 0 else str(cell).rjust(w) for i, (cell, w) in enumerate(zip(row, widths))).rstrip()


def left(head, rows):
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        yield '  ' + '  '.join(str(cell).ljust(w) for cell, w in zip(row, widths)).rstrip()


PROMISE_HEAD = ['section', 'what is promised', 'of', 'figure', 'bound', 'holds']


def summary(rows):
    kept = sum(row[-1] == 'yes' for row in rows)
    return f'{kept} of {len(rows)} bounds hold'


def show(run, out):
    print(f'\nOn {machine.sentence(run["machine"])}.', file=out)
    for name, section in run['sections'].items():
        print(f'\n== {name} ({section["amount"]}, {section["seconds"]} s)', file=out)
        for note in section['notes']:
            print(f'  {note}', file=out)
        for what, head, rows in tables(section) if name not in SAID_ABOVE else ():
            print(f'\n {what}', file=out)
            for line in plain(head, rows):
                print(line, file=out)
    rows = promises(run)
    if rows:
        print('\n== what is promised', file=out)
        for line in left(PROMISE_HEAD, rows):
            print(line, file=out)
        print(f'\n{summary(rows)}', file=out)


def markdown(head, rows, numbers=True):
    yield '| ' + ' | '.join(head) + ' |'
    yield '|---|' + ('---:|' if numbers else '---|') * (len(head) - 1)
    for row in rows:
        yield '| ' + ' | '.join(str(cell) for cell in row) + ' |'


def page(run, pictures):
    yield f'Measured on {machine.sentence(run["machine"])}.'
    quick = [name for name, section in run['sections'].items() if section['amount'] != 'full']
    if quick:
        yield f'Only looked at, not to be quoted: {", ".join(quick)}.'
    rows = promises(run)
    yield ''
    yield '## What is promised'
    yield ''
    yield summary(rows) + '.'
    yield ''
    yield from markdown(PROMISE_HEAD, rows, numbers=False)
    for name, section in run['sections'].items():
        if name in SAID_ABOVE or not section['figures']:
            continue
        yield ''
        yield f'## Section {name}'
        for note in section['notes']:
            yield f'\n{note}'
        for picture in (p for p in pictures if p.section == name):
            yield f'\n![{picture.title}]({picture.path})'
        for what, head, rows in tables(section):
            yield f'\n{what[0].upper()}{what[1:]}:\n'
            yield from markdown(head, rows)


def write_page(run, path, pictures):
    for picture in pictures:
        picture.path = picture.path.absolute().relative_to(path.absolute().parent)
    text = path.read_text() if path.exists() else f'{BEGIN}\n{END}\n'
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(before + BEGIN + '\n\n' + '\n'.join(page(run, pictures)) + '\n\n' + END + after)
