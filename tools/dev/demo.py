#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The main job of sherlock, shown on every backend: demo.py BUILD_DIR

Real processes add to a number in a file under one lock; one of them is killed while it holds it; the sum must be exact.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

WORKERS, EACH = 4, 1000
ALL = WORKERS * EACH
STALL_AT = 400  # at which of its increments the worker stops that will be killed
LOCK = 'demo'
PATIENCE = 60  # seconds

terminal = sys.stdout.isatty()


def paint(code, text):
    return f'\033[{code}m{text}\033[0m' if terminal and 'NO_COLOR' not in os.environ else text


def say(text=''):
    print(('\r\033[K' if terminal else '') + text, flush=True)


class Live:
    """What goes on: on a terminal one line that the next one overwrites, elsewhere a line now and then."""

    def __init__(self):
        self.looked, self.printed = 0, 0

    def look(self, store, journal):
        now = time.monotonic()
        if now - self.looked < 0.1:
            return
        self.looked = now
        holder = store.status()
        if not holder:
            return
        who = f'held by {holder["label"]} (pid {holder["pid"]})' if holder['pid'] else 'on its way from one to the next'
        text = f'  {journal.counted():4} of {ALL}   {who}, {holder["waiting"] or 0} waiting'
        if terminal:
            print('\r\033[K' + text[:110], end='', flush=True)
        elif now - self.printed > 0.5:
            self.printed = now
            say(text)


class Store:
    """One backend, a place for its locks, and the command line to look at them."""

    # Where the demonstration's locks live. A backend that is not named here is asked for its default client.
    CLIENTS = {'file': '{work}/locks', 'sqlite': '{work}/locks.db', 'shm': 'sherlock-demo-{pid}'}

    def __init__(self, build, backend, work):
        self.program = build / 'tools/sherlock/sherlock'
        self.backend = backend
        self.client = self.CLIENTS.get(backend, '').format(work=work, pid=os.getpid())

    def sherlock(self, *words):
        where = ['--client', self.client] if self.client else []
        return subprocess.run([self.program, *words, '--backend', self.backend, *where], capture_output=True, text=True)

    def remove(self):
        """What is not in the folder of the demonstration."""
        if self.backend == 'shm':
            pathlib.Path('/dev/shm', self.client).unlink(missing_ok=True)

    def status(self):
        text = self.sherlock('status', LOCK, '--json').stdout
        return (json.loads(text).get('holder') or {}) if text else {}


class Journal:
    """What the workers wrote down: kind, pid, fence, time in ns, value."""

    def __init__(self, folder):
        self.path, self.counter = folder / 'journal', folder / 'counter'

    def lines(self):
        text = self.path.read_text() if self.path.exists() else ''
        return [(kind, *map(int, rest)) for kind, *rest in (line.split() for line in text.splitlines() if line.count(' ') == 4)]

    def ends_with_a_stall(self):
        with open(self.path, 'rb') as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 200))
            return b''.join(file.read().splitlines()[-1:]).startswith(b'stall ')

    def counted(self):
        return int(self.counter.read_text().strip() or 0) if self.counter.exists() else 0

    def overlaps(self):
        """How often somebody began while another was at it. Who died is at it until a successor did its increment."""
        found, inside = 0, set()
        for kind, pid, *_ in self.lines():
            if kind == 'start':
                found += bool(inside - {pid})
                inside.add(pid)
            elif kind == 'done':
                inside.discard(pid)
            elif kind == 'repair':
                inside.clear()
        return found

    def fences_grow(self):
        fences = [fence for kind, _, fence, *_ in self.lines() if kind == 'start']
        return all(a < b for a, b in zip(fences, fences[1:]))


def worker(build, store, folder, count, label, stall_at=None):
    words = [build / 'tools/demo-worker/demo-worker', store.backend if store else 'none', store.client if store else '', LOCK, folder]
    return subprocess.Popen([*words, str(count), label, *([str(stall_at)] if stall_at else [])])


def wait_for(what, condition):
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f'waited {PATIENCE} s for {what}')
        time.sleep(0.005)
    return found


def without_a_lock(build, folder):
    """So that everybody sees that the number really is unprotected."""
    running = [worker(build, None, folder, EACH, '') for _ in range(WORKERS)]
    codes = [process.wait(PATIENCE) for process in running]
    journal = Journal(folder)
    say(paint('1', 'Without a lock'))
    say(f'  {WORKERS} processes, {EACH} increments each, of one number in a file: {ALL} expected, {journal.counted()} counted, '
        f'{journal.overlaps()} overlaps.')
    say()
    return not any(codes)


def kill_the_holder(store, journal, victim):
    """Shows who holds and who waits, then kills the holder. Returns how long nobody had the lock, in seconds."""
    wait_for('the others to wait', lambda: (store.status().get('waiting') or 0) >= WORKERS - 1)
    time.sleep(1)  # for whoever looks on: a holder of a second ago is easier to read than one of a millisecond
    say(f'  {paint("33", "One process stopped in the middle, with the lock in its hands.")} sherlock status {LOCK}')
    for line in store.sherlock('status', LOCK).stdout.splitlines():
        say('    ' + paint('2', line))
    waited = journal.ends_with_a_stall()
    before = len(journal.lines())
    say(f'  {paint("31", f"kill -KILL {victim.pid}")}')
    killed = time.monotonic_ns()
    victim.send_signal(signal.SIGKILL)
    wait_for('a successor', lambda: len(journal.lines()) > before)
    kind, pid, _, when, value = journal.lines()[before]
    if not waited or when < killed:
        raise RuntimeError('somebody had the lock beside its holder')
    took_over = f'It was told that the last holder died, and did its increment to {value}.' if kind == 'repair' else ''
    say(f'  {(when - killed) / 1e6:.1f} ms later process {pid} had the lock. {took_over}')
    return (when - killed) / 1e9


def work_and_kill(store, journal, start):
    """The whole job. Returns the seconds it took to recover from the kill."""
    live = Live()

    def stalled():
        live.look(store, journal)
        return journal.path.exists() and journal.ends_with_a_stall()

    running = [start(EACH, f'worker 1 of {WORKERS}', STALL_AT)] + [start(EACH, f'worker {n} of {WORKERS}') for n in range(2, WORKERS + 1)]
    try:
        wait_for('the process that stops in the middle', stalled)
        recovery = kill_the_holder(store, journal, running[0])
        running[0].wait()
        # The dead one had EACH to do. The one in the middle its successor did; what is left does a new process.
        running[0] = start(EACH - STALL_AT, f'worker 1 of {WORKERS}, again')

        def done():
            live.look(store, journal)
            return all(process.poll() is not None for process in running)

        wait_for('the others to finish', done)
    finally:
        for process in running:
            process.kill()
            process.wait()
    if any(process.returncode for process in running):
        raise RuntimeError('a process failed')
    return recovery


def run_backend(build, store, folder):
    folder.mkdir()
    journal = Journal(folder)
    say(paint('1', f'Backend {store.backend}'))
    say(f'  {WORKERS} processes, {EACH} increments each, of one number in a file, under one lock.')
    began = time.monotonic()
    try:
        recovery = work_and_kill(store, journal, lambda *job: worker(build, store, folder, *job))
    except (TimeoutError, RuntimeError) as e:
        say(paint('31', f'  {e}'))
        say()
        return False, store.backend, str(e)
    finally:
        store.remove()

    counted, overlaps, fences = journal.counted(), journal.overlaps(), journal.fences_grow()
    say(f'  Done in {time.monotonic() - began:.1f} s. ' + ('Every fence was larger than the one before.' if fences else 'A FENCE WENT BACK.'))
    say()
    return counted == ALL and overlaps == 0 and fences, store.backend, (
        f'{ALL} increments expected, {counted} counted, {overlaps} overlaps, {recovery * 1000:.1f} ms to recover from the kill')


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix='sherlock-demo-') as folder:
        work = pathlib.Path(folder)
        listed = subprocess.run([build / 'tools/sherlock/sherlock', 'backends', '--json'], check=True, capture_output=True, text=True).stdout
        names = [backend['name'] for backend in json.loads(listed)['backends']]
        (work / 'none').mkdir()
        good = without_a_lock(build, work / 'none')
        proofs = [run_backend(build, Store(build, name, work), work / f'run-{name}') for name in names]
    say(paint('1', 'The proof'))
    for kept, name, text in proofs:
        say(f'  {paint("32", "kept  ") if kept else paint("31", "BROKEN")}  {name}: {text}')
    return 0 if good and proofs and all(kept for kept, *_ in proofs) else 1


if __name__ == '__main__':
    sys.exit(main())
