// SPDX-License-Identifier: MIT
// POSIX locks, which SQLite uses, fall away when anybody in the process closes the file: somebody who reads it, or another copy of SQLite.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/inotify.h>

#include <atomic>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "backends/sqlite/log_locks.hpp"
#include "ground.hpp"
#include "posix/unique_fd.hpp"

using namespace ground;

namespace {

struct Inside {
  std::atomic<int> now, overlaps;
  std::atomic<std::uint64_t> fence, back, grants;
};

// Several processes, each with somebody in it who does `trap` all the time.
template <class Trap>
void contend(const Ground& ground, Trap trap) {
  const Shared<Inside> inside;
  std::vector<Child> children;
  for (int i = 0; i < 4; ++i)
    children.emplace_back([&] {
      std::thread stranger{[&] {
        for (;;) trap();
      }};
      const std::unique_ptr<std::thread, void (*)(std::thread*)> end{&stranger, [](std::thread* running) { running->detach(); }};
      auto lock = ground.lock("x", {.timeout = 20s});
      for (int n = 0; n < 300; ++n) {
        lock.acquire();
        if (inside->now.fetch_add(1) != 0) inside->overlaps.fetch_add(1);
        if (inside->fence.exchange(lock.fence()) >= lock.fence()) inside->back.fetch_add(1);
        inside->grants.fetch_add(1);
        inside->now.fetch_sub(1);
        lock.release();
      }
      return 0;
    });
  for (Child& child : children) CHECK(child.wait(60s) == Exit{0, 0});
  CHECK(inside->grants == 1200);
  CHECK(inside->overlaps == 0);
  CHECK(inside->back == 0);
  CHECK(ground.integrity() == "ok");
}

// SQLite once more in this process, as where a program has its own and a library the system's.
class SecondCopy {
 public:
  SecondCopy()
      : copy_{::dlmopen(LM_ID_NEWLM, "libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL)},
        why_{copy_ == nullptr ? ::dlerror() : ""} {
    if (copy_ == nullptr) return;
    open_ = find<decltype(&sqlite3_open_v2)>("sqlite3_open_v2");
    exec_ = find<decltype(&sqlite3_exec)>("sqlite3_exec");
    close_ = find<decltype(&sqlite3_close)>("sqlite3_close");
    REQUIRE(open_ != &sqlite3_open_v2);
  }
  explicit operator bool() const { return copy_ != nullptr; }
  std::string why() const { return "a second SQLite cannot be loaded: " + why_; }

  sqlite3* open(const std::string& path) const {
    sqlite3* handle = nullptr;
    return open_(path.c_str(), &handle, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK ? handle : (close_(handle), nullptr);
  }
  int run(sqlite3* handle, const char* sql) const { return exec_(handle, sql, nullptr, nullptr, nullptr); }
  void close(sqlite3* handle) const { close_(handle); }

 private:
  template <class Function>
  Function find(const char* name) const {
    return reinterpret_cast<Function>(::dlsym(copy_, name));
  }

  void* const copy_;
  const std::string why_;
  decltype(&sqlite3_open_v2) open_ = nullptr;
  decltype(&sqlite3_exec) exec_ = nullptr;
  decltype(&sqlite3_close) close_ = nullptr;
};

// A connection as our store has it.
class Own {
 public:
  explicit Own(const std::string& path) { REQUIRE(sqlite3_open_v2(path.c_str(), &handle_, SQLITE_OPEN_READWRITE, sqlite::vfs_with_log_locks()) == SQLITE_OK); }
  ~Own() { sqlite3_close(handle_); }
  Own(const Own&) = delete;
  Own& operator=(const Own&) = delete;
  int run(const char* sql) const { return sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr); }

 private:
  sqlite3* handle_ = nullptr;
};

constexpr const char* kWrite = "BEGIN IMMEDIATE; UPDATE locks SET holder = 'somebody' WHERE id = 0";

}  // namespace

TEST_CASE("that somebody in the process opens and closes the database file harms no lock", "[sqlite][trap][process]") {
  const Ground ground;
  { auto lock = ground.lock(); }
  contend(ground, [&] {
    for (const char* suffix : {"", "-wal", "-shm"}) ::close(::open((ground.db + suffix).c_str(), O_RDONLY | O_CLOEXEC));
    std::this_thread::sleep_for(100us);
  });
}

TEST_CASE("two copies of SQLite in each process, both at the database, harm no lock", "[sqlite][trap][process]") {
  const SecondCopy copy;
  if (!copy) return skip(copy.why());
  const Ground ground;
  { auto lock = ground.lock(); }
  // The other copy reads: what it writes passes no gate, and its own library's bugs would be the subject.
  contend(ground, [&] {
    if (sqlite3* const handle = copy.open(ground.db)) {
      copy.run(handle, "SELECT count(*) FROM locks");
      copy.close(handle);
    }
    std::this_thread::sleep_for(500us);
  });
}

TEST_CASE("a second copy of SQLite in our process waits for the end of our transaction, and we for the end of its", "[sqlite][trap][process]") {
  const SecondCopy copy;
  if (!copy) return skip(copy.why());
  const Ground ground;
  { auto lock = ground.lock(); }
  const Own ours{ground.db};
  sqlite3* const theirs = copy.open(ground.db);
  REQUIRE(ours.run(kWrite) == SQLITE_OK);
  CHECK(copy.run(theirs, "BEGIN IMMEDIATE") == SQLITE_BUSY);
  REQUIRE(ours.run("COMMIT") == SQLITE_OK);
  REQUIRE(copy.run(theirs, kWrite) == SQLITE_OK);
  CHECK(ours.run("BEGIN IMMEDIATE") == SQLITE_BUSY);
  REQUIRE(copy.run(theirs, "COMMIT") == SQLITE_OK);
  CHECK(ours.run(kWrite) == SQLITE_OK);
  CHECK(ours.run("COMMIT") == SQLITE_OK);
  copy.close(theirs);
  CHECK(ground.integrity() == "ok");
}

TEST_CASE("nobody writes in the middle of our transaction, though somebody in our process has closed the files", "[sqlite][trap][process]") {
  const Ground ground;
  { auto lock = ground.lock(); }
  const Pipe go;
  Child outsider{[&] {  // who knows nothing of what SQLite has in this process
    if (!go.hear()) return 2;
    return Outsider{ground.db}.try_run("BEGIN IMMEDIATE") == SQLITE_BUSY ? 0 : 1;
  }};
  const Own ours{ground.db};
  REQUIRE(ours.run(kWrite) == SQLITE_OK);
  for (const char* suffix : {"", "-wal", "-shm"}) ::close(::open((ground.db + suffix).c_str(), O_RDONLY | O_CLOEXEC));
  go.tell();
  CHECK(outsider.wait() == Exit{0, 0});
  CHECK(ours.run("COMMIT") == SQLITE_OK);
}

TEST_CASE("a second copy of SQLite that is there before us does not have the log's index cleared under it", "[sqlite][trap][process]") {
  const SecondCopy copy;
  if (!copy) return skip(copy.why());
  const Ground ground;
  Child{[&] {
    ground.lock().acquire();
    return 0;
  }}.wait();
  sqlite3* const theirs = copy.open(ground.db);
  REQUIRE(copy.run(theirs, "SELECT count(*) FROM locks") == SQLITE_OK);
  const posix::UniqueFd changes{::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
  REQUIRE(::inotify_add_watch(changes.get(), (ground.db + "-shm").c_str(), IN_MODIFY) >= 0);  // told of its length, and not of what is mapped
  ground.lock().acquire();
  char event[256];
  CHECK(::read(changes.get(), event, sizeof event) == -1);
  CHECK(copy.run(theirs, "SELECT count(*) FROM locks") == SQLITE_OK);
  copy.close(theirs);
}

TEST_CASE("an index of the log that tells of an earlier time, and nobody has open, is made anew", "[sqlite][trap][process]") {
  const Ground ground;
  const Shared<std::uint64_t> fence;
  const auto whole = [&](auto transfer, int flags, std::string& page) {
    const posix::UniqueFd index{::open((ground.db + "-shm").c_str(), flags | O_CLOEXEC)};
    REQUIRE(transfer(index.get(), page.data(), page.size(), 0) == static_cast<ssize_t>(page.size()));
  };
  std::string earlier(32768, '\0');
  Pipe copied, go;
  Child dies{[&] {
    auto lock = ground.lock();
    lock.acquire();
    lock.release();
    copied.tell();
    go.hear();
    lock.acquire();
    *fence = lock.fence();
    ::raise(SIGKILL);
    return 0;
  }};
  REQUIRE(copied.hear());
  whole(::pread, O_RDONLY, earlier);
  go.tell();
  REQUIRE(dies.wait().signal == SIGKILL);
  whole(::pwrite, O_RDWR, earlier);  // as after a failure of the machine
  auto next = ground.lock();
  CHECK(next.try_acquire());
  CHECK(next.fence() == *fence + 1);
  CHECK(ground.integrity() == "ok");
}

TEST_CASE("an outsider who closes the database does not take himself for the last, though our POSIX locks have fallen away", "[sqlite][trap][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  for (const char* suffix : {"", "-shm"}) ::close(::open((ground.db + suffix).c_str(), O_RDONLY | O_CLOEXEC));
  Child outsider{[&] {
    const Outsider them{ground.db};
    return them.ask("SELECT count(*) FROM sherlock_locks") == "1" ? 0 : 1;
  }};
  REQUIRE(outsider.wait() == Exit{0, 0});
  CHECK(exists(ground.db + "-wal"));
  CHECK(lock.renew());
  lock.release();
  CHECK(is_free(ground));
}

TEST_CASE("a log that somebody removed is noticed, and the locks go on", "[sqlite][trap][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  Outsider{ground.db}.run("PRAGMA wal_checkpoint(RESTART)");
  for (const char* suffix : {"-wal", "-shm"}) REQUIRE(::unlink((ground.db + suffix).c_str()) == 0);
  let_the_last_look_be_old();
  CHECK(lock.renew());  // it was in the database already
  Child other{[&] { return ground.lock().try_acquire() ? 1 : 0; }};
  CHECK(other.wait() == Exit{0, 0});
  lock.release();
  Child next{[&] { return ground.lock().try_acquire() ? 0 : 1; }};
  CHECK(next.wait() == Exit{0, 0});
  CHECK(ground.integrity() == "ok");
}
