// SPDX-License-Identifier: MIT
#include <sherlock/sqlite_lock.hpp>

#include <unistd.h>

#include <string>
#include <string_view>

#include "ground.hpp"

using namespace ground;

TEST_CASE("a client is a path, with a table behind a question mark where the database is yours", "[sqlite][client]") {
  const SqliteClient none;
  CHECK(none.path.empty());
  CHECK(none.table.empty());
  CHECK(SqliteClient{"/var/lib/shop/locks.db"}.path == "/var/lib/shop/locks.db");
  CHECK(SqliteClient{std::string{"a b/c"}}.path == "a b/c");
  CHECK(SqliteClient{std::string_view{""}}.path.empty());
  CHECK(SqliteClient{"/x"}.table.empty());
  const SqliteClient yours{"/x/app.db?table=locks_2"};
  CHECK(yours.path == "/x/app.db");
  CHECK(yours.table == "locks_2");
}

TEST_CASE("a client that cannot be understood is refused with the reason", "[sqlite][client]") {
  const auto why = [](const std::string& text) { return std::string{thrown<ConfigurationException>([&] { SqliteClient{text}; }).what()}; };
  CHECK_THAT(why("/x?"), says("not understood"));
  CHECK_THAT(why("/x?mode=0600"), says("'mode=0600'"));
  CHECK_THAT(why("/x?table="), says("no name for a table"));
  CHECK_THAT(why("/x?table=a b"), says("'a b'"));
  CHECK_THAT(why("/x?table=a\"b"), says("no name for a table"));
  CHECK_THAT(why("/x?table=1st"), says("no name for a table"));
  CHECK_THAT(why("/x?table=SQLite_schema"), says("not sqlite_"));
  CHECK_THAT(why("/x?table=" + std::string(65, 'a')), says("no name for a table"));
  CHECK_THAT(why("?table=a"), says("which database"));
  CHECK_THAT(why(":memory:"), says("nobody else's"));
  CHECK_THAT(why(std::string{"/x\0y", 4}), says("zero byte"));
}

TEST_CASE("what was put into a client by hand is refused as what was written in its text", "[sqlite][client]") {
  const Ground ground;
  for (const std::string table : {"a\"b", "sqlite_x", "it's", "x; DROP TABLE y", "\xff"}) {
    CAPTURE(table);
    SqliteClient client{ground.db};
    client.table = table;
    CHECK_THROWS_AS((SqliteLock{"x", {}, client}), ConfigurationException);
    CHECK_THROWS_AS(SqliteLock::list(client), ConfigurationException);
  }
  CHECK_FALSE(std::filesystem::exists(ground.db));
}

TEST_CASE("a path keeps its meaning when the working directory changes", "[sqlite][client]") {
  const Ground ground;
  char before[4096];
  REQUIRE(::getcwd(before, sizeof before));
  REQUIRE(::chdir(ground.dir.path().c_str()) == 0);
  SqliteLock lock{"x", {}, "locks.db"};
  REQUIRE(::chdir("/") == 0);
  lock.acquire();
  CHECK_FALSE(is_free(ground));
  lock.release();
  CHECK(exists(ground.db));
  REQUIRE(::chdir(before) == 0);
}

TEST_CASE("different paths to one database are one store", "[sqlite][client]") {
  const Ground ground;
  REQUIRE(::mkdir((ground.dir / "real").c_str(), 0700) == 0);
  REQUIRE(::symlink("real", (ground.dir / "link").c_str()) == 0);
  SqliteLock direct{"x", {}, ground.dir / "real/locks.db"}, linked{"x", {}, ground.dir / "link/locks.db"},
      dotted{"x", {}, ground.dir / "real/../real//locks.db"};
  direct.acquire();
  CHECK_FALSE(linked.try_acquire());
  CHECK_FALSE(dotted.try_acquire());
}
