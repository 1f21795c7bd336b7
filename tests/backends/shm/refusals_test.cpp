// SPDX-License-Identifier: MIT
// What is in the way, or not safe to use, is refused: with a text that names it and the way out, at once, and nothing is changed.
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "local/layout.hpp"
#include "own_shm.hpp"
#include "refused.hpp"
#include "support/counters.hpp"
#include "support/says.hpp"

using namespace ground;
using support::open_descriptors;
using support::says;
namespace fs = std::filesystem;

namespace {

std::string content(const std::string& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

void write(const std::string& file, const std::string& text) {
  std::ofstream out{file, std::ios::binary};
  REQUIRE((out << text).flush());
  REQUIRE(::chmod(file.c_str(), 0600) == 0);
}

// Somebody who has the segment open, and holds "held" in it.
class Peer {
 public:
  explicit Peer(const Ground& ground)
      : child_{[&] {
          auto lock = ground.lock("held");
          lock.acquire();
          ready_.tell();
          Child::sleep();
          return 0;
        }} {
    REQUIRE(ready_.hear());
  }
  Child& process() { return child_; }

 private:
  Pipe ready_;
  Child child_;
};

}  // namespace

TEST_CASE("what is no segment of ours in a segment's place is refused and left alone", "[shm]") {
  const Ground ground;
  const std::string victim = ground.dir.write("victim", "precious\n");
  const auto before = open_descriptors();
  const auto check = [&](const char* what) {
    const Refused r = refused(ground.segment);
    CHECK(r.code == Errc::unsafe);
    CHECK_THAT(r.text, says(ground.path) && says(what) && says("remove it"));
    CHECK_THROWS_AS(ShmLock::list(ground.segment), BackendException);
    CHECK_THROWS_AS(ShmLock::clean(ground.segment), BackendException);
  };
  SECTION("a symbolic link to somebody's data") {
    fs::create_symlink(victim, ground.path);
    check("symbolic link");
    CHECK(fs::is_symlink(ground.path));
  }
  SECTION("a symbolic link to nothing") {
    fs::create_symlink(ground.dir / "nothing", ground.path);
    check("symbolic link");
    CHECK_FALSE(fs::exists(ground.dir / "nothing"));
  }
  SECTION("a second name of somebody's segment") {
    write(ground.path + ".victim", std::string(sherlock::local::kFirstSegment, 'x'));
    fs::create_hard_link(ground.path + ".victim", ground.path);
    check("hard link");
    CHECK((content(ground.path + ".victim") == std::string(sherlock::local::kFirstSegment, 'x')));
    fs::remove(ground.path + ".victim");
  }
  SECTION("a pipe") {
    REQUIRE(::mkfifo(ground.path.c_str(), 0600) == 0);
    check("regular");
  }
  SECTION("a directory") {
    fs::create_directory(ground.path);
    check("regular");
    fs::remove(ground.path);
  }
  SECTION("a socket") {
    const posix::UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(ground.path.size() < sizeof address.sun_path);
    std::strcpy(address.sun_path, ground.path.c_str());
    REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    check("regular");
  }
  CHECK(ground.dir.read("victim") == "precious\n");
  CHECK(open_descriptors() == before);
  fs::remove(ground.path);
  CHECK(refused(ground.segment).code == Errc{});  // and all is well once it is gone
}

TEST_CASE("a segment that another user made in our place is refused, unread", "[shm][process]") {
  if (::geteuid() != 0) return skip("only root can be others");
  const Ground ground;
  constexpr uid_t kNobody = 65534;
  SECTION("by the one who would have used it, made by root") {
    { auto lock = ground.lock(); }
    Child other{[&] {
      if (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0) return 1;
      const Refused r = refused(ground.segment);
      return r.code == Errc::unsafe && r.text.find(ground.path) != std::string::npos ? 0 : 2;
    }};
    CHECK(other.wait() == Exit{0, 0});
  }
  SECTION("by root, made by somebody who lets everybody in") {
    Pipe ready;
    Child squatter{[&] {
      if (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0) return 1;
      ShmLock lock{"x", {}, ground.segment + "?mode=0666"};
      lock.acquire();
      ready.tell();
      Child::sleep();
      return 0;
    }};
    REQUIRE(ready.hear());
    const std::string before = content(ground.path);
    const Refused r = refused(ground.segment);
    CHECK(r.code == Errc::unsafe);
    CHECK_THAT(r.text, says(ground.path) && says("65534"));
    CHECK((content(ground.path) == before));
  }
}

TEST_CASE("somebody else's file of a segment's name is refused and left as it is", "[shm]") {
  const Ground ground;
  const auto before = open_descriptors();
  std::string foreign;
  SECTION("a large one") { foreign = std::string(3 << 20, 'x'); }
  SECTION("as large as ours") { foreign = std::string(sherlock::local::kFirstSegment, 'x'); }
  SECTION("a small one") { foreign = "my favourite detective\n"; }
  write(ground.path, foreign);
  const Refused r = refused(ground.segment);
  CHECK(r.code == Errc::damaged);
  CHECK_THAT(r.text, says(ground.path) && says("remove it"));
  CHECK((content(ground.path) == foreign));
  CHECK(open_descriptors() == before);
}

TEST_CASE("a segment of another format that is in use is refused with both formats in the text, and its users go on", "[shm][process]") {
  using sherlock::local::Header;
  using sherlock::local::kFormat;
  const Ground ground;
  auto peer = std::make_unique<Peer>(ground);
  for (const std::uint32_t other : {
           (kFormat & 0xffff) | 1u << 16,                        // the version before
           (kFormat & 0xffff) | ((kFormat >> 16) + 1) << 16,     // and the one after
           kFormat >> 16 << 16 | 4u << 8 | 24u,                  // of a process of 32 bits: its pointers and mutexes have other sizes
       }) {
    CAPTURE(other);
    forge(ground.path, offsetof(Header, format), other);
    const Refused r = refused(ground.segment);
    CHECK(r.code == Errc::damaged);
    char theirs[16], mine[16];
    std::snprintf(theirs, sizeof theirs, "%#x", other);
    std::snprintf(mine, sizeof mine, "%#x", kFormat);
    CHECK_THAT(r.text, says(ground.path) && says(theirs) && says(mine) && says("same version"));
  }
  forge(ground.path, offsetof(Header, format), kFormat);
  CHECK_FALSE(ground.lock("held").try_acquire());

  forge(ground.path, offsetof(Header, format), kFormat + 1);
  peer->process().kill();
  CHECK(ground.lock("held").try_acquire());  // nobody is there any more: made anew
}

TEST_CASE("a segment in use by processes of another time namespace is refused, for their leases cannot be compared with ours", "[shm][process]") {
  const Ground ground;
  Peer peer{ground};
  Child other{[&] {
    if (::unshare(CLONE_NEWTIME) != 0) return kNotAllowed;
    // Who makes the namespace stays outside; his children are in it.
    Child inside{[&] {
      const Refused r = refused(ground.segment);
      if (r.code != Errc::unavailable) return 1;
      return r.text.find(ground.path) != std::string::npos && r.text.find("time namespace") != std::string::npos ? 0 : 2;
    }};
    return inside.wait() == Exit{0, 0} ? 0 : 1;
  }};
  const Exit exit = other.wait();
  if (exit.code == kNotAllowed) return skip("no permission to make a time namespace");
  CHECK(exit == Exit{0, 0});
  CHECK_FALSE(ground.lock("held").try_acquire());
}
