#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bugs that locks have had, planted one at a time: the detectors of the torture bench must find each. A bug that cannot be planted as it was, because there is
nothing here that could have it, is replaced by its nearest relative, which is said. How this is called: ../mutate.py; what is listed of a seed:
name|sources|program|run|backend|more arguments, between commas|"tested" where the tests plant it too.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.dont_write_bytecode = True
import mutate  # noqa: E402
from mutate import left_out  # noqa: E402


class Seed(mutate.Mutant):
    def __init__(self, name, run, backend, changes, arguments='', program='stress/stress', tested=False):
        super().__init__(name, changes, program, run, backend, arguments, 'tested' if tested else '')


GRANT, RELEASE, LOCK_FILE = ('backends/file/' + name for name in ('acquire.cpp', 'release.cpp', 'lock_file.cpp'))
COMPANION, PARKING, PRESENCE = ('local/' + name for name in ('companion.cpp', 'parking.cpp', 'presence.cpp'))
SYSCALL, DESCRIPTORS = 'posix/syscall.cpp', 'posix/descriptors.cpp'
ROWS, WRITE_GATE = 'backends/sqlite/rows.cpp', 'backends/sqlite/write_gate.cpp'

# The file that was locked is not asked whether it still is the one at the path.
NO_INODE_CHECK = ('  if (!file_.linked()) return false;\n  if (file_look_.due()) t.look = true;\n  return !t.look || file_.at_path(*t.at->store);\n',
                  '  static_cast<void>(t);\n  return true;\n')

SEEDS = [
    # ---- files
    Seed('no-inode-check', 'removal', 'file', {GRANT: [NO_INODE_CHECK]}, tested=True),
    Seed('unlink-on-release', 'lease', 'file', {
        GRANT: [NO_INODE_CHECK],
        RELEASE: [('    unlocked = (there || file_.intact()) && file_.unlock();\n',
                   '    if (there) posix::syscalls().unlinkat(AT_FDCWD, path().c_str(), 0);\n'
                   '    unlocked = (there || file_.intact()) && file_.unlock();\n    file_.close();\n'),
                  ('#include "local/word.hpp"\n', '#include "local/word.hpp"\n#include "posix/syscall.hpp"\n')]}),
    Seed('mode-0644', 'neighbour', 'shm', {
        COMPANION: [('posix::sys_openat(place.dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)',
                     'posix::sys_openat(place.dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644)')]}),
    Seed('emfile-is-busy', 'faults', 'file', {
        LOCK_FILE: [('  if (errno == EWOULDBLOCK) return false;\n', '  if (errno == EWOULDBLOCK || errno == EMFILE || errno == ENOLCK) return false;\n')]},
        '--scene,flock'),
    Seed('close-again-after-a-signal', 'faults', 'file', {
        SYSCALL: [('  table.close(fd);\n', '  while (table.close(fd) != 0 && errno == EINTR) {\n  }\n')]}, '--scene,close'),
    # ---- descriptors and processes
    Seed('no-cloexec', 'fork', 'file', {DESCRIPTORS: [('flags | O_CLOEXEC, mode);', 'flags, mode);')]}, tested=True),
    Seed('unlock-in-the-child', 'fork', 'shm', {
        DESCRIPTORS: [('if (still(recorded)) sys_close(recorded.fd);',
                       'if (still(recorded)) {\n  struct flock all {};\n  all.l_type = F_UNLCK;\n  all.l_whence = SEEK_SET;\n'
                       '  ::flock(recorded.fd, LOCK_UN), ::fcntl(recorded.fd, F_OFD_SETLK, &all), sys_close(recorded.fd);\n}'),
                      ('#include <pthread.h>\n', '#include <pthread.h>\n#include <sys/file.h>\n')]}),
    Seed('alive-by-pid', 'namespace', 'shm', {
        PRESENCE: [('  return anybody_else_has(file_.get(), kPresenceByte + who.slot, 1) || !file_.intact();\n',
                    '  return ::kill(slots_[who.slot].pid, 0) == 0;\n'),
                   ('#include <unistd.h>\n', '#include <unistd.h>\n#include <signal.h>\n')]}, tested=True),
    # The same place, too: otherwise it takes long until somebody comes again who looks like a dead holder.
    Seed('generation-not-bumped', 'kill', 'shm', {
        PRESENCE: [('slot.generation.fetch_add(1) + 1', 'slot.generation.load()'),
                   ('const auto start = static_cast<std::uint32_t>(posix::process_token());', 'const std::uint32_t start = 0;')]}),
    # ---- shared memory
    Seed('owner-after-the-swap', 'instructions-stop', 'shm', {
        'backends/shm/acquire.cpp': [('  if (!entry.word.compare_exchange_strong(word, mine | flags)) return Outcome::refused;\n',
                                      '  if (!entry.word.compare_exchange_strong(word, gate::make(GateState::held, {}, tag) | flags)) return Outcome::refused;\n'
                                      '  entry.word.store(mine | flags);\n')]}, '--scene,first use,--every,1'),
    Seed('room-not-reserved', 'resources', 'shm', {
        COMPANION: [('  if (posix::sys_fallocate(file.get(), 0, kFirstSegment) != 0) posix::throw_errno("cannot make room for " + place.path);\n',
                     '  if (::ftruncate(file.get(), kFirstSegment) != 0) posix::throw_errno("cannot make room for " + place.path);\n')]}, tested=True),
    # ---- waking
    Seed('private-futex', 'wait', 'shm', {
        SYSCALL: [('::syscall(SYS_futex, word, operation, value', '::syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value'),
                  ('      return ::syscall(SYS_futex_waitv,',
                   '      for (unsigned i = 0; i < count; ++i) *reinterpret_cast<unsigned*>(static_cast<char*>(waiters) + 24 * i + 16) |= FUTEX_PRIVATE_FLAG;\n'
                   '      return ::syscall(SYS_futex_waitv,')]}),
    Seed('wake-dropped', 'wait', 'file', {
        PARKING: [left_out('  posix::futex_wake_all(entry.heir);  // one, or one more that does not know yet that it lost the seat\n')]}),
    Seed('wait-without-end', 'kill', 'shm', {
        PARKING: [('posix::futex_wait_any(waiters, count, until);', 'posix::futex_wait_any(waiters, count, nanoseconds::max());')]}),
    # ---- time
    Seed('expiry-by-the-wall-clock', 'clocks', 'file', {
        'core/claim.cpp': [('now_ = clock().boottime();', 'now_ = std::chrono::duration_cast<std::chrono::nanoseconds>(clock().wall().time_since_epoch());')]},
        tested=True),
    Seed('timeout-in-retries', 'clocks', 'file', {
        'core/waiting.cpp': [('    const nanoseconds until = std::min(deadline, retry_interval_.after(now));\n',
                              '    deadline -= retry_interval_.ns();\n    const nanoseconds until = std::min(deadline, retry_interval_.after(now));\n')]}),
    # ---- rows. There are no transactions that could be deferred: each row is taken in one statement. The nearest is to take it unseen.
    Seed('row-taken-unseen', 'kill', 'sqlite', {
        ROWS: [('"owner = ?10 AND epoch = ?11 AND fence = ?12"', '"?10 = ?10 AND ?11 = ?11 AND ?12 = ?12"')],
        WRITE_GATE: [('  std::uint64_t word = found_.entry->word.load();\n  if (gate::state(word) != GateState::free) return 0;\n'
                      '  const std::uint64_t mine = taken(companion_.presence(), word);\n', '  return 1;\n  std::uint64_t word = 0, mine = 0;\n')]}),
    Seed('release-by-name', 'lease', 'sqlite', {
        ROWS: [('SET owner = {} WHERE id = ?1 AND fence = ?2 AND owner = ?3 AND epoch = ?4", table, kFree)},\n      renew_',
                'SET owner = {} WHERE id = ?1 AND ?2 = ?2 AND ?3 = ?3 AND ?4 = ?4", table, kFree)},\n      renew_')]}),
    # ---- names
    Seed('joined-key', 'fuzz-names', 'file', {
        'core/key.cpp': [('  hashed += std::to_string(ns.size());\n  hashed += \':\';\n  hashed += ns;\n', '  hashed += ns;\n  hashed += \'_\';\n')]},
        program='fuzz/names_fuzz', tested=True),
    Seed('key-without-suffix', 'fuzz-names', 'file', {
        'core/key.cpp': [('std::string make_key(std::string_view ns, std::string_view name) {\n',
                          'std::string make_key(std::string_view ns, std::string_view name) {\n  name = name.substr(0, name.rfind(\'.\'));\n')]},
        program='fuzz/names_fuzz'),
]

# Planted among the steps of a file lock, in the place where they are (../step_mutants): the header published first (companion-published-before-it-is-written),
# a renewal that does not compare (renew-records-blindly). Not planted: a robust mutex as the lock, a heartbeat that is not joined. There is neither.

if __name__ == '__main__':
    mutate.main(SEEDS)
