#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A check that cannot fail checks nothing: plants each violation in a small copy of the house and sees it found."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
DEV = ROOT / 'tools/dev'
SPDX = '// SPDX-License-Identifier: MIT\n'

# claim, check, planted file, its text, what the check must say
PLANTED = [
    ('a lower layer includes a higher one', 'check_layers.py', 'src/posix/a.cpp', '#include "local/key.hpp"', 'crosses the drawing'),
    ('core includes its neighbour local', 'check_layers.py', 'src/core/a.cpp', '#include "local/key.hpp"', 'crosses the drawing'),
    ('a backend includes a sibling', 'check_layers.py', 'src/backends/file/a.cpp', '#include "backends/other/b.hpp"', 'neighbour'),
    ('a backend includes a sibling by ..', 'check_layers.py', 'src/backends/file/a.cpp', '#include "../other/b.hpp"', 'neighbour'),
    ('an add-on includes a sibling', 'check_layers.py', 'src/addons/mine/a.cpp', '#include "addons/other/b.hpp"', 'neighbour'),
    ('a tool includes what is not public', 'check_layers.py', 'tools/sherlock/a.cpp', '#include "local/key.hpp"', 'crosses the drawing'),
    ('a layer hides behind <>', 'check_layers.py', 'src/posix/a.cpp', '#include <local/key.hpp>', 'with <>'),
    ('a folder is not in the drawing', 'check_layers.py', 'src/attic/a.cpp', '#include <string>', 'no folder of the drawing'),
    ('an example includes what is not public', 'check_layers.py', 'docs/examples/a.cpp', '#include "../../src/local/key.hpp"', 'crosses'),
    ('a public header names fmt', 'check_headers.py friends', 'include/sherlock/b.hpp', '#include <fmt/core.h>', 'not of the standard'),
    ('a public header names a private one', 'check_headers.py friends', 'include/sherlock/b.hpp', '#include "core/x.hpp"', 'private'),
    ('a public header is missing in the umbrella', 'check_headers.py umbrella', 'include/sherlock/b.hpp', '', 'not reached'),
    ('a source says no licence', 'check_headers.py licence', 'src/core/a.cpp', None, 'must say'),
    ('a link leads nowhere', 'check_links.py', 'docs/a.md', 'See [there](b.md).', 'docs/a.md: b.md leads nowhere'),
    ('a link misses its heading', 'check_links.py', 'docs/a.md', '# A heading\n[there](#another)', 'leads nowhere'),
    ('a block of code is in no program', '../../tests/house/docs_code.py', 'docs/a.md', '```cpp\nint x;\n```', 'in no file'),
    ('a header needs another before it', 'check_headers.py alone --compiler c++ --include ROOT/include', 'include/sherlock/b.hpp',
     '#pragma once\nstd::string name();', 'does not compile alone'),
]


def small_house(root):
    for path, text in {'src/local/key.hpp': '', 'src/backends/other/b.hpp': '', 'src/addons/other/b.hpp': '', 'include/sherlock/sherlock.hpp': '#pragma once\n',
                       'include/sherlock/conformance.hpp': '#pragma once\n', 'include/sherlock/plugin.hpp': '#pragma once\n',
                       'docs/index.md': '[heading](#heading)\n# heading\n'}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(SPDX + text)
    for folder in ('posix', 'core', 'registry', 'backends/file', 'conformance', 'addons/other'):
        (root / 'src' / folder).mkdir(parents=True, exist_ok=True)
    for folder in ('tools', 'docs/examples', 'tests/consumer', 'tests/house'):
        (root / folder).mkdir(parents=True)
    shutil.copy(ROOT / 'tests/house/layers.txt', root / 'tests/house')


def run(check, root):
    # All take the root of the tree as their last word, before options.
    name, *arguments = check.replace('ROOT', str(root)).split()
    return subprocess.run([sys.executable, DEV / name, *arguments[:1], root, *arguments[1:]], capture_output=True, text=True)


def symbols_fail(folder):
    """A symbol nobody listed, and one of a stranger."""
    source, library, listed = folder / 's.cpp', folder / 's.so', folder / 'symbols.txt'
    source.write_text('namespace sherlock { int planted() { return 1; } }\nnamespace fmt { int leaked() { return 1; } }\n')
    subprocess.run(['c++', '-shared', '-fPIC', '-nostartfiles', '-o', library, source], check=True)
    for name, text in {'unlisted': '', 'listed': 'fmt::leaked()\nsherlock::planted()\n'}.items():
        listed.write_text(text)
        done = subprocess.run([sys.executable, DEV / 'check_symbols.py', library, listed], capture_output=True, text=True)
        said = 'not ours: fmt::leaked()' in done.stdout and ('+sherlock::planted()' in done.stdout) == (name == 'unlisted')
        yield f'a symbol of a stranger is exported, {name}', done.returncode == 1 and said, done.stdout


def main():
    failed = 0
    results = []
    for claim, check, path, text, said in PLANTED:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            small_house(root)
            before = run(check, root)
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text('int x;\n' if text is None else SPDX + text + '\n')
            after = run(check, root)
            found = before.returncode == 0 and after.returncode == 1 and said in after.stdout
            results.append((claim, found, before.stdout + after.stdout + after.stderr))
    with tempfile.TemporaryDirectory() as folder:
        results += symbols_fail(pathlib.Path(folder))
    for claim, found, output in results:
        print(('found: ' if found else 'NOT FOUND: ') + claim)
        if not found:
            failed += 1
            print(output)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
