#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The library as another version might be: with an entry that has one more word, and another number for the schema. How this is called: ../mutate.py."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.dont_write_bytecode = True
import mutate  # noqa: E402

CHANGES = [
    mutate.Mutant('layout', {'local/layout.hpp': [('kVersion = 4;', 'kVersion = 5;'),
                                                  ('  Word64 word;     // the gate', '  Word64 another;\n  Word64 word;     // the gate'),
                                                  ('static_assert(sizeof(Entry) == 112 && offsetof(Entry, stragglers) == 64, "part of the format");',
                                                   'static_assert(sizeof(Entry) == 120);')]}),
    mutate.Mutant('schema', {'backends/sqlite/schema.cpp': [('kVersion = 1;', 'kVersion = 2;')]}),
]

if __name__ == '__main__':
    mutate.main(CHANGES)
