// SPDX-License-Identifier: MIT
// A database of the test's own, and the outsiders who open it with nothing but SQLite.
#pragma once

#include <sqlite3.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <sherlock/sqlite_lock.hpp>

#include "catch.hpp"
#include "local/together.hpp"
#include "support/says.hpp"
#include "support/subprocess.hpp"
#include "support/temp_dir.hpp"

namespace ground {

using namespace std::chrono_literals;
using namespace sherlock;
using playground::eventually;
using playground::Shared;
using playground::skip;
using support::Child;
using support::Exit;
using support::kPatience;
using support::Pipe;
using support::says;

// sqlite3(1), or the application whose database it is: knows nothing of this library.
class Outsider {
 public:
  explicit Outsider(const std::string& path, int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) {
    if (sqlite3_open_v2(path.c_str(), &handle_, flags, nullptr) != SQLITE_OK) throw std::runtime_error{path + ": " + sqlite3_errmsg(handle_)};
  }
  ~Outsider() { sqlite3_close(handle_); }
  Outsider(const Outsider&) = delete;
  Outsider& operator=(const Outsider&) = delete;

  int try_run(const std::string& sql) const { return sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr); }
  void run(const std::string& sql) const {
    if (try_run(sql) != SQLITE_OK) throw std::runtime_error{sql + ": " + sqlite3_errmsg(handle_)};
  }
  // The first column of the first row; empty where there is none.
  std::string ask(const std::string& sql) const {
    std::string answer;
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(handle_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) throw std::runtime_error{sql + ": " + sqlite3_errmsg(handle_)};
    const int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
      if (const auto* text = sqlite3_column_text(statement, 0)) answer = reinterpret_cast<const char*>(text);
    sqlite3_finalize(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE) throw std::runtime_error{sql + ": " + sqlite3_errmsg(handle_)};
    return answer;
  }

 private:
  sqlite3* handle_ = nullptr;
};

// What the tests in ../every ask for; and `client` and strangers_agree() below.
using StoreLock = SqliteLock;
inline constexpr int kPairs = 300;  // that take no time to speak of

class Ground {
 public:
  SqliteLock lock(std::string name = "x", Options options = {}) const { return SqliteLock{std::move(name), std::move(options), db}; }
  // What SQLite thinks of the file.
  std::string integrity() const { return Outsider{db}.ask("PRAGMA integrity_check"); }

  const support::TempDir dir;
  const std::string db = dir / "locks.db";  // not there at first
  const std::string& client = db;

  // What they may say of the lock depends on the clock they ask; that the database is whole they always find.
  bool strangers_agree(bool) const { return integrity() == "ok"; }
};

// Whether somebody else would get it now.
inline bool is_free(const Ground& ground, const std::string& name = "x") {
  auto other = ground.lock(name);
  return other.try_acquire();
}

inline struct stat stat_of(const std::string& path) {
  struct stat result {};
  REQUIRE(::lstat(path.c_str(), &result) == 0);
  return result;
}
inline bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

// The promise is to look when the last look is more than 10 ms old, by a clock that ticks every 10 ms at worst.
inline void let_the_last_look_be_old() {
  const auto now = [] {
    timespec t{};
    ::clock_gettime(CLOCK_REALTIME_COARSE, &t);
    return std::chrono::seconds{t.tv_sec} + std::chrono::nanoseconds{t.tv_nsec};
  };
  for (const auto start = now(); now() - start <= 10ms;) std::this_thread::sleep_for(1ms);
}

// What a call throws, as a T; nothing and another exception are failures of the test.
template <class T, class Call>
T thrown(Call call) {
  try {
    call();
  } catch (const T& e) {
    return e;
  }
  throw std::runtime_error{"nothing was thrown"};
}

template <class T, class Call>
bool throws(Call call) {
  try {
    call();
  } catch (const T&) {
    return true;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "thrown instead: %s\n", e.what());
  }
  return false;
}

}  // namespace ground
