// SPDX-License-Identifier: MIT
// A power cut left the database unreadable.
#include <filesystem>
#include <string>

#include "ground.hpp"

using namespace ground;
namespace fs = std::filesystem;

namespace {

// The file stays the one it is; what is in it does not.
void damage(const std::string& path, const std::string& with) {
  std::fstream file{path, std::ios::binary | std::ios::in | std::ios::out};
  REQUIRE(file.write(with.data(), static_cast<std::streamsize>(with.size())).flush());
}

std::uint64_t use(const Ground& ground) {
  std::uint64_t fence = 0;
  Child user{[&] {
    auto lock = ground.lock();
    lock.acquire();
    lock.release();
    return 0;
  }};
  CHECK(user.wait() == Exit{0, 0});
  const Outsider them{ground.db};
  fence = std::stoull(them.ask("SELECT fence FROM locks WHERE name = x'78'"));
  them.run("PRAGMA wal_checkpoint(TRUNCATE)");
  return fence;
}

}  // namespace

TEST_CASE("a damaged database of our own making is set aside, and locks go on", "[sqlite][remake][process]") {
  const Ground ground;
  const std::uint64_t fence = use(ground);
  for (int number = 1; number <= 2; ++number) {
    Outsider{ground.db}.run("PRAGMA wal_checkpoint(TRUNCATE)");
    damage(ground.db, std::string(4096, static_cast<char>('0' + number)));
    Child next{[&] {
      auto lock = ground.lock();
      lock.acquire();
      return lock.fence() > fence ? 0 : 1;
    }};
    CHECK(next.wait() == Exit{0, 0});
    const std::string aside = "locks.db.damaged-" + std::to_string(number);
    REQUIRE(exists(ground.dir / aside));
    CHECK(ground.dir.read(aside).starts_with(std::string(1000, static_cast<char>('0' + number))));  // nothing is deleted
  }
  CHECK(ground.integrity() == "ok");
}

TEST_CASE("what a power cut left in the middle of the file is found before anybody relies on it", "[sqlite][remake][process]") {
  const Ground ground;
  use(ground);
  {
    const Outsider them{ground.db};
    // As it looks after a restart: everything in it is of another time.
    them.run("UPDATE locks SET epoch = 1 WHERE id = 0; PRAGMA wal_checkpoint(TRUNCATE)");
  }
  const auto page = static_cast<std::streamoff>(std::stol(Outsider{ground.db}.ask("SELECT page_size * (rootpage - 1) FROM sqlite_schema, pragma_page_size WHERE name = 'locks'")));
  std::fstream file{ground.db, std::ios::binary | std::ios::in | std::ios::out};
  REQUIRE(file.seekp(page + 8).write("\xff\xff\xff\xff", 4).flush());
  Child next{[&] { return ground.lock().try_acquire() ? 0 : 1; }};
  CHECK(next.wait() == Exit{0, 0});
  CHECK(exists(ground.db + ".damaged-1"));
  CHECK(ground.integrity() == "ok");
}

TEST_CASE("a damaged database is refused while somebody uses it, and when it is not known to be ours", "[sqlite][remake][process]") {
  const Ground ground;
  use(ground);
  const bool in_use = GENERATE(true, false);
  CAPTURE(in_use);
  Pipe ready;
  Child user{[&] {
    auto lock = ground.lock("somebody's");
    if (in_use) lock.acquire();
    ready.tell();
    if (in_use) Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  if (!in_use) {
    REQUIRE(user.wait() == Exit{0, 0});
    fs::remove(ground.db + "-sherlock");
  }
  damage(ground.db, std::string(4096, 'x'));
  Child next{[&] {
    const auto e = thrown<BackendException>([&] { (void)ground.lock(); });
    return e.code() == Errc::damaged ? 0 : 1;
  }};
  CHECK(next.wait() == Exit{0, 0});
  CHECK_FALSE(exists(ground.db + ".damaged-1"));
  CHECK(ground.dir.read("locks.db").starts_with("xxxx"));
}

TEST_CASE("your database is never set aside", "[sqlite][remake][process]") {
  const support::TempDir dir;
  const std::string path = dir / "app.db";
  Outsider{path}.run("CREATE TABLE documents (title TEXT)");
  const std::string client = path + "?table=locks";
  Child user{[&] { return SqliteLock("x", {}, client).try_acquire() ? 0 : 1; }};
  REQUIRE(user.wait() == Exit{0, 0});
  damage(path, std::string(4096, 'x'));
  Child next{[&] { return thrown<BackendException>([&] { SqliteLock("x", {}, client); }).code() == Errc::damaged ? 0 : 1; }};
  CHECK(next.wait() == Exit{0, 0});
  CHECK_FALSE(exists(path + ".damaged-1"));
}
