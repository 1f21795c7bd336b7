# SPDX-License-Identifier: MIT
"""Sources with a bug planted in them, to see that the tests find it. A list of mutants has a program of its own, which ends with main():

  PROGRAM --list              a line for each, fields between bars: name|source files of src/, between commas|what else the list says of it
  PROGRAM NAME SOURCE OUT     writes the mutated source; fails where the text to be changed is not found exactly once
"""
import pathlib
import sys


class Mutant:
    """`changes`: for each source file the pairs of texts, what is there and what takes its place."""

    def __init__(self, name, changes, *fields):
        self.name, self.changes, self.fields = name, changes, fields


def left_out(text):
    return text, ''


def main(mutants):
    if sys.argv[1:] == ['--list']:
        for m in mutants:
            print('|'.join([m.name, ','.join(m.changes), *m.fields]))
        return
    name, source, out = sys.argv[1:]
    mutant = next(m for m in mutants if m.name == name)
    text = pathlib.Path(source).read_text()
    for old, new in next(edits for changed, edits in mutant.changes.items() if source.endswith('src/' + changed)):
        if text.count(old) != 1:
            sys.exit(f'mutant {name}: found {text.count(old)} times in {source}, and should be there once:\n{old}')
        text = text.replace(old, new)
    pathlib.Path(out).write_text(text)
