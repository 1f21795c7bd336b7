// SPDX-License-Identifier: MIT
#include "many.hpp"

#include <fmt/core.h>
#include <sys/stat.h>

#include <deque>
#include <optional>

#include "peers.hpp"
#include "peers_sqlite.hpp"

namespace bench {
namespace {

std::string name_of(int i) { return fmt::format("tenant-{:03}/resource-{:06}", i % 997, i); }

class Sherlock final : public Many {
 public:
  explicit Sherlock(const stress::Store& store) : store_{store} {}
  void take(int from, int to) override {
    if (locks_.empty()) locks_.reserve(static_cast<std::size_t>(to - from));
    for (int i = from; i < to; ++i) {
      if (locks_.size() < static_cast<std::size_t>(to - from)) locks_.push_back(store_.lock(name_of(i)));
      locks_[static_cast<std::size_t>(i - from)]->acquire();
    }
  }
  void let_go() override {
    for (auto& lock : locks_) lock->release();
  }

 private:
  const stress::Store& store_;
  std::vector<std::unique_ptr<sherlock::BaseLock>> locks_;
};

// Found by number: a table of names is left to its user.
class Robust final : public Many {
 public:
  explicit Robust(const std::string& path) : mutexes_{path, [](All& all) {
                                               for (pthread_mutex_t& mutex : all.mutexes) RobustMutex::set_up(mutex);
                                             }} {}
  void take(int from, int to) override {
    for (int i = from; i < to; ++i) pthread_mutex_lock(&(*mutexes_).mutexes[i]);
    from_ = from, to_ = to;
  }
  void let_go() override {
    for (int i = from_; i < to_; ++i) pthread_mutex_unlock(&(*mutexes_).mutexes[i]);
  }

 private:
  struct All {
    pthread_mutex_t mutexes[100'000];
  };
  const Mapped<All> mutexes_;
  int from_ = 0, to_ = 0;
};

// A file each.
class Files final : public Many {
 public:
  explicit Files(const std::string& directory) : directory_{directory} { mkdir(directory.c_str(), 0700); }
  void take(int from, int to) override {
    for (int i = from; i < to; ++i) {
      if (static_cast<int>(files_.size()) < to - from) files_.emplace_back(fmt::format("{}/resource-{:06}", directory_, i));
      files_[static_cast<std::size_t>(i - from)].lock();
    }
  }
  void let_go() override {
    for (Flock& file : files_) file.unlock();
  }

 private:
  const std::string directory_;
  std::deque<Flock> files_;
};

// A row each, made or taken by one statement.
class RowEach final : public Many {
 public:
  explicit RowEach(const std::string& path)
      : database_{path},
        take_{database_.prepare("INSERT INTO locks VALUES (?1, ?2, ?3, ?3, 1, ?3, ?3, ?3, 'a process', x'', ?4) ON CONFLICT (id) DO UPDATE SET owner = "
                                "excluded.owner, fence = fence + 1 WHERE owner = 4611686018427387904 RETURNING fence")},
        let_go_{database_.prepare("UPDATE locks SET owner = 4611686018427387904 WHERE id = ?1")} {}
  ~RowEach() override {
    sqlite3_finalize(take_);
    sqlite3_finalize(let_go_);
  }
  void take(int from, int to) override {
    from_ = from, to_ = to;
    for (int i = from; i < to; ++i) {
      const std::string name = name_of(i);
      sqlite3_bind_int64(take_, 1, id(i));
      sqlite3_bind_int64(take_, 2, id(i));
      sqlite3_bind_int64(take_, 3, (sqlite3_int64{1} << 62) + getpid());
      sqlite3_bind_blob(take_, 4, name.data(), static_cast<int>(name.size()), SQLITE_STATIC);
      database_.run(take_);
    }
  }
  void let_go() override {
    for (int i = from_; i < to_; ++i) {
      sqlite3_bind_int64(let_go_, 1, id(i));
      database_.run(let_go_);
    }
  }

 private:
  // As scattered as the hash of a name.
  static sqlite3_int64 id(int i) { return static_cast<sqlite3_int64>(static_cast<std::uint64_t>(i + 2) * 0x9e3779b97f4a7c15u >> 2); }

  SqliteDatabase database_;
  sqlite3_stmt *const take_, *const let_go_;
  int from_ = 0, to_ = 0;
};

}  // namespace

ManyKind many_of(const stress::Store& store) {
  return {"sherlock " + store.backend().name(), store.is_files(), &store, [&store] { return std::make_unique<Sherlock>(store); }};
}
ManyKind many_robust(const std::string& path) {
  return {"pthread robust mutex", false, nullptr, [path] { return std::make_unique<Robust>(path); }};
}
ManyKind many_flock(const std::string& directory) {
  return {"flock(2)", true, nullptr, [directory] { return std::make_unique<Files>(directory); }};
}
ManyKind many_rows(const std::string& path) {
  return {"bare SQLite rows", false, nullptr, [path] { return std::make_unique<RowEach>(path); }};
}

}  // namespace bench
