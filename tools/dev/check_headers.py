#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a public header must keep: it compiles alone, speaks std only, is in the umbrella, and says its licence first.

  check_headers.py friends|umbrella [ROOT]
  check_headers.py licence [ROOT]                        every source file, not only headers
  check_headers.py alone [ROOT] --compiler CXX... --include DIR...
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)
UMBRELLA = 'sherlock.hpp'
LICENCE = 'SPDX-License-Identifier: MIT'

# Public, but not in the umbrella: name and reason.
OUTSIDE_UMBRELLA = {'conformance.hpp': 'only who writes a backend needs it, and it is a library of its own',
                    'plugin.hpp': 'only the one source of a plug-in needs it'}

STANDARD = set('''algorithm any array atomic barrier bit bitset cassert cerrno cfloat charconv chrono cinttypes climits cmath compare complex
concepts condition_variable coroutine cstddef cstdint cstdio cstdlib cstring ctime cwchar deque exception execution filesystem forward_list fstream
functional future initializer_list iomanip ios iosfwd iostream istream iterator latch limits list locale map memory memory_resource mutex new
numbers numeric optional ostream queue random ranges ratio regex scoped_allocator semaphore set shared_mutex source_location span sstream stack
stdexcept stop_token streambuf string string_view syncstream system_error thread tuple type_traits typeindex typeinfo unordered_map
unordered_set utility valarray variant vector version'''.split())


def headers(root):
    """Names below include/sherlock; the ones that the build makes too."""
    folder = root / 'include/sherlock'
    return sorted(str(p.relative_to(folder)).removesuffix('.in') for p in folder.rglob('*') if p.name.endswith(('.hpp', '.hpp.in')))


def text_of(root, name):
    path = root / 'include/sherlock' / name
    return (path if path.exists() else path.with_name(path.name + '.in')).read_text()


def friends(root):
    for name in headers(root):
        for quote, included in INCLUDE.findall(text_of(root, name)):
            if quote == '"':
                yield f'{name}: "{included}" is private or relative: write <sherlock/...>'
            elif included.startswith('sherlock/'):
                if included.removeprefix('sherlock/') not in headers(root):
                    yield f'{name}: <{included}> is no public header'
            elif included not in STANDARD:
                yield f'{name}: <{included}> is not of the standard library'


def umbrella(root):
    reached, todo = set(), [UMBRELLA]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += [i.removeprefix('sherlock/') for _, i in INCLUDE.findall(text_of(root, name)) if i.startswith('sherlock/')]
    for name in headers(root):
        if name not in reached and name not in OUTSIDE_UMBRELLA and not name.startswith('addons/'):  # those are installed with their add-on
            yield f'{name} is not reached from {UMBRELLA}: include it there, or give the reason in OUTSIDE_UMBRELLA'
        if name in reached and name in OUTSIDE_UMBRELLA:
            yield f'{name} is excepted from {UMBRELLA} and yet reached from it'
    for name in OUTSIDE_UMBRELLA:
        if name not in headers(root):
            yield f'{name} is excepted from {UMBRELLA} and does not exist'


def licence(root):
    found = 0
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if f != '.git' and not (folder == str(root) and f.startswith('build')))
        for file in sorted(pathlib.Path(folder) / f for f in files):
            head = file.read_bytes()[:400].decode(errors='replace').splitlines() or ['']
            script = head[0].startswith('#!')
            if script or file.name.removesuffix('.in').endswith(('.cpp', '.hpp', '.c', '.h', '.py', '.sh')):
                found += 1
                number = 2 if script else 1
                if LICENCE not in ''.join(head[number - 1:number]):
                    yield f'{file.relative_to(root)}:{number}: this line must say "{LICENCE}"'
    if not found:
        yield f'no source files below {root}'


def alone(root, compilers, includes):
    present = [c for c in compilers if shutil.which(c)]
    if not present:
        yield f'none of these compilers is here: {" ".join(compilers)}'
    flags = ['-std=c++20', '-Wall', '-Wextra', '-Wpedantic', '-Werror', '-fsyntax-only', '-x', 'c++', '-']
    flags += [f'-I{folder}' for folder in includes]

    def compile_one(job):
        compiler, name = job
        # Twice: #pragma once is there. The empty main keeps -Wpedantic from speaking of an empty file.
        text = f'#include <sherlock/{name}>\n#include <sherlock/{name}>\nint main() {{}}\n'
        done = subprocess.run([compiler, *flags], input=text, capture_output=True, text=True)
        return None if done.returncode == 0 else f'{compiler}: <sherlock/{name}> does not compile alone:\n{done.stderr[:1500]}'

    jobs = [(compiler, name) for compiler in present for name in headers(root)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from filter(None, pool.map(compile_one, jobs))
    print(f'{len(headers(root))} headers alone with {" and ".join(present)}')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('what', choices=['friends', 'umbrella', 'licence', 'alone'])
    parser.add_argument('root', nargs='?', type=pathlib.Path, default=pathlib.Path(__file__).parents[2])
    parser.add_argument('--compiler', action='append', default=[])
    parser.add_argument('--include', action='append', default=[])
    asked = parser.parse_args()
    root = asked.root.resolve()
    wrong = list(alone(root, asked.compiler, asked.include) if asked.what == 'alone' else globals()[asked.what](root))
    if not headers(root):
        wrong.append(f'no headers below {root}/include/sherlock')
    print('\n'.join(wrong) or 'kept')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
