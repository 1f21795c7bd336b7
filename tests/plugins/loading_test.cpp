// SPDX-License-Identifier: MIT
#include <dlfcn.h>

#include <atomic>
#include <latch>
#include <thread>
#include <vector>

#include <sherlock/config.hpp>
#include <sherlock/lock.hpp>

#include "catch.hpp"
#include "place.hpp"
#include "support/says.hpp"

using plugins::Kind, plugins::Place;
using sherlock::ConfigurationException, sherlock::Registry;
using support::says;
using Names = std::vector<std::string>;

TEST_CASE("nothing is loaded that nobody asks for", "[plugins]") {
  const Place place;
  place.put(Kind::good);
  place.put(Kind::good, "libsherlock-file.so");
  CHECK(sherlock::registry().find("file").library() == "flock(2)");
  sherlock::registry().configure({.backend = "file"});
  CHECK(sherlock::registry().names() == Names{"file", "shm", "sqlite"});
  CHECK(Registry{}.names().empty());
  const auto files = sherlock::plugin_files();
  REQUIRE(files.size() == 2);
  CHECK(files[0].backend == "file");
  CHECK(files[1].backend == "good");
  CHECK(files[1].path == place / "libsherlock-good.so");
  CHECK(place.marks().empty());
}

TEST_CASE("configure takes a backend from a plug-in, and its locks lock", "[plugins]") {
  const Place place;
  place.put(Kind::good);
  Registry registry;
  registry.configure({.backend = "good", .client = "shop"});
  const auto one = registry.make("x"), two = registry.make("x");
  one->acquire();
  CHECK(!two->try_acquire());
  CHECK(one->backend() == "memory");
  one->release();
  CHECK(two->try_acquire());
}

TEST_CASE("a lock outlives the registry that loaded its code", "[plugins]") {
  const Place place;
  place.put(Kind::good);
  std::unique_ptr<sherlock::BaseLock> lock;
  {
    const Registry registry;
    lock = registry.find("good").make("x", {}, {});
  }
  lock->acquire();
  CHECK(lock->held());
}

TEST_CASE("load takes a plug-in by its path, whatever it is called, and may bring several backends", "[plugins]") {
  const Place place;
  Registry registry;
  CHECK(registry.load(place.put(Kind::two, "my own.so")) == Names{"one", "two"});
  CHECK(registry.names() == Names{"one", "two"});
  CHECK(registry.load(place / "my own.so") == Names{"one", "two"});  // once more changes nothing
  CHECK(registry.names() == Names{"one", "two"});
  CHECK(place.marks() == "g");
  CHECK_THROWS_WITH(registry.load(place / "nowhere.so"), says("there is no plug-in") && says("/nowhere.so"));
  CHECK_THROWS_AS(registry.load(""), ConfigurationException);
  CHECK_THROWS_AS(registry.load("/"), ConfigurationException);
  CHECK_THROWS_WITH(registry.load(place.put(Kind::good, "open.so", 0777)), says("can be written by others"));
}

TEST_CASE("a plug-in is asked once for each registry, and none knows of another's", "[plugins]") {
  const Place place;
  place.put(Kind::good);
  const Registry one, two;
  static_cast<void>(one.find("good"));
  CHECK(two.names().empty());
  static_cast<void>(two.find("good"));
  CHECK(place.marks() == "a");
}

TEST_CASE("a plug-in that is loaded is not taken for the next one", "[plugins]") {
  // Both are opened by the same number, and the dynamic linker goes by names.
  const Place place;
  Registry registry;
  CHECK(registry.load(place.put(Kind::good, "a.so")) == Names{"good"});
  CHECK(registry.load(place.put(Kind::two, "b.so")) == Names{"one", "two"});
  CHECK(place.marks() == "ag");
}

TEST_CASE("a plug-in that throws is refused with what it says, and half of it is not there", "[plugins]") {
  const Place place;
  Registry registry;
  CHECK_THROWS_WITH(registry.load(place.put(Kind::throws)), says("refused") && says("no licence\\x1b[31m"));
  CHECK_THROWS_WITH(registry.load(place.put(Kind::throws_other)), says("refused") && says("no std::exception"));
  CHECK_THROWS_WITH(registry.load(place.put(Kind::twice)), says("refused") && says("half") && says("already"));
  CHECK(registry.names().empty());
}

TEST_CASE("a plug-in that adds nothing is refused", "[plugins]") {
  const Place place;
  place.put(Kind::empty);
  CHECK_THAT(Place::refusal(), says("adds no backend"));
}

TEST_CASE("a plug-in cannot take the name of a backend that is there, and nothing of it is registered", "[plugins]") {
  const Place place;
  const std::string path = place.put(Kind::taken, "taken.so");
  const Names before = sherlock::registry().names();
  for (int again = 0; again < 2; ++again) {
    CHECK_THROWS_WITH(sherlock::registry().load(path), says("refused") && says("\"file\"") && says("one already"));
    CHECK(sherlock::registry().names() == before);
  }
  CHECK(sherlock::registry().find("file").library() == "flock(2)");
}

TEST_CASE("a plug-in that was asked for by a name and adds another is refused", "[plugins]") {
  const Place place;
  place.put(Kind::good, "libsherlock-bad.so");
  CHECK_THAT(Place::refusal("bad"), says("adds a backend \"good\"") && says("\"bad\"") && says("libsherlock-good.so"));
  place.put(Kind::two, "libsherlock-two.so");  // what it asks for, and one more
  CHECK_THAT(Place::refusal("two"), says("adds a backend \"one\""));
}

TEST_CASE("a plug-in without the function, or with a symbol that nobody defines, is refused", "[plugins]") {
  const Place place;
  place.put(Kind::undefined);
  CHECK_THAT(Place::refusal(), says("cannot be loaded") && says("sherlock_test_defined_nowhere") && !says("/proc"));
  CHECK(place.marks().empty());
  place.put(Kind::no_entry);
  CHECK_THAT(Place::refusal(), says("no function sherlock_plugin_v1"));
}

TEST_CASE("a plug-in shows its names to nobody", "[plugins]") {
  const Place place;
  place.put(Kind::good);
  CHECK(Place::refusal().empty());
  CHECK(dlsym(RTLD_DEFAULT, "sherlock_plugin_v1") == nullptr);
}

TEST_CASE("a plug-in may use the registry that it is loaded into", "[plugins]") {
  const Place place;
  place.put(Kind::good);
  place.put(Kind::asks, "libsherlock-asks.so");
  CHECK(sherlock::registry().find("asks").library() == "std");
  CHECK(sherlock::configuration().label == "asked");
  CHECK(sherlock::registry().names() == Names{"asks", "file", "good", "shm", "sqlite"});
}

TEST_CASE("threads that are in the same plug-in at once all get it", "[plugins][threads]") {
  const Place place;
  for (const char* way : {"load and load", "find and find", "load and find"}) {
    const std::string path = place.put(Kind::meets);
    Registry registry;
    std::atomic<int> failed{0};
    const auto get = [&](bool load) {
      try {
        static_cast<void>(load ? registry.load(path).at(0) : registry.find("good").name());
      } catch (const std::exception& e) {
        ++failed;
        std::cerr << e.what() << '\n';
      }
    };
    std::thread other{get, way[0] == 'l'};
    get(std::string{way}.ends_with("load"));
    other.join();
    INFO(way);
    CHECK(failed == 0);
    CHECK(registry.names() == Names{"good"});
  }
}

TEST_CASE("threads that need the same plug-in at once all get it, whoever is first", "[plugins][threads]") {
  const Place place;
  for (int round = 0; round < 20; ++round) {
    const std::string path = place.put(Kind::good);
    Registry registry;
    constexpr int kThreads = 4;
    std::latch start{kThreads};
    std::vector<std::string> said(kThreads);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i)
      threads.emplace_back([&, i] {
        start.arrive_and_wait();
        try {
          if (i % 2 == 0)
            static_cast<void>(registry.find("good"));
          else
            static_cast<void>(registry.load(path));
        } catch (const std::exception& e) {
          said[static_cast<std::size_t>(i)] = e.what();
        }
      });
    for (auto& thread : threads) thread.join();
    CHECK(said == std::vector<std::string>(kThreads));
    CHECK(registry.names() == Names{"good"});
  }
}

TEST_CASE("who asks for an add-on that is not there is told what would bring it", "[plugins]") {
  const Place place;
  for (const auto& [name, built_on] : {std::pair{"etcd", "libcurl"}, {"redis", "hiredis"}, {"postgres", "libpq"}, {"memcached", "libmemcached"},
                                       {"elasticsearch", "libcurl"}})
    if (const std::string said = Place::refusal(name); said.find("refused") == std::string::npos && !said.empty())  // none is installed here
      CHECK_THAT(said, says(std::string{"libsherlock-"} + name + ".so") && says(place.path() + " or /") && says(built_on));
  CHECK_THAT(Place::refusal("nobody"), says("no plug-in libsherlock-nobody.so in " + place.path() + " or /") && says("none is registered"));
}
