#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tools/setup build installs all that a build takes: with the programs and package files of no other package, Meson finds what it looks for.

What is installed here besides is hidden, as far as it is looked for in PATH or by pkg-config.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
UNTESTED = 77  # as meson has it
PROGRAMS = ('/bin/', '/sbin/', '/usr/bin/', '/usr/sbin/')


def installed():
    """Package -> what it depends on, and the names that are essential. A name that a package provides is one of its own."""
    listed = subprocess.run(['dpkg-query', '-W', '-f', '${db:Status-Status}\t${Package}\t${Essential}\t${Provides}\t${Pre-Depends}, ${Depends}\n'],
                            capture_output=True, text=True, check=True).stdout
    needs, essential, provided = {}, set(), {}
    for line in listed.splitlines():
        status, package, is_essential, provides, depends = line.split('\t')
        if status != 'installed':
            continue
        names = lambda text: re.findall(r'(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]+)', text)
        needs.setdefault(package, set()).update(names(depends))
        if is_essential == 'yes':
            essential.add(package)
        for name in names(provides):
            provided.setdefault(name, set()).add(package)
    return needs, essential, provided


def closure(wanted, needs, provided):
    known, left = set(), list(wanted)
    while left:
        name = left.pop()
        for package in ({name} if name in needs else provided.get(name, ())):
            if package not in known:
                known.add(package)
                left += needs[package]
    return known


def owned(packages):
    files = subprocess.run(['dpkg-query', '-L', *sorted(packages)], capture_output=True, text=True).stdout
    return set(files.split('\n'))


def show(folder, paths):
    folder.mkdir()
    for path in paths:
        if not (folder / path.name).exists():
            (folder / path.name).symlink_to(path)


def main():
    try:
        needs, essential, provided = installed()
    except OSError:
        print('skipped: this is no Debian')
        return UNTESTED
    wanted = re.search(r'^build=\((.*)\)$', (ROOT / 'tools/setup').read_text(), re.M)[1].split()
    absent = [package for package in wanted if package not in needs]
    if absent:
        print(f'skipped: not installed: {" ".join(absent)} (tools/setup does it)')
        return UNTESTED
    files = owned(closure(wanted + sorted(essential), needs, provided))

    def ours(path):
        # c++ and awk are links of /etc/alternatives; /bin is /usr/bin, whichever of the two a package says.
        real = str(path.resolve())
        return {str(path), real, real.removeprefix('/usr')} & files

    with tempfile.TemporaryDirectory(prefix='sherlock-setup-') as work:
        work = pathlib.Path(work)
        show(work / 'bin', [path for folder in PROGRAMS for path in pathlib.Path(folder).iterdir() if ours(path)])
        show(work / 'pc', [pathlib.Path(name) for name in files if re.search(r'/pkgconfig/[^/]+\.pc$', name)])
        env = {'PATH': str(work / 'bin'), 'PKG_CONFIG_LIBDIR': str(work / 'pc'), 'HOME': str(work), 'CXX': 'g++', 'LANG': 'C.UTF-8'}
        done = subprocess.run(['meson', 'setup', str(work / 'build'), str(ROOT), '-Dtests=disabled', '-Dcli=enabled', '-Ddocs=enabled'], env=env, capture_output=True,
                              text=True)
        print(done.stdout + done.stderr)
        # Each add-on is built where its library is found.
        built = re.search(r'^ *add-ons *: (.*)$', done.stdout, re.M)
        all_of_them = re.search(r"^option\('addons'.*?choices: \[(.*?)\]", (ROOT / 'meson_options.txt').read_text(), re.M)[1]
        # Where the loader and CMake look for libraries, which is not where Meson would put them by itself.
        options = json.loads(subprocess.run(['meson', 'introspect', '--buildoptions', str(work / 'build')], env=env, capture_output=True, text=True).stdout or '[]')
        libraries = next((option['value'] for option in options if option['name'] == 'libdir'), '')
        print(f'libraries are installed in {libraries}')
        good = done.returncode == 0 and libraries.startswith('lib/') and built and set(built[1].split(', ')) == set(re.findall(r"'(\w+)'", all_of_them))
    print('kept: ' if good else 'BROKEN: ', 'tools/setup build installs what a build takes', sep='')
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
