#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What tools/bench shows of a run is what was measured."""
import copy
import io
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / 'tools/dev'))
import bench_pictures  # noqa: E402
import bench_tables  # noqa: E402


def figure(what, who, value, unit, **more):
    return {'section': 'death', 'what': what, 'who': who, 'value': value, 'unit': unit, **more}


RUN = {
    'machine': {'processors': 2, 'processor': 'a processor', 'virtual': False, 'memory_gib': 4, 'kernel': 'Linux 6.1', 'file_system': 'ext4', 'compiler': 'g++ 12',
                'c_library': 'glibc 2.36', 'sqlite': '3.40'},
    'sections': {
        'death': {'amount': 'full', 'seconds': 1, 'notes': ['skipped: something'], 'figures': [
            figure('SIGKILL to the next holder, median', 'flock(2)', 100, 'us'),
            figure('SIGKILL to the next holder, median', 'futex word', None, 'us'),
            figure('SIGKILL to the next holder, median', 'sherlock file', 250, 'us', bound=1000, relation='<=', holds=True),
            figure('SIGKILL to the next holder, worst', 'sherlock file', 20000, 'us', bound=10000, relation='<=', holds=False)]},
        'contention': {'amount': 'quick', 'seconds': 1, 'notes': [], 'figures': [
            dict(figure('contended pairs a second', who, pairs, '/s', at=at, along='processes'), section='contention')
            for who in ('flock(2)', 'sherlock file') for at, pairs in ((2, 3e6), (64, 2e6))]}}}


class Front(unittest.TestCase):
    def shown(self):
        out = io.StringIO()
        bench_tables.show(RUN, out)
        return out.getvalue()

    def lines(self, *words):
        return [line for line in self.shown().splitlines() if all(word in line for word in words)]

    def test_a_bound_that_does_not_hold_is_said_so(self):
        self.assertTrue(self.lines('worst', '20 ms', '<= 10,000', 'NO'))
        self.assertTrue(self.lines('median', '250 us', '<= 1,000', 'yes'))
        self.assertIn('1 of 2 bounds hold', self.shown())

    def test_ratios_are_of_the_first(self):
        self.assertTrue(self.lines('sherlock file', '2.5 x', '250 us'))

    def test_what_never_comes_is_said_so(self):
        self.assertTrue(self.lines('futex word', 'never'))

    def test_what_was_skipped_is_said_so(self):
        self.assertTrue(self.lines('skipped: something'))

    def test_a_curve_has_a_column_for_each_place(self):
        self.assertTrue(self.lines('processes', '2', '64'))
        self.assertTrue(self.lines('sherlock file', '3.0 M /s', '2.0 M /s'))

    def test_a_page_keeps_what_stands_around_its_figures(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder, 'page.md')
            page.write_text(f'before\n{bench_tables.BEGIN}\nwhat stood here\n{bench_tables.END}\nafter\n')
            bench_tables.write_page(RUN, page, [])
            text = page.read_text()
            self.assertTrue(text.startswith('before\n') and text.endswith('\nafter\n'))
            self.assertNotIn('what stood here', text)
            self.assertIn('| death | SIGKILL to the next holder, worst | file | 20 ms | <= 10,000 | NO |', text)
            self.assertIn('not to be quoted: contention', text)
            bench_tables.write_page(RUN, page, [])
            self.assertEqual(text, page.read_text())

    @unittest.skipUnless(shutil.which('gnuplot'), 'gnuplot is not installed')
    def test_each_figure_that_was_measured_gets_its_picture(self):
        with tempfile.TemporaryDirectory() as folder:
            drawn = bench_pictures.draw(copy.deepcopy(RUN), pathlib.Path(folder))
            self.assertEqual({picture.name for picture in drawn}, {'death', 'throughput'})
            self.assertIn('never', pathlib.Path(folder, 'death.svg').read_text())
            self.assertIn('sherlock file', pathlib.Path(folder, 'throughput.svg').read_text())


if __name__ == '__main__':
    unittest.main()
