// SPDX-License-Identifier: MIT
// What happens when somebody removes, moves or replaces what a lock is made of.
#include <atomic>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ground.hpp"
#include "support/says.hpp"

using namespace ground;
namespace fs = std::filesystem;

namespace {

struct Removal {
  const char* what;
  std::function<void(const Ground&, const std::string& path)> act;
};

const std::vector<Removal> kRemovals{
    {"the file removed", [](const Ground&, const std::string& path) { fs::remove(path); }},
    {"the file moved away", [](const Ground&, const std::string& path) { fs::rename(path, path + ".old"); }},
    {"the file moved away and another one made", [](const Ground&, const std::string& path) {
       fs::rename(path, path + ".old");
       const Foreigner fresh{path};
     }},
    {"another file moved over it", [](const Ground& ground, const std::string& path) { fs::rename(ground.dir.write("other"), path); }},
    {"the directory removed", [](const Ground& ground, const std::string&) { fs::remove_all(ground.store); }},
    {"the directory moved away", [](const Ground& ground, const std::string&) { fs::rename(ground.store, ground.store + ".old"); }},
    {"the directory moved away and another one made", [](const Ground& ground, const std::string&) {
       fs::rename(ground.store, ground.store + ".old");
       REQUIRE(::mkdir(ground.store.c_str(), 0700) == 0);
     }},
};

}  // namespace

TEST_CASE("a holder whose file is taken away is told at its next call, and can acquire anew", "[file]") {
  for (const Removal& removal : kRemovals)
    for (const Duration expire : {never, Duration{1h}})
      for (const bool asks_to_renew : {false, true}) {
        CAPTURE(removal.what, expire.text(), asks_to_renew);
        const Ground ground;
        int told = 0;
        auto lock = ground.lock("x", {.expire = expire, .on_lost = [&](const LockException& e) { told += e.code() == Errc::lost; }});
        lock.acquire();
        removal.act(ground, lock.path());
        let_the_last_look_be_old();
        if (asks_to_renew) CHECK_FALSE(lock.renew());
        CHECK_THROWS_AS(lock.release(), LockLostException);
        CHECK(told == 1);
        CHECK_FALSE(lock.held());

        auto other = ground.lock("x", {.expire = expire});
        CHECK(lock.try_acquire());
        CHECK_FALSE(other.try_acquire());
        CHECK_FALSE(flock_would_get(lock.path()));
        CHECK_NOTHROW(lock.release());
        CHECK(other.try_acquire());
      }
}

TEST_CASE("a holder whose file was taken away does not disturb who came after it", "[file][process]") {
  for (const Removal& removal : kRemovals) {
    CAPTURE(removal.what);
    const Ground ground;
    auto lock = ground.lock();
    lock.acquire();
    const std::uint64_t fence = lock.fence();
    removal.act(ground, lock.path());
    Pipe ready, go;
    Child successor{[&] {
      auto mine = ground.lock();
      // Where only the file is gone, the gate still is the first one's: who knows of that cannot tell, and waits.
      if (!mine.try_acquire()) return ready.tell('n'), 0;
      if (mine.fence() <= fence) return 1;
      ready.tell('y');
      if (!go.hear()) return 2;
      mine.release();
      return 0;
    }};
    const char got_it = ready.hear();
    REQUIRE(got_it);
    let_the_last_look_be_old();
    CHECK_THROWS_AS(lock.release(), LockLostException);
    if (got_it == 'y') {
      CHECK_FALSE(lock.try_acquire());
      CHECK_FALSE(flock_would_get(lock.path()));
      go.tell();
    }
    CHECK(successor.wait() == Exit{0, 0});
    CHECK(lock.try_acquire());
  }
}

TEST_CASE("a file removed between two holds is made again, and excludes", "[file][process]") {
  for (const Removal& removal : kRemovals) {
    CAPTURE(removal.what);
    const Ground ground;
    auto lock = ground.lock();
    lock.acquire();
    const std::uint64_t fence = lock.fence();
    lock.release();
    let_the_last_look_be_old();
    removal.act(ground, lock.path());
    lock.acquire();
    CHECK(lock.fence() > fence);
    CHECK(lock.locked());
    CHECK_FALSE(flock_would_get(lock.path()));
    Child other{[&] { return ground.lock().try_acquire() ? 1 : 0; }};
    CHECK(other.wait() == Exit{0, 0});
    CHECK_NOTHROW(lock.release());
  }
}

TEST_CASE("a waiter whose file is taken away gets the lock of the new one", "[file][process]") {
  for (const Removal& removal : kRemovals)
    for (const bool foreign : {false, true}) {
      CAPTURE(removal.what, foreign);
      const Ground ground;
      auto holder = ground.lock();
      holder.acquire();
      const std::string path = holder.path();
      const Foreigner foreigner{path};
      if (foreign) {
        holder.release();
        REQUIRE(foreigner.try_lock());
      }
      Child waiter{[&] {
        auto lock = ground.lock("x", {.timeout = forever, .retry_interval = 20ms});
        lock.acquire();
        const bool good = !flock_would_get(path);
        lock.release();
        return good ? 0 : 1;
      }};
      REQUIRE(eventually([&] {
        const auto who = holder.holder();
        return who && who->waiting == std::uint64_t{1};
      }));
      removal.act(ground, path);
      if (!foreign) {
        let_the_last_look_be_old();
        CHECK_THROWS_AS(holder.release(), LockLostException);
      }
      CHECK(waiter.wait() == Exit{0, 0});  // though the foreigner keeps what it has
    }
}

TEST_CASE("with the companion removed while a lock is held, nobody else gets in, and nothing is lost", "[file][process]") {
  const Ground ground;
  const Duration expire = GENERATE(as<Duration>{}, never, 1h);
  auto lock = ground.lock("x", {.expire = expire});
  lock.acquire();
  fs::remove(ground.store + "/.sherlock");
  const auto try_it = [&] { return ground.lock().try_acquire() ? 1 : 0; };
  Child newcomer{try_it};
  CHECK(newcomer.wait() == Exit{0, 0});
  let_the_last_look_be_old();
  auto second = ground.lock("x", {.expire = expire});
  CHECK_FALSE(second.try_acquire());
  CHECK(lock.renew());
  CHECK_NOTHROW(lock.release());
  CHECK(second.try_acquire());
  CHECK_FALSE(lock.try_acquire());
}

TEST_CASE("with the companion removed again and again, nobody overlaps and nothing is lost", "[file][process]") {
  const Ground ground;
  const Shared<std::atomic<int>> inside, overlaps, over, total;
  std::vector<Child> children;
  for (int i = 0; i < 4; ++i)
    children.emplace_back([&, i] {
      auto lock = ground.lock("x", {.expire = i % 2 ? never : Duration{1h}, .timeout = forever});
      std::minstd_rand random{static_cast<unsigned>(i + 1)};
      while (!over->load()) {
        lock.acquire();
        if (inside->exchange(1) != 0) ++*overlaps;
        ++*total;
        if (random() % 8 == 0) std::this_thread::sleep_for(1ms);
        inside->store(0);
        lock.release();
      }
      return 0;
    });
  for (int i = 0; i < 100; ++i) {
    const int before = total->load();
    REQUIRE(eventually([&] { return total->load() > before; }));
    fs::remove(ground.store + "/.sherlock");
  }
  over->store(1);
  for (Child& child : children) CHECK(child.wait() == Exit{0, 0});
  CHECK(overlaps->load() == 0);
}

TEST_CASE("with the lock file removed again and again, every overlap is reported", "[file][process]") {
  const Ground ground;
  const Shared<std::atomic<std::uint64_t>> last;
  const Shared<std::atomic<int>> over, total, untold;
  std::vector<Child> children;
  for (int i = 0; i < 4; ++i)
    children.emplace_back([&, i] {
      auto lock = ground.lock("x", {.timeout = forever});
      for (std::uint64_t n = 1; !over->load(); ++n) {
        lock.acquire();
        const std::uint64_t me = n * 10 + static_cast<std::uint64_t>(i);
        last->store(me);
        let_the_last_look_be_old();
        const bool disturbed = last->load() != me;
        const bool told = !lock.renew();
        untold->fetch_add(disturbed && !told);
        ++*total;
        lock.unlock();
      }
      return 0;
    });
  const std::string path = ground.lock().path();
  for (int i = 0; i < 40; ++i) {
    const int before = total->load();
    REQUIRE(eventually([&] { return total->load() > before; }));
    fs::remove(path);
  }
  over->store(1);
  for (Child& child : children) CHECK(child.wait() == Exit{0, 0});
  CHECK(untold->load() == 0);
}

// ThreadSanitizer is who fails here.
TEST_CASE("one thread of an object renews and asks for descriptors while another opens and closes the file that is taken away again and again", "[file]") {
  const Ground ground;
  auto lock = ground.lock();
  std::atomic<bool> over{false};
  std::thread renews{[&] {
    while (!over) {
      try {
        (void)lock.renew();
      } catch (const LockNotHeldException&) {
      }
      (void)lock.inheritable();
    }
  }};
  for (int i = 0; i < 200; ++i) {
    if (!lock.try_acquire_for(kPatience)) break;
    ::unlink(lock.path().c_str());
    std::this_thread::sleep_for(5ms);  // so that it is time to look at the path; the test is weaker if not
    lock.unlock();
  }
  over = true;
  renews.join();
  CHECK(lock.try_acquire_for(kPatience));
}

TEST_CASE("a change of the working directory changes no lock", "[file][process]") {
  const Ground ground;
  fs::create_directory(ground.dir / "elsewhere");
  Child child{[&] {
    if (::chdir(ground.dir.path().c_str()) != 0) return 1;
    FileLock lock{"x", {}, "locks"}, other{"x", {}, "locks"};
    const std::string path = lock.path();
    if (path.front() != '/') return 2;
    if (::chdir("elsewhere") != 0) return 3;
    lock.acquire();
    if (other.try_acquire()) return 4;
    if (lock.path() != path) return 5;
    if (flock_would_get(path)) return 6;
    if (ground.lock().try_acquire()) return 7;  // by its absolute path
    lock.release();
    fs::remove_all(ground.store);
    lock.acquire();
    if (!fs::exists(path) || other.try_acquire()) return 8;
    lock.release();
    return 0;
  }};
  CHECK(child.wait() == Exit{0, 0});
  CHECK(fs::is_empty(ground.dir / "elsewhere"));
}
