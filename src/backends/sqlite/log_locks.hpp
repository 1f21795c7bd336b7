// SPDX-License-Identifier: MIT
// The locks that our connections have on a database's write-ahead log, by way of its index: of the writer, the readers, a checkpoint, a recovery. SQLite's are
// POSIX locks, which belong to the process: a second copy of SQLite in it does not see them, and they are gone when anybody in it closes the file. A reader of
// that copy who finds the index in the middle of a commit of ours takes this for what a dead process left, and makes the index anew: the commit is lost (seen
// with SQLite 3.40.1, once in a million grants). So ours are open file description locks on the same bytes. Both kinds exclude each other, whoever has them.
#pragma once

namespace sherlock::sqlite {

// SQLite's own "unix" with these locks, by its name for sqlite3_open_v2(). Null, which is the default one, where the program has made another one the default.
// Not by two threads at once.
const char* vfs_with_log_locks();

}  // namespace sherlock::sqlite
