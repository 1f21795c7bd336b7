// SPDX-License-Identifier: MIT
// A database that is somebody's own: our table is all that changes there. And what is refused.
#include <sys/stat.h>

#include <atomic>
#include <string>
#include <vector>

#include "ground.hpp"

using namespace ground;

namespace {

// An application's database as it left it, in one of the journal modes.
void make_theirs(const std::string& path, const std::string& mode) {
  const Outsider them{path};
  them.run("PRAGMA page_size = 2048; PRAGMA journal_mode = " + mode + "; PRAGMA application_id = 77; PRAGMA user_version = 5;"
           "CREATE TABLE documents (title TEXT); INSERT INTO documents VALUES ('one'), ('two');"
           "CREATE TRIGGER theirs AFTER INSERT ON documents BEGIN UPDATE documents SET title = title || '!'; END;");
}

// What a look at everything but our table tells.
std::string everything_else(const std::string& path) {
  const Outsider them{path};
  std::string all;
  for (const char* question : {"PRAGMA journal_mode", "PRAGMA page_size", "PRAGMA application_id", "PRAGMA user_version", "PRAGMA auto_vacuum", "PRAGMA encoding",
                               "SELECT group_concat(type || name || coalesce(sql, ''), ';') FROM (SELECT * FROM sqlite_schema WHERE name <> 'locks' ORDER BY name)",
                               "SELECT group_concat(title) FROM documents"})
    all += them.ask(question) + "\n";
  return all;
}

std::string refusal(const std::string& client, Errc code) {
  const auto e = thrown<BackendException>([&] { SqliteLock("x", {}, client); });
  CHECK(e.code() == code);
  return e.what();
}

}  // namespace

TEST_CASE("in your database nothing but our table changes, whatever its journal mode", "[sqlite][yours]") {
  for (const std::string mode : {"DELETE", "TRUNCATE", "PERSIST", "WAL"}) {
    CAPTURE(mode);
    const support::TempDir dir;
    const std::string path = dir / "app.db";
    make_theirs(path, mode);
    const std::string before = everything_else(path);
    {
      SqliteLock lock{"x", {}, path + "?table=locks"}, other{"x", {}, path + "?table=locks"}, elsewhere{"x", {}, path + "?table=more_locks"};
      for (int i = 0; i < 20; ++i) {
        lock.acquire();
        CHECK_FALSE(other.try_acquire());
        CHECK(elsewhere.try_acquire());
        elsewhere.release();
        CHECK(lock.renew());
        lock.release();
      }
      CHECK(SqliteLock::list(path + "?table=locks").size() == 1);
      CHECK(SqliteLock::clean(path + "?table=locks") == 1);
    }
    const Outsider them{path};
    them.run("DROP TABLE more_locks");
    CHECK(everything_else(path) == before);
    CHECK(them.ask("SELECT count(*) FROM sqlite_schema WHERE name LIKE '%sherlock%'") == "0");
    CHECK(them.ask("PRAGMA integrity_check") == "ok");
  }
}

TEST_CASE("a transaction of yours keeps us out, and is not ended by us", "[sqlite][yours]") {
  const support::TempDir dir;
  const std::string path = dir / "app.db";
  make_theirs(path, "WAL");
  SqliteLock lock{"x", {.timeout = 200ms}, path + "?table=locks"};
  lock.acquire();
  const Outsider them{path};
  them.run("BEGIN IMMEDIATE; INSERT INTO documents VALUES ('three')");
  // It is this thread's own transaction: no wait would ever end.
  const auto e = thrown<BackendException>([&] { lock.release(); });
  CHECK(e.code() == Errc::busy);
  CHECK_THAT(e.what(), says("a transaction of this very thread"));
  CHECK(lock.held());
  CHECK(them.ask("SELECT count(*) FROM documents") == "3");
  them.run("COMMIT");
  lock.release();
  CHECK(them.ask("SELECT count(*) FROM documents") == "3");
}

TEST_CASE("an outsider's short transaction costs a short wait, never an error", "[sqlite][yours][process]") {
  const Ground ground;
  auto lock = ground.lock();
  Pipe ready;
  const Shared<std::atomic<int>> held;
  Child outsider{[&] {
    const Outsider them{ground.db};
    for (int i = 0; i < 20 || (held->load() <= 2 && i < 2000); ++i) {
      while (them.try_run("BEGIN IMMEDIATE") != SQLITE_OK) std::this_thread::sleep_for(100us);
      if (i == 0) ready.tell();
      std::this_thread::sleep_for(5ms);
      while (them.try_run("COMMIT") != SQLITE_OK) std::this_thread::sleep_for(100us);
      std::this_thread::sleep_for(5ms);
    }
    return 0;
  }};
  REQUIRE(ready.hear());
  while (outsider.running()) {
    lock.acquire();
    ++*held;
    lock.release();
  }
  CHECK(outsider.wait() == Exit{0, 0});
  CHECK(held->load() > 2);
  CHECK(ground.integrity() == "ok");
}

TEST_CASE("a reader of the database disturbs nobody, and sees the holder", "[sqlite][yours]") {
  const Ground ground;
  auto lock = ground.lock("job", {.label = "nightly"});
  const Outsider reader{ground.db};
  reader.run("BEGIN");
  CHECK(reader.ask("SELECT count(*) FROM sherlock_locks") == "0");
  lock.acquire();
  lock.release();
  lock.acquire();
  CHECK(reader.ask("SELECT count(*) FROM sherlock_locks") == "0");  // its own moment in time
  reader.run("COMMIT");
  CHECK(reader.ask("SELECT name FROM sherlock_locks") == "job");
}

TEST_CASE("what is not ours is refused, and not touched", "[sqlite][refusals]") {
  const support::TempDir dir;

  SECTION("somebody's database, without a table") {
    make_theirs(dir / "app.db", "DELETE");
    const std::string before = dir.read("app.db");
    CHECK_THAT(refusal(dir / "app.db", Errc::damaged), says("?table=NAME"));
    CHECK((dir.read("app.db") == before));
  }
  SECTION("no database") {
    const std::string path = dir.write("notes.txt", std::string(5000, 'n'));
    CHECK_THAT(refusal(path, Errc::damaged), says("notes.txt") && says("not a database"));
    CHECK_THAT(refusal(path + "?table=locks", Errc::damaged), says("not a database"));
    CHECK(dir.read("notes.txt") == std::string(5000, 'n'));
  }
  SECTION("a database of ours that was cut, while it is not known that we made it") {
    { SqliteLock lock{"x", {}, dir / "locks.db"}; }
    Outsider{dir / "locks.db"}.run("PRAGMA wal_checkpoint(TRUNCATE)");
    const std::string path = dir / "copy.db";
    dir.write("copy.db", dir.read("locks.db").substr(0, 1500));
    CHECK_THAT(refusal(path, Errc::damaged), says("copy.db"));
    CHECK_FALSE(exists(path + ".damaged-1"));
  }
  SECTION("a newer version") {
    const std::string path = dir / "locks.db";
    { SqliteLock lock{"x", {}, path}; }
    Outsider{path}.run("PRAGMA user_version = 2");
    Child newcomer{[&] {
      const auto e = thrown<BackendException>([&] { SqliteLock("x", {}, path); });
      return e.code() == Errc::damaged && std::string{e.what()}.find("version 2") != std::string::npos ? 0 : 1;
    }};
    CHECK(newcomer.wait() == Exit{0, 0});
  }
  SECTION("a table of the same name that is not for locks") {
    const std::string path = dir / "app.db";
    Outsider{path}.run("CREATE TABLE documents (title TEXT)");
    CHECK_THAT(refusal(path + "?table=documents", Errc::damaged), says("not for locks"));
    CHECK_THAT(refusal(path + "?table=DOCUMENTS", Errc::damaged), says("not for locks"));
  }
  SECTION("your database where there is none") {
    CHECK_THAT(refusal(dir / "none.db?table=locks", Errc::cannot_create), says("is not there"));
    CHECK_FALSE(exists(dir / "none.db"));
    CHECK_FALSE(exists(dir / "none.db-sherlock"));
  }
  SECTION("no directory") {
    CHECK_THAT(refusal(dir / "none/locks.db", Errc::cannot_create), says("none"));
    CHECK_THAT(refusal(dir.path() + "/", Errc::unsafe), says("directory"));
  }
  SECTION("a symbolic link, a hard link, a directory, a pipe") {
    { SqliteLock lock{"x", {}, dir / "locks.db"}; }
    REQUIRE(::symlink("locks.db", (dir / "link.db").c_str()) == 0);
    CHECK_THAT(refusal(dir / "link.db", Errc::unsafe), says("symbolic link"));
    REQUIRE(::link((dir / "locks.db").c_str(), (dir / "hard.db").c_str()) == 0);
    CHECK_THAT(refusal(dir / "hard.db", Errc::unsafe), says("hard links"));
    REQUIRE(::mkdir((dir / "dir.db").c_str(), 0700) == 0);
    CHECK_THAT(refusal(dir / "dir.db", Errc::unsafe), says("not a regular file"));
    REQUIRE(::mkfifo((dir / "pipe.db").c_str(), 0600) == 0);
    CHECK_THAT(refusal(dir / "pipe.db", Errc::unsafe), says("not a regular file"));
  }
}

TEST_CASE("code in a hostile schema does not run in our statements", "[sqlite][refusals]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  lock.release();
  Outsider{ground.db}.run("CREATE TABLE loot (what); CREATE TRIGGER evil BEFORE UPDATE ON locks BEGIN INSERT INTO loot VALUES (old.name); "
                          "SELECT RAISE(FAIL, 'never'); END");
  lock.acquire();
  CHECK_FALSE(is_free(ground));
  lock.release();
  CHECK(Outsider{ground.db}.ask("SELECT count(*) FROM loot") == "0");
}

TEST_CASE("a row that says nonsense is nobody's hold, and its next holder is told", "[sqlite][refusals]") {
  const std::string nonsense = GENERATE(as<std::string>{}, "owner = 0", "owner = -1", "owner = 9223372036854775807", "epoch = 1",
                                        "owner = 4611686019501129728 + 4095", "expires = -9223372036854775807");
  CAPTURE(nonsense);
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  Outsider{ground.db}.run("UPDATE locks SET " + nonsense + " WHERE name = x'78'");
  if (nonsense.starts_with("expires")) {  // no lease: what is not after the beginning of time is no end
    CHECK_FALSE(is_free(ground));
    return;
  }
  auto next = ground.lock();
  CHECK(next.try_acquire());
  CHECK(next.abandoned());
  CHECK_FALSE(lock.renew());
}

TEST_CASE("an operator who removes the row ends the hold, and its holder is told", "[sqlite][refusals]") {
  const Ground ground;
  int told = 0;
  auto lock = ground.lock("x", {.on_lost = [&](const LockException&) { ++told; }});
  lock.acquire();
  const std::uint64_t fence = lock.fence();
  Outsider{ground.db}.run("DELETE FROM locks WHERE name = x'78'");
  auto next = ground.lock();
  CHECK(next.try_acquire());
  CHECK(next.fence() > fence);
  CHECK(throws<LockLostException>([&] { lock.release(); }));
  CHECK(told == 1);
  CHECK(next.renew());
}
