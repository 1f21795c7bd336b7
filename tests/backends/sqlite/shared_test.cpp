// SPDX-License-Identifier: MIT
// A database that several users share, on purpose: its mode says so.
#include <grp.h>
#include <sys/stat.h>

#include <string>

#include "ground.hpp"

using namespace ground;

namespace {

constexpr uid_t kNobody = 65534;

bool become(uid_t user) { return ::setgroups(0, nullptr) == 0 && ::setgid(user) == 0 && ::setuid(user) == 0; }

}  // namespace

TEST_CASE("users who may all write the database exclude each other, whoever came first", "[sqlite][shared][process]") {
  if (::geteuid() != 0) return skip("only root can become others");
  const bool root_first = GENERATE(true, false);
  CAPTURE(root_first);
  const Ground ground;
  REQUIRE(::chmod(ground.dir.path().c_str(), 01777) == 0);
  ground.dir.write("locks.db");
  REQUIRE(::chmod(ground.db.c_str(), 0666) == 0);

  Pipe ready, go;
  const auto hold = [&](bool as_root) {
    return [&, as_root] {
      if (!as_root && !become(kNobody)) return 1;
      auto lock = ground.lock();
      lock.acquire();
      ready.tell();
      return go.hear() ? 0 : 2;
    };
  };
  const auto try_it = [&](bool as_root, bool expected) {
    return [&, as_root, expected] {
      if (!as_root && !become(kNobody)) return 1;
      auto lock = ground.lock();
      if (!lock.holder().has_value() != expected) return 2;
      return lock.try_acquire() == expected ? 0 : 3;
    };
  };
  Child first{hold(root_first)};
  REQUIRE(ready.hear());
  Child second{try_it(!root_first, false)};
  CHECK(second.wait() == Exit{0, 0});
  go.tell();
  CHECK(first.wait() == Exit{0, 0});
  Child third{try_it(!root_first, true)};
  CHECK(third.wait() == Exit{0, 0});
  CHECK((stat_of(ground.db + "-sherlock").st_mode & 0777) == 0666);
}

TEST_CASE("a database that is not shared keeps other users out", "[sqlite][shared][process]") {
  if (::geteuid() != 0) return skip("only root can become others");
  const Ground ground;
  REQUIRE(::chmod(ground.dir.path().c_str(), 0755) == 0);
  { auto lock = ground.lock(); }
  CHECK((stat_of(ground.db).st_mode & 0777) == 0600);
  Child other{[&] {
    if (!become(kNobody)) return 1;
    return thrown<BackendException>([&] { (void)ground.lock(); }).code() == Errc::unsafe ? 0 : 2;
  }};
  CHECK(other.wait() == Exit{0, 0});
}
