#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The last line of tools/test is what people and machines believe: count_tests.py must not count a failure as anything else."""
import json
import pathlib
import subprocess
import sys
import tempfile

COUNT = pathlib.Path(__file__).parents[2] / 'tools/dev/count_tests.py'

# what a run logged, arguments, the last line
RUNS = [
    ('a test passes', [('OK', '')], [], '1 passed, 0 failed'),
    ('test cases of Catch2 count', [('OK', 'All tests passed (9 assertions in 4 test cases)\n')], [], '4 passed, 0 failed'),
    ('failed test cases count', [('FAIL', 'test cases: 5 | 3 passed | 2 failed\nassertions: 9 | 7 passed | 2 failed\n')], [], '3 passed, 2 failed'),
    ('a script counts as it says', [('FAIL', 'FAIL x\n66 passed, 2 failed, 1 skipped\n')], [], '66 passed, 2 failed, 1 skipped'),
    ('a crash after a good summary is a failure', [('FAIL', 'All tests passed (1 assertion in 1 test case)\n')], [], '1 passed, 1 failed'),
    ('a crash without a summary is a failure', [('FAIL', '')], [], '0 passed, 1 failed'),
    ('what hangs is a failure', [('OK', ''), ('TIMEOUT', '')], [], '1 passed, 1 failed'),
    ('an error of the test itself is a failure', [('OK', ''), ('ERROR', '')], [], '1 passed, 1 failed'),
    ('what is skipped is said', [('OK', ''), ('SKIP', '')], [], '1 passed, 0 failed, 1 skipped'),
    ('a build that broke is a failure', [('OK', '')], ['--broken=asan'], '1 passed, 1 failed'),
    ('a run that was left out is said', [('OK', '')], ['--left-out=tsan'], '1 passed, 0 failed, 1 skipped'),
    ('no test is a failure', [], [], '0 passed, 1 failed'),
]


def count(tests, arguments=()):
    with tempfile.TemporaryDirectory() as folder:
        logs = pathlib.Path(folder) / 'meson-logs'
        logs.mkdir()
        (logs / 'testlog.json').write_text('\n'.join(json.dumps(test) for test in tests))
        return subprocess.run([sys.executable, COUNT, *arguments, folder], capture_output=True, text=True)


def claims():
    for claim, log, arguments, expected in RUNS:
        done = count([{'name': claim, 'result': result, 'stdout': output} for result, output in log], arguments)
        yield claim, done, done.stdout.splitlines()[-1:] == [expected] and done.returncode == (0 if ' 0 failed' in expected else 1)

    many = '\n'.join(f'line {i}' for i in range(100))
    done = count([{'name': 'good', 'result': 'OK', 'stdout': 'silence'},
                  {'name': 'bad', 'result': 'FAIL', 'stdout': many, 'stderr': 'the reason'}])
    shown = all(word in done.stdout for word in ('| line 99\n', '| the reason\n'))
    yield 'the end of what failed is shown', done, shown and 'line 50' not in done.stdout and 'silence' not in done.stdout


def main():
    failed = 0
    for claim, done, good in claims():
        failed += not good
        print(('kept: ' if good else 'BROKEN: ') + claim + ('' if good else '\n' + done.stdout + done.stderr))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
