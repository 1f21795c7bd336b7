#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads the #include lines of the source against tests/house/layers.txt, so that the drawing and the code cannot drift apart.

  check_layers.py [ROOT]      exit 1 and a line per include that crosses the drawing
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)
SOURCES = ('.hpp', '.h', '.cpp', '.cpp.in', '.hpp.in')


def read_drawing(path):
    drawing = {}
    for line in path.read_text().splitlines():
        line = line.split('#')[0].strip()
        if not line:
            continue
        match = re.fullmatch(r'(\S+)\s+\(([^)]*)\)', line)
        if not match:
            sys.exit(f'{path}: expected "folder (layers...)", found "{line}"')
        drawing[match[1]] = match[2].split()
    return drawing


def layer_folders(drawing):
    return {folder.removeprefix('src/') for folder in drawing if folder.startswith('src/')}


def sources(folder):
    return sorted(p for p in folder.rglob('*') if p.is_file() and p.name.endswith(SOURCES))


def inside(path, folder):
    return path.is_relative_to(folder)


def complaint(root, drawing, file, quote, name):
    """Why `file` must not include `name`; None where it may."""
    home = next((folder for folder in drawing if inside(file, root / folder)), None)
    if home is None:
        return f'is in no folder of the drawing: give {file.relative_to(root).parent} a line in layers.txt'
    if name.startswith('sherlock/'):
        return None if quote == '<' else 'includes a public header with "": write <' + name + '>'
    if quote == '<':  # somebody else's library, unless it is one of our folders in disguise
        return f'includes a layer with <>: write "{name}"' if name.split('/')[0] in layer_folders(drawing) else None

    target = next((p for p in (file.parent / name, root / 'src' / name, root / home / name) if p.is_file()), None)
    if target is None:  # made by the build, or not ours
        return None if '/' not in name else 'is not found under src: is the path complete?'
    target = target.resolve()
    if inside(target, root / 'include'):
        return 'reaches a public header by its path: write <sherlock/...>'
    if inside(target, root / home):
        ours = file.relative_to(root / home).parts
        theirs = target.relative_to(root / home).parts
        neighbours = home in ('src/backends', 'src/addons') and len(ours) > 1 and len(theirs) > 1 and ours[0] != theirs[0] and theirs[0] != 'common'
        return f'is a neighbour: {ours[0]} and {theirs[0]} must not know each other' if neighbours else None
    for layer in drawing[home]:
        if inside(target, root / 'src' / layer):
            return None
    return f'crosses the drawing: {home} may include ({" ".join(drawing[home])}) and <sherlock/...>'


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2]).resolve()
    drawing = read_drawing(root / 'tests/house/layers.txt')
    folders = [root / folder for folder in drawing]
    files = sorted({file for folder in [root / 'src', *folders] for file in sources(folder)})
    wrong = 0
    for file in files:
        text = file.read_text()
        for match in INCLUDE.finditer(text):
            why = complaint(root, drawing, file, match[1], match[2])
            if why:
                wrong += 1
                line = text.count('\n', 0, match.start(2)) + 1
                print(f'{file.relative_to(root)}:{line}: "{match[2]}" {why}')
    for folder in drawing:
        if not (root / folder).is_dir():
            wrong += 1
            print(f'layers.txt: there is no folder {folder}')
    print(f'{len(files)} files, {wrong} includes against the drawing')
    return 1 if wrong or not files else 0


if __name__ == '__main__':
    sys.exit(main())
