#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The program `sherlock`, claim by claim, on real files with real processes.

Usage: cli_test.py PROGRAM [WORD...]    with words, only claims that contain one of them
"""
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import time
import traceback

PROGRAM = os.path.abspath(sys.argv[1])
PATIENCE = 20  # seconds after which something that should happen has not
CLAIMS = []
HOLD = "echo up; read line; exit 0"  # for sh -c: lives until its stdin is closed


def claim(text):
    def keep(function):
        CLAIMS.append((text, function))
        return function
    return keep


class Skip(Exception):
    pass


def expect(condition, *facts):
    if not condition:
        raise AssertionError(" | ".join(str(fact) for fact in facts) or "not so")


def eventually(condition, *facts):
    end = time.monotonic() + PATIENCE
    while not condition():
        expect(time.monotonic() < end, "never happened", *facts)
        time.sleep(0.005)


class Done:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return f"exit {self.code}, out {self.out!r}, err {self.err!r}"


class Store:
    """A store of its own for one claim, and everything that was started on it."""

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="sherlock-cli-test-")
        self.directory = os.path.join(self.top, "locks")
        self.started = []

    def close(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    with contextlib.suppress(OSError):
                        stream.close()
            process.wait()
        shutil.rmtree(self.top, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.top, name)

    def words(self, *words):
        return [PROGRAM, "-C", self.directory, *words]

    def start(self, *words, before=(), **options):
        for stream in ("stdin", "stdout", "stderr"):
            options.setdefault(stream, subprocess.PIPE)
        process = subprocess.Popen([*before, *self.words(*words)], **options)
        self.started.append(process)
        return process

    def do(self, *words, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        process = self.start(*words, **options)
        out, err = process.communicate(timeout=PATIENCE)
        return Done(process.returncode, (out or b"").decode(errors="surrogateescape"), (err or b"").decode(errors="surrogateescape"))

    def status(self, name, *more):
        return json.loads(self.do("status", "--json", name, *more).out)

    def held(self, name):
        return self.do("status", "-q", name).code == 75

    def hold(self, name, *options, command=("sh", "-c", HOLD), **how):
        """`run` with a command that says "up" and lives until its stdin is closed."""
        for _ in range(10):
            process = self.start("run", *options, name, "--", *command, **how)
            if process.stdout.readline() == b"up\n":
                return process
            if "--expire" not in options or process.wait(timeout=PATIENCE) != 76:  # a slow machine may be too late for a short lease
                break
        raise AssertionError("the holder did not start", process.poll())


def finish(process):
    """Closes its stdin, and returns its exit code."""
    process.stdin.close()
    return process.wait(timeout=PATIENCE)


def read_all(stream):
    return stream.read().decode(errors="surrogateescape")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def process_state(pid):
    """What /proc says of it; nothing once it is gone."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    except OSError:
        return {}


def is_alive(pid):
    return process_state(pid).get("State", "Z")[0] not in "ZX"


def has_dealt_with(pid):
    """Whether it took all its signals and sleeps again."""
    state = process_state(pid)
    return int(state["ShdPnd"].strip(), 16) == int(state["SigPnd"].strip(), 16) == 0 and state["State"][0] == "S"


# Says which signals came, one a line in the file, and ends when its stdin is closed.
LISTENER = """
import os, signal, sys
def came(number, frame):
    fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, (signal.Signals(number).name + chr(10)).encode())
    os.close(fd)
for name in ('TERM', 'INT', 'HUP', 'QUIT', 'USR1', 'USR2'):
    signal.signal(getattr(signal, 'SIG' + name), came)
os.write(1, b'up\\n')
while os.read(0, 1):
    pass
"""


def listener(file):
    return (sys.executable, "-c", LISTENER, file)


def lines(file):
    try:
        with open(file) as opened:
            return opened.read().split()
    except FileNotFoundError:
        return []


# For bash -c: what follows, as an interactive shell would run it, which minds the signals of what it runs and not its own.
SHELL = 'trap : INT; "$@"; echo code $?'


class Terminal:
    """A program that has a terminal of its own and leads its session."""

    def __init__(self, words, columns=80, environment=()):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.environ.update({"TERM": "xterm", **dict(environment)})
            with contextlib.suppress(OSError):
                os.execvp(words[0], words)
            os._exit(1)
        self.text, self.times = b"", []

    def read_until(self, found):
        end = time.monotonic() + PATIENCE
        while not found(self.text):
            expect(time.monotonic() < end, "the terminal never showed it", self.text)
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    more = os.read(self.fd, 65536)
                except OSError:  # the last program has closed it
                    more = b""
                if not more:
                    expect(found(self.text), "the terminal was closed", self.text)
                    return
                self.text += more
                self.times.append(time.monotonic())

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    def wait(self):
        """The exit code, negative for a signal."""
        end = time.monotonic() + PATIENCE
        while True:
            pid, how = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(how)
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise AssertionError("it did not end")
            if self.fd >= 0 and select.select([self.fd], [], [], 0.005)[0]:
                with contextlib.suppress(OSError):
                    self.text += os.read(self.fd, 65536)


# ------------------------------------------------------------------------------------------------------- exit codes


@claim("the exit code is the command's own")
def _(store):
    for code in (0, 1, 7, 75, 255):
        expect(store.do("run", "a", "sh", "-c", f"exit {code}").code == code, code)


@claim("the program dies of the signal that the command died of")
def _(store):
    for name in ("TERM", "KILL", "SEGV", "USR1", "INT"):
        done = store.do("run", "a", "sh", "-c", f"kill -{name} $$")
        expect(done.code == -getattr(signal, "SIG" + name), name, done)


@claim("75: a lock that is held is not waited for with -n, and the message says who has it")
def _(store):
    store.hold("a", "-l", "full dump")
    for option in ("-n", "--nonblock"):
        done = store.do("run", option, "a", "echo", "never")
        expect(done.code == 75 and done.out == "", done)
        expect(done.err.startswith("sherlock: ") and done.err.count("\n") == 1 and "full dump" in done.err and "pid" in done.err, done)


@claim("75: -w gives up when its time is over, and not before")
def _(store):
    store.hold("a")
    for length in ("0.3", "300ms", ".3s"):
        began = time.monotonic()
        done = store.do("run", "-w", length, "a", "echo", "never")
        expect(done.code == 75 and done.out == "" and time.monotonic() - began >= 0.3, done)


@claim("-E says what the exit code is when the lock was not to be had")
def _(store):
    store.hold("a")
    expect(store.do("run", "-E", "1", "-n", "a", "true").code == 1)
    expect(store.do("run", "--conflict-exit-code=9", "--timeout", "0", "a", "true").code == 9)


@claim("76: the lock was lost while the command ran")
def _(store):
    holder = store.hold("a", "--expire", "1", "--on-lost", "warn")
    holder.send_signal(signal.SIGSTOP)
    expect(store.do("run", "-w", "19", "a", "true").code == 0)  # the lease ends, though its holder lives
    holder.send_signal(signal.SIGCONT)
    expect(b"lost" in holder.stderr.readline())
    expect(finish(holder) == 76)


@claim("64: what is no sentence is refused by naming the word, with one line")
def _(store):
    for words, named in (
            (["run"], "LOCK"), (["run", "a"], "COMMAND"), (["run", "a", "--"], "COMMAND"), (["status"], "LOCK"), ([], "command"),
            (["frobnicate"], "frobnicate"), (["--bogus", "list"], "--bogus"), (["status", "-z", "a"], "-z"),
            (["run", "-nz", "a", "true"], "-z"),
            (["status", "a", "b"], "'b'"), (["run", "-w"], "-w"), (["list", "--json=3"], "--json"), (["run", "-s", "a", "true"], "-s"),
            (["list", "--color=red"], "red"), (["run", "-E", "256", "a", "true"], "256"), (["run", "-E", "-1", "a", "true"], "-1"),
            (["run", "-E", "x", "a", "true"], "'x'"), (["run", "--on-lost=cry", "a", "true"], "cry"),
            (["run", "-c", "true", "a", "true"], "'true'"), (["run", "--json", "a", "true"], "--json"), (["clean", "-N", "x"], "-N")):
        done = store.do(*words)
        expect(done.code == 64 and done.out == "" and named in done.err and done.err.count("\n") == 1, words, done)


@claim("64: a length of time that is none is refused by naming it, the same in every locale")
def _(store):
    for length in ("", "x", "5x", "-1", "+1", "nan", "1,5", "0x10", "5 s", "1h30", "1e3", "--", ".", "5s5", "ms", "1.2.3"):
        for option in ("-w", "--expire", "-k"):
            done = store.do("run", option, length, "a", "true", env={**os.environ, "LC_ALL": "de_DE.UTF-8"})
            expect(done.code == 64 and f"'{length}'" in done.err, option, length, done)


@claim("lengths of time: seconds, ms, s, m, h, d, put together, and without end")
def _(store):
    for length in ("5", "2.5", ".9", "2500ms", "5s", "5m", "1h", "2d", "1h30m", "1.5h", "inf", "never", "forever", "9" * 20):
        done = store.do("run", "-w", length, "--expire", length, "a", "true", env={**os.environ, "LC_ALL": "de_DE.UTF-8"})
        expect(done.code == 0, length, done)


@claim("65: a store that is damaged is refused by naming it, and left as it is")
def _(store):
    store.do("run", "a", "true")
    companion = os.path.join(store.directory, ".sherlock")
    if not os.path.exists(companion):
        raise Skip("this store has no companion")
    os.remove(companion)
    text = "somebody's thesis\n" * 200000
    with open(companion, "w") as file:
        file.write(text)
    for words in (["run", "a", "echo", "never"], ["status", "a"], ["list"], ["clean"]):
        done = store.do(*words)
        expect(done.code == 65 and done.out == "" and companion in done.err, words, done)
    with open(companion) as file:
        expect(file.read() == text)


@claim("69: a file system that cannot exclude is refused by naming it")
def _(store):
    nfs = os.environ.get("SHERLOCK_TEST_NFS")
    if not nfs:
        raise Skip("SHERLOCK_TEST_NFS is not set")
    done = store.do("run", "a", "echo", "never", env={**os.environ, "LD_PRELOAD": nfs, "ASAN_OPTIONS": "verify_asan_link_order=0"})
    expect(done.code == 69 and done.out == "" and store.directory in done.err and "NFS" in done.err, done)


@claim("71: out of descriptors, and it says so")
def _(store):
    store.do("run", "a", "true")
    done = store.do("run", "a", "echo", "never", before=("sh", "-c", 'ulimit -n 4; exec "$@"', "sh"))
    expect(done.code == 71 and done.out == "" and "sherlock: " in done.err and "ulimit -n" in done.err, done)


@claim("whatever few descriptors there are: the command runs, or it is said that there are too few")
def _(store):
    worked = 0
    for limit in range(4, 26):
        done = store.do("run", "a", "echo", "mine", before=("sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh"))
        worked += done.code == 0
        expect(done.out == "mine\n" if done.code == 0 else done.code == 71 and not worked and "ulimit -n" in done.err, limit, done)
    expect(worked)


WHOLE = os.path.join(os.path.dirname(PROGRAM), "sherlock-whole")


@claim("run on files and on shared memory loads neither libstdc++ nor SQLite; on SQLite it does")
def _(store):
    if not os.path.exists(WHOLE):
        raise Skip("with a sanitizer the program is in one piece")
    for backend, quick in (("file", True), ("shm", True), ("sqlite", False)):
        name = f"sherlock-cli-test-{os.getpid()}"
        client = {"file": store.path("f"), "shm": name, "sqlite": store.path("s.db")}[backend]
        try:
            done = store.do("-b", backend, "-C", client, "run", "l", "--", "sh", "-c", "cat /proc/$PPID/maps")
        finally:
            if backend == "shm":
                for left in os.listdir("/dev/shm"):
                    if name in left:
                        os.unlink(f"/dev/shm/{left}")
        expect(done.code == 0, backend, done)
        for library in ("libstdc++", "libsqlite3"):
            expect((library in done.out) != quick, backend, library)


@claim("71: without its other half, sherlock runs commands on files, and names the program that it misses for everything else")
def _(store):
    if not os.path.exists(WHOLE):
        raise Skip("with a sanitizer the program is in one piece")
    alone = store.path("sherlock")
    shutil.copy(PROGRAM, alone)
    words = ["-C", store.directory, "run", "l", "true"]
    expect(subprocess.run([alone, *words]).returncode == 0)
    for words in (["status", "l"], ["--help"], ["-b", "sqlite", *words], ["run", "--never-heard-of"]):
        done = subprocess.run([alone, *words], capture_output=True, text=True)
        expect(done.returncode == 71 and "sherlock-whole" in done.stderr, words, done)


@claim("73: a store that cannot be made, because its parent is missing, is refused by naming it")
def _(store):
    missing = store.path("no/such")
    done = store.do("-C", missing, "run", "a", "echo", "never")
    expect(done.code == 73 and done.out == "" and missing in done.err and not os.path.exists(store.path("no")), done)


@claim("74: a result that cannot be written is an error: stdout full, or closed from the start")
def _(store):
    store.do("run", "a", "true")
    for words in (["status", "a"], ["list"], ["list", "--json"], ["backends"], ["clean"], ["--help"], ["--version"], ["run", "--help"]):
        with open("/dev/full", "w") as full:
            done = store.do(*words, stdout=full)
        expect(done.code == 74 and "stdout" in done.err, words, done)
        done = store.do(*words, before=("sh", "-c", 'exec "$@" >&-', "sh"))
        expect(done.code == 74 and "stdout" in done.err, words, done)


@claim("77: a store that others may interfere with is refused by naming it, and not touched")
def _(store):
    os.mkdir(store.directory)
    os.chmod(store.directory, 0o777)
    done = store.do("run", "a", "echo", "never")
    expect(done.code == 77 and done.out == "" and store.directory in done.err, done)
    expect(os.listdir(store.directory) == [] and stat.S_IMODE(os.stat(store.directory).st_mode) == 0o777)
    os.chmod(store.directory, 0o700)
    os.symlink(store.directory, store.path("link"))
    done = store.do("-C", store.path("link"), "run", "a", "echo", "never")
    expect(done.code == 77 and store.path("link") in done.err, done)


@claim("78: what is understood but cannot be is refused: a backend, a client, an option, a name")
def _(store):
    for words, named in ((["-b", "nope", "list"], "nope"), (["-b", "nope", "list"], "file"),
                         (["-C", store.directory + "?bogus=1", "status", "a"], "bogus"),
                         (["run", "--expire", "0", "a", "true"], "expire"), (["status", ""], "name"), (["run", "x" * 1025, "true"], "1025"),
                         (["run", "-l", "x" * 257, "a", "true"], "label"), (["-N", "x" * 1025, "status", "a"], "ns")):
        done = store.do(*words)
        expect(done.code == 78 and done.out == "" and named in done.err and done.err.count("\n") == 1, words, done)


@claim("126, 127: a command that cannot be run, or is not found, and the lock is free again")
def _(store):
    with open(store.path("plain"), "w") as file:
        file.write("no program\n")
    for command, code in ((store.path("plain"), 126), (store.top, 126), ("no-such-command-anywhere", 127),
                          (store.path("missing"), 127), ("", 127)):
        done = store.do("run", "a", command, "argument")
        expect(done.code == code and f"'{command}'" in done.err and done.out == "", command, done)
        expect(not store.held("a"), command)


# ---------------------------------------------------------------------------------------------------------- the lock


@claim("the lock is held while the command runs, and free afterwards")
def _(store):
    expect(store.do("status", "a").code == 0)
    holder = store.hold("a")
    expect(store.held("a") and not store.held("b"))
    expect(finish(holder) == 0 and not store.held("a"))


@claim("commands under one lock never overlap, and all of them run")
def _(store):
    counter = store.path("counter")
    with open(counter, "w") as file:
        file.write("0\n")
    add = f"read n <{counter}; echo $((n + 1)) >{counter}"
    loop = 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do "$0" -C "$1" run a sh -c "$2" || exit 1; done'
    loops = [subprocess.Popen(["sh", "-c", loop, PROGRAM, store.directory, add], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
             for _ in range(6)]
    store.started += loops
    for loop in loops:
        _, err = loop.communicate(timeout=3 * PATIENCE)
        expect(loop.returncode == 0, err)
    with open(counter) as file:
        expect(file.read().strip() == "90")


@claim("flock(1) on the path that status tells keeps run out")
def _(store):
    store.do("run", "a", "true")
    path = store.status("a")["path"]
    other = subprocess.Popen(["flock", path, "sh", "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    store.started.append(other)
    expect(other.stdout.readline() == b"up\n")
    expect(store.do("run", "-n", "a", "true").code == 75)
    shown = store.status("a")
    expect(shown["held"] and shown["holder"]["pid"] is None and shown["holder"]["label"] is None, shown)
    expect("another program" in store.do("status", "a").out and "another program" in store.do("list", "--held").out)
    expect("held by another program" in store.do("run", "-w", "0.01", "a", "true").err)
    waiter = store.start("run", "a", "echo", "mine")
    expect(finish(other) == 0)
    expect(waiter.communicate(timeout=PATIENCE)[0] == b"mine\n")


@claim("run keeps flock(1) out")
def _(store):
    holder = store.hold("a")
    path = store.status("a")["path"]
    expect(subprocess.run(["flock", "-n", path, "true"]).returncode == 1)
    finish(holder)
    expect(subprocess.run(["flock", "-n", path, "true"]).returncode == 0)


@claim("run exits as the command did, though the store cannot be told of the end")
def _(store):
    place = ("-b", "sqlite", "-C", store.path("locks.db"))
    blocked = (f"import sqlite3, sys; busy = sqlite3.connect({store.path('locks.db')!r}, isolation_level=None); busy.execute('BEGIN IMMEDIATE'); print('up', flush=True); "
               "sys.stdin.read()")
    for end, code in (("exit 5", 5), ("exit 0", 0), ("kill -9 $$", -9)):
        holder = store.hold("a", *place, "-w", "1", command=("sh", "-c", f"echo up; read line; {end}"))
        busy = subprocess.Popen([sys.executable, "-c", blocked], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        store.started.append(busy)
        expect(busy.stdout.readline() == b"up\n")
        err = holder.communicate(timeout=PATIENCE)[1].decode()
        expect(holder.returncode == code and "locks.db" in err, holder.returncode, err)
        finish(busy)


@claim("a lease that is over before the command could be started is said so, and the command is not run")
def _(store):
    done = store.do("run", "--expire", "0.000001", "a", "echo", "never")
    expect(done.code == 76 and done.out == "" and "was over before 'echo' could be started" in done.err, done)


@claim("kill -9 of run: the lock lasts as long as the command lives, and not longer")
def _(store):
    holder = store.hold("a")
    command, = children(holder.pid)
    path = store.status("a")["path"]
    holder.kill()
    holder.wait()
    for _ in range(20):
        expect(is_alive(command) and store.held("a") and store.do("run", "-n", "a", "true").code == 75)
        expect(subprocess.run(["flock", "-n", path, "true"]).returncode == 1)
    expect(store.do("run", "-w", "0.2", "a", "true").code == 75)
    holder.stdin.close()  # of which the command has the other end
    eventually(lambda: not is_alive(command))
    expect(store.do("run", "-w", "5", "a", "true").code == 0)


@claim("kill -9 of run: a waiter gets the lock when the command ends")
def _(store):
    holder = store.hold("a")
    command, = children(holder.pid)
    waiter = store.start("run", "a", "echo", "mine")
    eventually(lambda: len(os.listdir(f"/proc/{waiter.pid}/task")) > 1)
    holder.kill()
    holder.wait()
    expect(not select.select([waiter.stdout], [], [], 0.3)[0] and is_alive(command))
    os.kill(command, signal.SIGKILL)
    expect(waiter.communicate(timeout=PATIENCE)[0] == b"mine\n" and waiter.returncode == 0)


@claim("kill -9 of run -o: the lock is free, though the command runs on")
def _(store):
    for option in ("-o", "--close"):
        holder = store.hold("a", option)
        command, = children(holder.pid)
        holder.kill()
        holder.wait()
        expect(store.do("run", "-w", "5", "a", "true").code == 0)
        expect(is_alive(command))
        finish(holder)


@claim("the command has no descriptor of the lock with -o, and none below 20 without")
def _(store):
    show = ("sh", "-c", "echo up; ls -l /proc/$$/fd; read line; exit 0")
    for options in ((), ("-o",)):
        holder = store.hold("a", *options, command=show)
        holder.stdin.close()
        found = re.findall(r" (\d+) -> (\S+)", read_all(holder.stdout))
        ours = [int(number) for number, target in found if target.startswith(store.directory)]
        expect(all(number >= 20 for number in ours) and bool(ours) == (not options), found)
        holder.wait()


@claim("processes that the command leaves behind do not keep the lock")
def _(store):
    holder = store.start("run", "a", "sh", "-c", "sleep 60 & echo $!", stderr=subprocess.DEVNULL)
    left = int(holder.stdout.readline())
    try:
        expect(holder.wait(timeout=PATIENCE) == 0)
        expect(is_alive(left) and not store.held("a"))
        expect(store.do("run", "-n", "a", "true").code == 0)
        expect(subprocess.run(["flock", "-n", store.status("a")["path"], "true"]).returncode == 0)
    finally:
        os.kill(left, signal.SIGKILL)


@claim("a waiting run gets the lock when it is let go")
def _(store):
    holder = store.hold("a")
    waiters = [store.start("run", "a", "echo", "mine") for _ in range(3)]
    finish(holder)
    for waiter in waiters:
        expect(waiter.communicate(timeout=PATIENCE)[0] == b"mine\n" and waiter.returncode == 0)


@claim("the command sees SHERLOCK_LOCK and SHERLOCK_FENCE, which grows")
def _(store):
    fences = []
    for _ in range(3):
        done = store.do("run", "the lock", "cat", "/proc/self/environ", env={**os.environ, "SHERLOCK_FENCE": "old", "SHERLOCK_LOCK": "old"})
        ours = [entry for entry in done.out.split("\0") if re.match("SHERLOCK_(LOCK|FENCE)=", entry)]
        expect(len(ours) == 2 and "SHERLOCK_LOCK=the lock" in ours, ours)
        fences.append(int(re.search(r"SHERLOCK_FENCE=(\d+)\0", done.out)[1]))
    expect(fences == sorted(set(fences)), fences)
    holder = store.hold("the lock")
    expect(int(store.status("the lock")["holder"]["fence"]) > fences[-1])
    finish(holder)


@claim("the label is what -l says, else the command line, cut to 256 bytes between two characters")
def _(store):
    holder = store.hold("a", "--label", "full dump")
    expect(store.status("a")["holder"]["label"] == "full dump")
    finish(holder)
    holder = store.hold("a")
    expect(store.status("a")["holder"]["label"] == "sh -c " + HOLD)
    expect(store.status("a")["holder"]["program"] == "sh")
    finish(holder)
    for before in ("", "x"):
        holder = store.hold("a", command=("sh", "-c", HOLD, before + "ä" * 300))
        label = store.status("a")["holder"]["label"]
        expect(255 <= len(label.encode()) <= 256 and "�" not in label and label.endswith("ä"), label)
        finish(holder)
    expect(store.do("run", "-c", "exit 3", "a").code == 3)


@claim("namespaces are apart")
def _(store):
    holder = store.hold("a", "-N", "shop")
    expect(not store.held("a") and store.status("a", "--ns", "shop")["held"] and store.status("a", "-N", "shop")["ns"] == "shop")
    expect(store.do("run", "-n", "a", "true").code == 0 and store.do("-N", "shop", "run", "-n", "a", "true").code == 75)
    finish(holder)


@claim("nothing in the environment decides which lock is meant")
def _(store):
    strange = {**os.environ, "HOME": store.top, "XDG_RUNTIME_DIR": store.top, "TMPDIR": store.top, "XDG_STATE_HOME": store.top,
               "SHERLOCK_BACKEND": "nope", "SHERLOCK_CLIENT": store.top, "SHERLOCK_NS": "x", "SHERLOCK_DIR": store.top}
    paths = set()
    for environment in (None, strange, {}):
        done = subprocess.run([PROGRAM, "status", "--json", "sherlock-cli-test"], env=environment, capture_output=True)
        shown = json.loads(done.stdout)
        paths.add((shown["path"], shown["ns"]))
    expect(len(paths) == 1 and store.top not in str(paths), paths)


# ------------------------------------------------------------------------------------------------------- the sentence


@claim("options after LOCK's command belong to the command")
def _(store):
    done = store.do("run", "a", "echo", "-n", "--json", "--help", "-E", "--")
    expect(done.out in ("--json --help -E --", "-n --json --help -E --\n"), done)  # echo may be the shell's or the system's


@claim("-- ends the options: before LOCK, before COMMAND, and not after it")
def _(store):
    expect(store.do("run", "--", "-lock", "echo", "x").out == "x\n")
    expect(store.do("run", "--", "-lock", "--", "echo", "x").out == "x\n")
    expect(store.do("run", "a", "--", "echo", "--", "x").out == "-- x\n")
    expect(store.do("run", "-n", "a", "-w", "1", "--", "echo", "x").out == "x\n")
    expect(store.do("run", "-l", "--", "a", "-n", "echo", "x").out == "x\n")
    expect(store.do("status", "--", "-lock").code == 0)
    expect(store.do("run", "a", "--", "-no-such-command").code == 127)


@claim("-c runs a string by the shell, before or after LOCK; -e and -x mean nothing")
def _(store):
    expect(store.do("run", "-c", "echo $((1 + 1))", "a").out == "2\n")
    expect(store.do("run", "a", "-c", "echo $((1 + 1))").out == "2\n")
    expect(store.do("run", "-x", "-e", "--exclusive", "a", "echo", "x").out == "x\n")


@claim("common options stand before or after the command")
def _(store):
    for words in (["--json", "list"], ["list", "--json"], ["-b", "file", "--json", "list"], ["list", "-b", "file", "--json", "*"],
                  ["list", "*", "--json"]):
        expect("locks" in json.loads(store.do(*words).out), words)
    other = store.path("other")
    expect(other in json.loads(store.do("status", "a", "--client", other, "--json").out)["path"])


@claim("--help and --version are results, of every command")
def _(store):
    for words in (["--help"], ["run", "--help"], ["status", "--help"], ["list", "--help"], ["backends", "--help"], ["clean", "--help"]):
        done = store.do(*words)
        expect(done.code == 0 and done.out.startswith("Usage: sherlock") and done.err == "", words, done)
        expect(max(len(line) for line in done.out.splitlines()) <= 80, words)
    for words in (["--version"], ["status", "--version"]):
        expect(re.fullmatch(r"sherlock \d+\.\d+\.\d+\n", store.do(*words).out), words)


@claim("a script without a first line runs by the shell, as exec would have it")
def _(store):
    script = store.path("script")
    with open(script, "w") as file:
        file.write('echo "$1"; exit 5\n')
    os.chmod(script, 0o755)
    done = store.do("run", "a", script, "it's me")
    expect(done.out == "it's me\n" and done.code == 5, done)
    done = store.do("run", "a", "script", "found", env={**os.environ, "PATH": store.top + ":" + os.environ["PATH"]})
    expect(done.out == "found\n" and done.code == 5, done)


# ------------------------------------------------------------------------------------------------- the command's world


@claim("stdin, stdout, stderr and the process group are the command's")
def _(store):
    process = store.start("run", "a", "sh", "-c", "cat; echo error >&2; ps -o pgid= $$ || exit 1")
    out, err = process.communicate(b"through\n", timeout=PATIENCE)
    text, group = out.decode().split()
    expect(text == "through" and err == b"error\n" and int(group) == os.getpgrp(), out, err)


@claim("a forwarded signal reaches the command once")
def _(store):
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"):
        file = store.path(name)
        holder = store.hold("a", command=listener(file))
        holder.send_signal(getattr(signal, name))
        eventually(lambda: lines(file), name)
        expect(finish(holder) == 0 and lines(file) == [name], lines(file))


@claim("TERM to run ends a command that does not mind, and both died of it")
def _(store):
    holder = store.hold("a")
    command, = children(holder.pid)
    holder.terminate()
    expect(holder.wait(timeout=PATIENCE) == -signal.SIGTERM and not is_alive(command) and not store.held("a"))


@claim("Ctrl-C on a terminal reaches the command once")
def _(store):
    file = store.path("signals")
    # A shell in between leads the session, so that run is an ordinary member of the foreground group.
    terminal = Terminal(["bash", "-c", SHELL, "sh", *store.words("run", "a", *listener(file))])
    try:
        terminal.read_until(lambda text: b"up" in text)
        run, = children(terminal.pid)
        eventually(lambda: has_dealt_with(run))
        # Two signals that come together are one: run may send its own only after the terminal's has been seen.
        os.kill(run, signal.SIGSTOP)
        eventually(lambda: process_state(run)["State"][0] == "T")
        os.write(terminal.fd, b"\x03")
        eventually(lambda: lines(file))
        os.kill(run, signal.SIGCONT)
        eventually(lambda: has_dealt_with(run))
        os.write(terminal.fd, b"\x04")
        terminal.read_until(lambda text: b"code 0" in text)
        expect(lines(file) == ["SIGINT"], lines(file))
    finally:
        terminal.close()
        terminal.wait()


@claim("a signal that the command sends to run does not come back to it")
def _(store):
    script = 'echo up; read line; kill -USR1 $PPID; echo sent; read line; exit 0'
    holder = store.hold("a", command=("sh", "-c", script))
    holder.stdin.write(b"go\n")
    holder.stdin.flush()
    expect(holder.stdout.readline() == b"sent\n")
    eventually(lambda: has_dealt_with(holder.pid))
    expect(finish(holder) == 0)


@claim("Ctrl-C on a terminal ends an ordinary command, and the shell sees the signal")
def _(store):
    terminal = Terminal(["bash", "-c", SHELL, "sh", *store.words("run", "a", "sh", "-c", "echo up; exec sleep 60")])
    try:
        terminal.read_until(lambda text: b"up" in text)
        os.write(terminal.fd, b"\x03")
        terminal.read_until(lambda text: b"code 130" in text)
        expect(not store.held("a"))
    finally:
        terminal.close()
        terminal.wait()


@claim("a terminal that goes away ends the command, though run leads the session")
def _(store):
    terminal = Terminal(store.words("run", "a", "sh", "-c", "echo up; exec sleep 60"))
    terminal.read_until(lambda text: b"up" in text)
    command, = children(terminal.pid)
    terminal.close()
    expect(terminal.wait() == -signal.SIGHUP and not is_alive(command) and not store.held("a"))


@claim("a signal ends the wait for the lock, at once and by that signal")
def _(store):
    holder = store.hold("a")
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"):
        waiter = store.start("run", "a", "echo", "never")
        eventually(lambda: len(os.listdir(f"/proc/{waiter.pid}/task")) > 1)
        waiter.send_signal(getattr(signal, name))
        out, _ = waiter.communicate(timeout=PATIENCE)
        expect(waiter.returncode == -getattr(signal, name) and out == b"", name, waiter.returncode, out)
    expect(store.held("a") and finish(holder) == 0)
    expect(store.do("run", "-n", "a", "true").code == 0)


@claim("a caller that ignores CHLD loses no exit code, and the command does not inherit that")
def _(store):
    done = store.do("run", "a", "sh", "-c", "exit 7", before=("sh", "-c", 'trap "" CHLD; exec "$@"', "sh"))
    expect(done.code == 7, done)
    done = store.do("run", "a", "cat", "/proc/self/status", before=("env", "--ignore-signal=CHLD"))
    ignored = int(re.search(r"SigIgn:\s*(\w+)", done.out)[1], 16)
    expect(ignored >> (signal.SIGCHLD - 1) & 1 == 0 and ignored >> (signal.SIGPIPE - 1) & 1 == 0, hex(ignored))


@claim("a caller that blocks signals does not make the command deaf, nor run")
def _(store):
    done = store.do("run", "a", "cat", "/proc/self/status", before=("env", "--block-signal"))
    expect(int(re.search(r"SigBlk:\s*(\w+)", done.out)[1], 16) == 0, done)
    holder = store.hold("a", before=("env", "--block-signal"))
    holder.terminate()
    expect(holder.wait(timeout=PATIENCE) == -signal.SIGTERM)


@claim("what the caller ignores stays ignored: nohup works")
def _(store):
    holder = store.hold("a", before=("env", "--ignore-signal=HUP"))
    holder.send_signal(signal.SIGHUP)
    command, = children(holder.pid)
    expect(int(process_state(command)["SigIgn"].strip(), 16) & 1 == 1)
    waiter = store.start("run", "a", "echo", "mine", before=("env", "--ignore-signal=HUP"))
    eventually(lambda: len(os.listdir(f"/proc/{waiter.pid}/task")) > 1)
    waiter.send_signal(signal.SIGHUP)
    expect(store.held("a") and finish(holder) == 0)
    expect(waiter.communicate(timeout=PATIENCE)[0] == b"mine\n" and waiter.returncode == 0)


@claim("closed standard streams do not become the lock's, are closed for the command too, and its output never lands in a lock file")
def _(store):
    done = store.do("run", "-l", "closed", "a", "sh", "-c", f"ls -l /proc/$$/fd >{store.path('fds')}; echo spill; echo spill >&2; exit 7",
                    before=("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"))
    expect(done.code == 7, done)
    with open(store.path("fds")) as file:
        targets = dict(re.findall(r" (\d+) -> (\S+)", file.read()))
    expect(not {"0", "2"} & targets.keys(), targets)
    for name in os.listdir(store.directory):
        with open(os.path.join(store.directory, name), "rb") as file:
            expect(b"spill" not in file.read(), name)
    done = store.do("run", "a", "date", before=("sh", "-c", 'exec "$@" >&-', "sh"))
    expect(done.code == 1 and "date: " in done.err, done)


@claim("a stderr that nobody reads any more does not end the command")
def _(store):
    reader, writer = os.pipe()
    holder = store.hold("a", "--expire", "1", "--on-lost", "warn", stderr=writer)
    os.close(reader)
    os.close(writer)
    holder.send_signal(signal.SIGSTOP)
    expect(store.do("run", "-w", "19", "a", "true").code == 0)
    holder.send_signal(signal.SIGCONT)
    expect(finish(holder) == 76)


# ------------------------------------------------------------------------------------------------------------- leases


@claim("a lease is renewed while the command runs")
def _(store):
    for _ in range(5):  # a machine that gives run no time for a second makes it lose the lock, and say so
        holder = store.hold("a", "--expire", "1.5")
        shown = store.status("a")["holder"]
        end = time.monotonic() + 3.2
        codes = set()
        while time.monotonic() < end and holder.poll() is None:
            codes.add(store.do("run", "-n", "a", "true").code)
        last = store.status("a")["holder"]
        code = finish(holder)
        if code != 76:
            break
    expect(shown and shown["expiry"] and 0 < shown["expires_in_ms"] <= 1500, shown)
    expect(codes == {75} and last and last["fence"] == shown["fence"] and code == 0, codes, last, code)


def lose(store, holder):
    """Lets the lease of `holder` end while it is stopped and its command is not."""
    holder.send_signal(signal.SIGSTOP)
    expect(store.do("run", "-w", "19", "a", "true").code == 0)
    holder.send_signal(signal.SIGCONT)


@claim("a lost lock ends the command with TERM, --on-lost=kill with KILL, and --on-lost=warn not at all")
def _(store):
    for options, seen in (([], ["SIGTERM"]), (["--on-lost=kill"], []), (["--on-lost=warn"], [])):
        file = store.path("signals" + "".join(options))
        holder = store.hold("a", "--expire", "1", "-k", "never", *options, command=listener(file))
        command, = children(holder.pid)
        lose(store, holder)
        expect(b"lost" in holder.stderr.readline())
        if options == ["--on-lost=kill"]:
            eventually(lambda: not is_alive(command))
        elif not options:
            eventually(lambda: lines(file))
        expect(is_alive(command) == (options != ["--on-lost=kill"]), options)
        expect(finish(holder) == 76 and lines(file) == seen, options, lines(file))


@claim("a command that does not heed TERM after the loss is killed when --kill-after is over")
def _(store):
    file = store.path("signals")
    holder = store.hold("a", "--expire", "1", "--kill-after", "100ms", command=listener(file))
    command, = children(holder.pid)
    lose(store, holder)
    expect(holder.wait(timeout=PATIENCE) == 76 and not is_alive(command) and lines(file) in ([], ["SIGTERM"]))  # it may not have come to write it


@claim("a store that is removed under a command is told at its end, if not before")
def _(store):
    holder = store.hold("a")
    shutil.rmtree(store.directory)
    time.sleep(0.02)  # shorter holds may go untold
    expect(finish(holder) == 76 and "sherlock: lock 'a'" in read_all(holder.stderr))


# ------------------------------------------------------------------------------------------------------------ waiting


@claim("a short wait says nothing")
def _(store):
    for _ in range(10):
        holder, began = store.hold("a"), time.monotonic()
        waiter = store.start("run", "a", "true")
        eventually(lambda: len(os.listdir(f"/proc/{waiter.pid}/task")) > 1)
        finish(holder)
        said = waiter.communicate(timeout=PATIENCE)[1]
        if time.monotonic() - began < 0.5:
            expect(said == b"", said)
            return
    raise Skip("this machine makes every wait a long one")


@claim("a wait is told on stderr in one line, and again when the holder changes")
def _(store):
    first = store.hold("a", "-l", "first one")
    second = store.start("run", "-q", "-l", "second one", "a", "sh", "-c", HOLD)
    eventually(lambda: len(os.listdir(f"/proc/{second.pid}/task")) > 1)
    waiter = store.start("run", "-w", "50", "a", "echo", "mine")
    line = waiter.stderr.readline().decode()
    expect(re.match(r'sherlock: waiting for a: held by sh \(pid %d, \w+\) for \w+, "first one"; .*\d+s left$' % first.pid, line), line)
    expect(not select.select([waiter.stderr], [], [], 0.8)[0])
    waiter.send_signal(signal.SIGSTOP)  # so that it cannot be the next one
    finish(first)
    expect(second.stdout.readline() == b"up\n")
    waiter.send_signal(signal.SIGCONT)
    line = waiter.stderr.readline().decode()
    expect('"second one"' in line, line)
    finish(second)
    out, err = waiter.communicate(timeout=PATIENCE)
    expect(out == b"mine\n" and err == b"", err)
    expect(read_all(second.stderr) == "", "-q was not quiet")


@claim("how many wait is told")
def _(store):
    store.hold("a")
    if store.status("a")["holder"]["waiting"] is None:
        raise Skip("this store does not count them")
    for _ in range(2):
        store.start("run", "-q", "a", "true")
    eventually(lambda: store.status("a")["holder"]["waiting"] == 2)
    for _ in range(5):  # it looks once, and may do so before it is counted itself
        waiter = store.start("run", "a", "true")
        line = waiter.stderr.readline()
        if b"; 3 wait" in line:
            break
        waiter.kill()
        waiter.wait()
        eventually(lambda: store.status("a")["holder"]["waiting"] == 2)
    expect(b"; 3 wait" in line, line)
    expect(re.search(r"^waiting +3$", store.do("status", "a").out, re.M))


@claim("-q silences waiting and giving up, and nothing else")
def _(store):
    store.hold("a")
    done = store.do("run", "-q", "-w", "0.7", "a", "true")
    expect(done.code == 75 and done.err == "", done)
    expect(store.do("status", "-q", "a").out == "" and store.do("run", "-q", "b", "no-such-command").err != "")


@claim("on a terminal a wait is one line, rewritten at most four times a second, and gone afterwards")
def _(store):
    holder = store.hold("a", "-l", "full dump " * 20)
    began = time.monotonic()
    terminal = Terminal(store.words("run", "-w", "50", "a", "echo", "mine"), columns=60)
    try:
        terminal.read_until(lambda text: text.count(b"\r") >= 4)
        expect(time.monotonic() - began >= 0.45 + 3 * 0.24, "too often", terminal.text)
        shown = [line for line in terminal.text.split(b"\r") if line]
        expect(all(line.startswith(b"waiting for a: held by sh (pid") and line.endswith(b"\x1b[K") for line in shown[:-1]), shown)
        expect(all(len(line) - len(b"\x1b[K") < 60 for line in shown) and b"\n" not in terminal.text, shown)
        finish(holder)
        terminal.read_until(lambda text: b"mine\r\n" in text)
        expect(terminal.text.endswith(b"\r\x1b[Kmine\r\n"), terminal.text)
        expect(terminal.wait() == 0)
    finally:
        terminal.close()


@claim("Ctrl-C ends a wait on a terminal, and leaves a clean line")
def _(store):
    store.hold("a")
    terminal = Terminal(["bash", "-c", SHELL, "sh", *store.words("run", "a", "echo", "never")])
    try:
        terminal.read_until(lambda text: b"waiting for a" in text)
        os.write(terminal.fd, b"\x03")
        terminal.read_until(lambda text: b"code 130" in text)
        expect(re.search(rb"\r\x1b\[K(\^C)?.*code 130", terminal.text[terminal.text.index(b"waiting"):]), terminal.text)
    finally:
        terminal.close()
        terminal.wait()


@claim("a wait in the background does not write on the terminal")
def _(store):
    store.hold("a")
    shell = 'set -m; "$@" & echo started; wait $!; echo code $?'
    terminal = Terminal(["bash", "-c", shell, "sh", *store.words("run", "-w", "1", "a", "echo", "never")])
    try:
        terminal.read_until(lambda text: b"code 75" in text)
        expect(b"waiting" not in terminal.text and b"timed out" in terminal.text, terminal.text)
    finally:
        terminal.close()
        terminal.wait()


# ------------------------------------------------------------------------------------------------------------ looking


@claim("status tells who, why, since when and where; 0 free, 75 held")
def _(store):
    done = store.do("status", "a")
    expect(done.code == 0 and re.search(r"^state +free$", done.out, re.M), done)
    holder = store.hold("a", "-l", "full dump", "--expire", "1h")
    done = store.do("status", "a")
    expect(done.code == 75, done)
    for line in (r"lock +a", r"state +held", rf"by +sh \(pid {holder.pid}, \w+\)", r"label +full dump",
                 r"since +\d{4}-\d\d-\d\d .* \(\d+s ago\)",
                 r"until +\d{4}-\d\d-\d\d .*", r"fence +\d+", rf"path +{store.directory}/\S+"):
        expect(re.search(f"^{line}$", done.out, re.M), line, done)


@claim("JSON is one object a command, with version 1, RFC 3339 times, fences as text, and null for what is not known")
def _(store):
    free = store.status("a")
    expect(free["version"] == 1 and free["held"] is False and free["holder"] is None and free["name"] == "a", free)
    holder = store.hold("a", "-l", "full dump")
    held = store.status("a")
    facts = held["holder"]
    expect(held["held"] is True and facts["pid"] == holder.pid and facts["uid"] == os.getuid() and facts["label"] == "full dump", held)
    expect(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", facts["since"]) and facts["held_ms"] >= 0, held)
    expect(facts["fence"].isdigit() and facts["expiry"] is None and facts["expires_in_ms"] is None, held)
    listed = json.loads(store.do("list", "--json").out)
    expect(listed["version"] == 1 and [lock["name"] for lock in listed["locks"]] == ["a"], listed)
    expect(listed["locks"][0]["path"] == held["path"] and listed["locks"][0]["holder"]["fence"] == facts["fence"], listed)
    known = json.loads(store.do("backends", "--json").out)
    file, = [backend for backend in known["backends"] if backend["name"] == "file"]
    expect(known["version"] == 1 and file["traits"]["sees_death"] is True and file["traits"]["scope"] == "host", known)
    finish(holder)
    expect(json.loads(store.do("clean", "--json").out) == {"version": 1, "backend": "file", "removed": 1})


@claim("list shows the locks of a store: all, --held, by GLOB, by namespace")
def _(store):
    done = store.do("list")
    expect(done.code == 0 and done.out == "" and "no such lock" in done.err, done)
    for words in (["nightly"], ["nightly 2"], ["-N", "shop", "weekly"]):
        store.do("run", *words, "true")
    store.hold("nightly", "-l", "full dump")

    def names(*words):
        return [(lock["ns"], lock["name"]) for lock in json.loads(store.do("list", "--json", *words).out)["locks"]]
    expect(names() == [("", "nightly"), ("", "nightly 2"), ("shop", "weekly")], names())
    expect(names("--held") == [("", "nightly")] and names("night*") == [("", "nightly"), ("", "nightly 2")], names("--held"))
    expect(names("-N", "shop") == [("shop", "weekly")] and names("-N", "") == [("", "nightly"), ("", "nightly 2")])
    rows = store.do("list").out.splitlines()
    expect(len(rows) == 4 and rows[0].split()[:3] == ["NAME", "NS", "STATE"] and "full dump" in rows[1], rows)
    expect(len({row.index(word) for row, word in zip(rows, ("STATE", "held", "free", "free"))}) == 1, rows)


@claim("clean removes what nobody uses, says how many, and leaves alone what is held")
def _(store):
    for name in ("a", "b", "c"):
        store.do("run", name, "true")
    holder = store.hold("b")
    done = store.do("clean")
    expect(done.code == 0 and done.out == "2 locks removed\n", done)
    expect(store.held("b") and store.do("run", "-n", "b", "true").code == 75 and finish(holder) == 0)
    expect(store.do("clean").out == "1 lock removed\n" and store.do("clean").out == "0 locks removed\n")


@claim("backends tells what each promises")
def _(store):
    done = store.do("backends")
    expect(done.code == 0 and re.search(r"^file .*host .*never .*sees death", done.out, re.M), done)
    expect("REFUSED" not in done.out and json.loads(store.do("backends", "--json").out)["refused"] == [], done)


@claim("backends tells of plug-ins, those that are taken and those that are refused, and -b takes them")
def _(store):
    plugin = os.environ.get("SHERLOCK_TEST_PLUGIN")
    if not plugin:
        raise Skip("there is no plug-in to try")
    place = store.path("plugins")
    os.mkdir(place, 0o755)
    for name, mode in (("memory", 0o755), ("open", 0o777), ("misnamed", 0o755), ("shm", 0o755)):
        shutil.copy(plugin, os.path.join(place, f"libsherlock-{name}.so"))
        os.chmod(os.path.join(place, f"libsherlock-{name}.so"), mode)
    with open(os.path.join(place, "libsherlock-text.so"), "w") as file:
        file.write("no library\x1b[31m")
    there = {**os.environ, "SHERLOCK_PLUGIN_PATH": place}
    done = store.do("backends", env=there)
    expect(done.code == 0 and re.search(r"^memory +default +process ", done.out, re.M) and re.search(r"^file .*sees death", done.out, re.M), done)
    refused = done.out.partition("\nREFUSED")[2]
    for name, why in (("open", "can be written by others"), ("misnamed", "adds a backend \"memory\""), ("shm", "of that name itself"), ("text", "no shared library")):
        expect(re.search(rf"^{name} .*{why}", refused, re.M), name, done)
    told = json.loads(store.do("backends", "--json", env=there).out)
    memory, = [backend for backend in told["backends"] if backend["name"] == "memory"]
    expect(memory["plugin"] == os.path.join(place, "libsherlock-memory.so") and memory["traits"]["scope"] == "process", told)
    expect([one["name"] for one in told["refused"]] == ["misnamed", "open", "shm", "text"] and "mode 0777" in told["refused"][1]["why"], told)
    expect(store.do("run", "-b", "memory", "a", "echo", "ran", env=there).out == "ran\n")
    for name, why in (("open", "can be written"), ("nobody", "no plug-in libsherlock-nobody.so in " + place), ("etcd", "it is an add-on of sherlock")):
        done = store.do("run", "-b", name, "a", "true", env=there)
        expect(done.code == 78 and why in done.err and done.out == "", name, done)


@claim("names and labels cannot command a terminal, in results or messages")
def _(store):
    name = "a\x1b]0;owned\x07\u202eb\u009bc\td\\"
    holder = store.hold(name, "-l", "x\x1b[31m\ny")
    for words in (["status", name], ["list"], ["run", "-n", name, "true"], ["run", "-w", "0.7", name, "true"], ["run", "b", "no\x1b[31m"],
                  ["--\x1b[31m"], ["\x1b[31m"], ["status", "--json", name], ["list", "--json"]):
        done = store.do(*words)
        shown = (done.out + done.err).replace("\n", "")
        expect(shown and not re.search("[\x00-\x1f\x7f-\x9f\u202e]", shown), words, done)
    expect(r"a\x1b]0;owned\x07\u202eb\u009bc\td" in store.do("status", name).out, store.do("status", name))
    expect(store.status(name)["name"] == name and store.status(name)["holder"]["label"] == "x\x1b[31m\ny")
    finish(holder)


@claim("names that are no UTF-8 are locks, and JSON stays JSON")
def _(store):
    for name in (b"\xff\xfe", b"a\xc3", b"\xed\xa0\x80", b"\xc0\xaf"):
        holder = store.hold(name, "-l", b"\x80label")
        done = store.do("status", name)
        expect(done.code == 75 and "\\x" in done.out and not re.search("[\udc80-\udcff]", done.out), done)
        expect("\ufffd" in store.status(name)["name"] and store.status(name)["held"])
        finish(holder)
    keys = {lock["key"] for lock in json.loads(store.do("list", "--json").out)["locks"]}
    expect(len(keys) == 4, keys)


@claim("colour is for terminals, unless NO_COLOR or a dumb one says otherwise, and --color has the last word")
def _(store):
    store.do("run", "a", "true")
    expect("\x1b" not in store.do("status", "a").out and "\x1b[" in store.do("status", "--color=always", "a").out)
    expect("\x1b" not in store.do("list").out and "\x1b[" in store.do("--color", "always", "list", env={**os.environ, "NO_COLOR": "1"}).out)
    for environment, options, colored in (((), (), True), ((("NO_COLOR", "1"),), (), False), ((("NO_COLOR", ""),), (), True),
                                          ((("TERM", "dumb"),), (), False), ((), ("--color=never",), False)):
        terminal = Terminal(store.words("status", *options, "a"), environment=environment)
        try:
            terminal.read_until(lambda text: b"path" in text)
            expect((b"\x1b[" in terminal.text) == colored, environment, options, terminal.text)
        finally:
            terminal.close()
            terminal.wait()


def took_too_long(*_):
    raise TimeoutError("still not done")


def main():
    # A job in the background of a script ignores some, and what we start would inherit that.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGALRM, took_too_long)
    wanted = sys.argv[2:]
    passed = failed = skipped = 0
    for text, check in CLAIMS:
        if wanted and not any(word in text for word in wanted):
            continue
        store = Store()
        began = time.monotonic()
        signal.alarm(4 * PATIENCE)
        try:
            check(store)
        except Skip as why:
            skipped += 1
            print(f"SKIP  {text} ({why})", flush=True)
        except Exception as problem:
            failed += 1
            where = [frame.lineno for frame in traceback.extract_tb(problem.__traceback__) if frame.name == "_"]
            print(f"FAIL  {text}\n      line {where}: {type(problem).__name__}: {problem}", flush=True)
        else:
            passed += 1
            print(f"ok    {text} ({time.monotonic() - began:.1f} s)", flush=True)
        finally:
            signal.alarm(0)
            store.close()
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
