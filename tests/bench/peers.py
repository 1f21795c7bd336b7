#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Python's locks, measured by Python.

  peers.py serve            reads a question a line, and answers each with a line of numbers
  peers.py start KIND PATH  takes one lock and prints when it had it (CLOCK_BOOTTIME, ns)
"""
import importlib.util
import mmap
import os
import random
import signal
import sys
import time


def now():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Lock:
    """Each library's lock as its documentation has it, waiting as long as it takes."""

    def __init__(self, kind, path):
        if kind == 'filelock':
            import filelock
            lock = filelock.FileLock(path)
        elif kind == 'fasteners':
            import fasteners
            lock = fasteners.InterProcessLock(path)
        else:
            import portalocker
            lock = portalocker.Lock(path, 'a', timeout=300)
        self.acquire, self.release, self.kept = lock.acquire, lock.release, lock


class Board:
    """Numbers that forked processes share."""

    def __init__(self):
        self.cells = memoryview(mmap.mmap(-1, 1 << 16)).cast('q')

    def __getitem__(self, i):
        return self.cells[i]

    def __setitem__(self, i, value):
        self.cells[i] = value


def child(body):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            body()
            code = 0
        finally:
            os._exit(code)
    return pid


def await_(ready):
    end = time.monotonic() + 30
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError('a process does not do its part')
        time.sleep(0.0002)


def have(kind):
    return [int(importlib.util.find_spec(kind) is not None)]


def pair(kind, path, n):
    """ns of the processor's a pair."""
    lock = Lock(kind, path)
    for _ in range(5):
        lock.acquire()
        lock.release()
    begin = time.process_time_ns()
    for _ in range(n):
        lock.acquire()
        lock.release()
    return [(time.process_time_ns() - begin) / n]


def hand_off(kind, path, rounds):
    """us from the release in one process to the end of acquire in the other, which tries from some time within its polls' interval on."""
    board = Board()
    TURN, RELEASED, READY, FIRST = 0, 1, 2, 4

    def play(me):
        lock = Lock(kind, path)
        board[READY + me] = 1
        await_(lambda: board[READY] + board[READY + 1] == 2)
        dice = random.Random(me + now())
        for turn in range(me, rounds, 2):
            await_(lambda: board[TURN] >= turn)
            lock.acquire()
            if turn:
                board[FIRST + turn] = now() - board[RELEASED]
            board[TURN] = turn + 1
            time.sleep(dice.uniform(0.05, 0.3))
            board[RELEASED] = now()
            lock.release()

    for pid in [child(lambda: play(0)), child(lambda: play(1))]:
        os.waitpid(pid, 0)
    return [board[FIRST + turn] / 1000 for turn in range(1, rounds)]


def contend(kind, path, processes, ms):
    """Each process's pairs in that time, and before them the seconds it took."""
    board = Board()
    READY, GO, STOP, FIRST = 0, 1, 2, 512

    def work(me):
        lock = Lock(kind, path)
        board[FIRST + processes + me] = 1
        await_(lambda: board[GO])
        while not board[STOP]:
            lock.acquire()
            if not board[STOP]:
                board[FIRST + me] += 1
            lock.release()

    pids = [child(lambda i=i: work(i)) for i in range(processes)]
    await_(lambda: sum(board[FIRST + processes + i] for i in range(processes)) == processes)
    begin = now()
    board[GO] = 1
    time.sleep(ms / 1000)
    took = (now() - begin) / 1e9
    counts = [board[FIRST + i] for i in range(processes)]
    board[STOP] = 1
    for pid in pids:
        os.waitpid(pid, 0)
    return [took, *counts]


def die(kind, path):
    """us from the SIGKILL of the holder to the next holder."""
    board = Board()
    HELD, TRIES, GRANTED = 0, 1, 2

    def hold():
        lock = Lock(kind, path)
        lock.acquire()
        board[HELD] = 1
        signal.pause()

    def wait():
        lock = Lock(kind, path)
        board[TRIES] = 1
        lock.acquire()
        board[GRANTED] = now()
        lock.release()

    holder = child(hold)
    await_(lambda: board[HELD])
    waiter = child(wait)
    await_(lambda: board[TRIES])
    time.sleep(random.uniform(0.05, 0.3))
    killed = now()
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    os.waitpid(waiter, 0)
    return [(board[GRANTED] - killed) / 1000]


def serve():
    verbs = {'have': have, 'pair': pair, 'hand_off': hand_off, 'contend': contend, 'die': die}
    for line in sys.stdin:
        verb, *words = line.split()
        try:
            answer = verbs[verb](*(int(word) if word.isdigit() else word for word in words))
        except Exception as error:
            print(f'peers.py: {line.strip()}: {error!r}', file=sys.stderr)
            answer = []
        print(*answer, flush=True)


def start(kind, path):
    Lock(kind, path).acquire()
    sys.stdout.write(f'{now()}\n')
    sys.stdout.flush()
    os._exit(0)


if __name__ == '__main__':
    serve() if sys.argv[1] == 'serve' else start(*sys.argv[2:])
