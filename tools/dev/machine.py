# SPDX-License-Identifier: MIT
"""What figures depend on, of the machine that they were measured on; nothing that names it."""
import os
import pathlib
import re
import subprocess


def output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ''


def of_cpuinfo(key):
    found = re.search(rf'^{key}\s*: (.*)$', pathlib.Path('/proc/cpuinfo').read_text(), re.M)
    return found[1] if found else ''


def file_system(folder):
    return output('stat', '--file-system', '--format', '%T', folder).replace('ext2/ext3', 'ext4')


def facts(folder):
    memory = int(re.search(r'MemTotal: +(\d+)', pathlib.Path('/proc/meminfo').read_text())[1])
    return {
        'processors': os.cpu_count(),
        'processor': of_cpuinfo('model name'),
        'virtual': 'hypervisor' in of_cpuinfo('flags').split(),
        'memory_gib': round(memory / 2**20),
        'kernel': 'Linux ' + re.match(r'[\d.]+', os.uname().release)[0],
        'file_system': file_system(folder),
        'compiler': 'g++ ' + output('g++', '-dumpfullversion'),
        'c_library': output('getconf', 'GNU_LIBC_VERSION'),
        'sqlite': output('pkg-config', '--modversion', 'sqlite3'),
    }


def sentence(f):
    what = 'a virtual machine' if f['virtual'] else 'a machine'
    return (f'{what} with {f["processors"]} processors ({f["processor"]}) and {f["memory_gib"]} GiB, {f["kernel"]}, {f["file_system"]}, {f["compiler"]}, '
            f'{f["c_library"]}, SQLite {f["sqlite"]}')
