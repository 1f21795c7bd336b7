// SPDX-License-Identifier: MIT
// When there is no /dev/shm, or no room in it, no place among those present, no name left, or less of the segment than there was: an error that says so,
// and whoever has what he needs goes on.
#include <signal.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "local/companion.hpp"
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

// Somebody who has as many places as there are; but for those in use, and some.
Child take_all_places_but(const Ground& ground, std::uint32_t spare) {
  using namespace sherlock::local;
  { auto makes_the_segment = Child{[&] { return ground.lock().try_acquire() ? 0 : 1; }}; makes_the_segment.wait(); }
  Pipe ready;
  Child crowd{[&] {
    const posix::UniqueFd fd{::open(ground.path.c_str(), O_RDWR | O_CLOEXEC)};
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_len = 1;
    for (std::uint32_t i = 0; i < kSlots - spare; ++i)
      for (const std::int64_t byte : {kClaimByte + i, kPresenceByte + i}) {
        lock.l_start = byte;
        if (::fcntl(fd.get(), F_OFD_SETLK, &lock) != 0 && errno != EAGAIN) return 1;  // EAGAIN: a place in use
      }
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  return crowd;
}

}  // namespace

TEST_CASE("without a /dev/shm there is an error that says what to do", "[shm][process]") {
  in_own_shm("size=1m", [] {
    const auto before = open_descriptors();
    // Where it was mounted there is an empty directory or nothing at all.
    if (::umount2("/dev/shm", MNT_DETACH) != 0 || ::mount("tmpfs", "/dev", "tmpfs", 0, "mode=0755") != 0) return kNotAllowed;
    const Refused r = refused("sherlock-test");
    if (r.code != Errc::unavailable || r.text.find("/dev/shm") == std::string::npos || r.text.find("mount") == std::string::npos) return 1;
    if (!throws<BackendException>([] { (void)ShmLock::list("sherlock-test"); })) return 2;
    return open_descriptors() == before ? 0 : 3;
  });
}

TEST_CASE("a read-only /dev/shm is an error that says so", "[shm][process]") {
  in_own_shm("size=4m", [] {
    const auto before = open_descriptors();
    if (!remount_own_shm_read_only()) return kNotAllowed;
    const Refused r = refused("sherlock-test");
    if (r.code != Errc::cannot_create || r.text.find("/dev/shm/sherlock-test") == std::string::npos) return 1;
    return r.text.find("read-only") != std::string::npos && open_descriptors() == before ? 0 : 2;
  });
}

TEST_CASE("a /dev/shm that is full is an error that says so, and leaves nothing there", "[shm][process]") {
  in_own_shm("size=512k", [] {
    const auto before = open_descriptors();
    const Refused r = refused("sherlock-test");
    if (r.code != Errc::system || r.cause != std::errc::no_space_on_device) return 1;
    if (r.text.find("/dev/shm/sherlock-test") == std::string::npos || r.text.find("make room") == std::string::npos) return 2;
    return fs::is_empty("/dev/shm") && open_descriptors() == before ? 0 : 3;
  });
  in_own_shm("size=4m,nr_inodes=2", [] {
    const posix::UniqueFd last{::open("/dev/shm/ballast", O_CREAT | O_RDWR | O_CLOEXEC, 0600)};
    const Refused r = refused("sherlock-test");
    return r.cause == std::errc::no_space_on_device && r.text.find("/dev/shm/sherlock-test") != std::string::npos ? 0 : 1;
  });
}

TEST_CASE("a segment that is there works on a full /dev/shm, every byte of it", "[shm][process]") {
  in_own_shm("size=2m", [] {
    auto first = ShmLock{"first", {}, "sherlock-test"};
    first.acquire();
    {
      std::ofstream ballast{"/dev/shm/ballast", std::ios::binary};
      const std::string block(4096, 'x');
      while (ballast.write(block.data(), 4096).flush()) {
      }
    }
    first.release();
    // As many names as its table has room for; then an error.
    std::vector<std::unique_ptr<ShmLock>> held;
    Refused r;
    for (int i = 0; r.text.empty(); ++i) {
      try {
        held.push_back(std::make_unique<ShmLock>(std::to_string(i), Options{.expire = i % 2 ? never : Duration{1h}}, "sherlock-test"));
        held.back()->acquire();
      } catch (const BackendException& e) {
        r = {static_cast<Errc>(e.code().value()), e.what(), e.cause()};
      }
    }
    held.pop_back();
    if (r.code != Errc::system || r.cause != std::errc::no_space_on_device) return 1;
    if (r.text.find("more names in /dev/shm/sherlock-test") == std::string::npos) return 5;
    if (held.size() < 500) return 2;
    for (const auto& lock : held)
      if (!lock->renew() || !lock->locked() || lock->try_acquire()) return 3;
    for (const auto& lock : held) lock->release();
    if (ShmLock::list("sherlock-test").size() < held.size()) return 4;
    // Room is made for new names by those that nobody uses, also by the ones that were refused.
    for (int i = 0; i < 5000; ++i) {
      ShmLock lock{"new " + std::to_string(i), {}, "sherlock-test"};
      lock.acquire();
    }
    return 0;
  });
}

TEST_CASE("who asks for names again and again that there is no room for takes up none", "[shm][process]") {
  in_own_shm("size=1m", [] {
    const std::string segment = "sherlock-test";
    const auto long_name = [](int i) { return std::string(1000, 'n') + std::to_string(i); };
    const auto try_it = [&](const std::string& name) {
      try {
        ShmLock lock{name, {}, segment};
        lock.acquire();
        return true;
      } catch (const BackendException& e) {
        if (e.cause() != std::errc::no_space_on_device) throw;
        return false;
      }
    };
    int had = 0;
    while (had < 2000 && try_it(long_name(had))) ++had;
    if (had < 50 || had == 2000) return 1;  // their text has filled the segment, not they the table
    for (int i = 0; i < 500; ++i)
      if (try_it(long_name(had + i))) return 2;
    const posix::UniqueFd directory{::open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    const auto companion = local::Companion::open({directory.get(), segment.c_str(), "/dev/shm/" + segment});
    int claimed = 0;
    for (std::uint32_t i = 0; i < local::kFirstEntries; ++i) claimed += companion->entry(0, i).tenure.load() >> 62 == 1;  // see table.cpp
    return claimed == 0 ? 0 : 3;
  });
}

TEST_CASE("a process that may not make files of that size is told so", "[shm][process]") {
  const Ground ground;
  Child child{[&] {
    // Whoever limits his files gets this signal from any program that writes past the limit.
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{1 << 16, 1 << 16};
    if (::setrlimit(RLIMIT_FSIZE, &small) != 0) return 1;
    const Refused r = refused(ground.segment);
    if (r.code != Errc::system || r.cause != std::errc::file_too_large || r.text.find(ground.path) == std::string::npos) return 2;
    return fs::exists(ground.path) ? 3 : 0;
  }};
  CHECK(child.wait() == Exit{0, 0});
}

TEST_CASE("when all 4096 places are taken, that is an error which says so, and who has a place goes on", "[shm][process]") {
  using namespace sherlock::local;
  const Ground ground;
  auto mine = ground.lock();
  Child crowd = take_all_places_but(ground, 0);
  const auto newcomer = [&] {
    const auto before = open_descriptors();
    const Refused r = refused(ground.segment);
    if (r.code != Errc::system || r.text.find("4096") == std::string::npos || r.text.find(ground.path) == std::string::npos) return 1;
    return open_descriptors() == before ? 0 : 2;
  };
  CHECK(Child{newcomer}.wait() == Exit{0, 0});
  mine.acquire();
  CHECK(mine.renew());
  CHECK_NOTHROW(mine.release());
  crowd.kill();
  CHECK(Child{[&] { return ground.lock().try_acquire() ? 0 : 1; }}.wait() == Exit{0, 0});
}

TEST_CASE("places of the dead are given out again, with more dead than places", "[shm][process]") {
  const Ground ground;
  auto spare = take_all_places_but(ground, 50);
  for (int round = 0; round < 2; ++round) {
    Child mother{[&] {
      for (int i = 0; i < 150; ++i) {
        const pid_t child = ::fork();
        if (child == 0) {
          try {
            auto mine = ground.lock(std::to_string(i % 7));
            ::_exit(mine.try_acquire() ? 0 : 1);  // with what it holds
          } catch (...) {
            ::_exit(2);
          }
        }
        int status = -1;
        if (::waitpid(child, &status, 0) != child || status != 0) return 1;
      }
      return 0;
    }};
    CHECK(mother.wait(60s) == Exit{0, 0});
  }
  for (int i = 0; i < 7; ++i) {
    auto after = ground.lock(std::to_string(i));
    CHECK(after.try_acquire());
    CHECK(after.abandoned());
  }
}

TEST_CASE("a segment cut short in use: who comes is told, who is in it dies of a bus error rather than of two holders", "[shm][process]") {
  if (playground::kSanitized) return skip("a sanitizer answers the bus error in its own way");
  for (const off_t size : {0, 1, 4095, 4096, 600000}) {
    CAPTURE(size);
    const Ground ground;
    Pipe ready, go;
    Child user{[&] {
      auto lock = ground.lock();
      lock.acquire();
      ready.tell();
      if (!go.hear()) return 1;
      lock.release();
      return 0;
    }};
    REQUIRE(ready.hear());
    REQUIRE(::truncate(ground.path.c_str(), size) == 0);
    const Refused r = refused(ground.segment);
    CHECK(r.code == Errc::damaged);
    CHECK_THAT(r.text, says(ground.path) && says("was cut to " + std::to_string(size)));
    go.tell();
    CHECK(user.wait() == Exit{-1, SIGBUS});
    // With nobody in it, it is made anew; or, where too little is left to know it by, refused as what it may be: somebody's file.
    const Refused after = refused(ground.segment);
    if (size == 1) {
      CHECK(after.code == Errc::damaged);
      CHECK_THAT(after.text, says("remove it"));
    } else {
      CHECK(after.code == Errc{});
    }
  }
}

TEST_CASE("a segment that has lost the part for more names is an error for who needs it", "[shm][process]") {
  using namespace sherlock::local;
  const Ground ground;
  { auto lock = ground.lock(); }
  for (const std::uint32_t segments : {2u, kMaxSegments, kMaxSegments + 1, ~0u}) {
    CAPTURE(segments);
    forge(ground.path, offsetof(Header, segments), segments);
    Child child{[&] {
      const Refused r = refused(ground.segment);
      if (r.code != Errc::damaged || r.text.find(ground.path) == std::string::npos) return 1;
      return r.text.find(segments > kMaxSegments ? "damaged and in use" : "should have") != std::string::npos ? 0 : 2;
    }};
    CHECK(child.wait() == Exit{0, 0});
  }
}
