// SPDX-License-Identifier: MIT
#include <sherlock/config.hpp>

#include <atomic>
#include <limits>
#include <thread>

#include <sherlock/lock.hpp>
#include <sherlock/registry.hpp>

#include "catch.hpp"
#include "core/defaults.hpp"
#include "registry/spy_lock.hpp"

using namespace sherlock;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

struct SpyRegistry : Registry {
  SpyRegistry() {
    add(backend<SpyLock>({.name = "spy"}));
    add(backend<SpyLock>({.name = "mole", .default_client = "hole"}));
  }
};

// What configure() said stays until the process ends. For a test it ends here, so that it means nothing to the others.
struct ProcessWide {
  ~ProcessWide() { detail::set_configured_options(std::make_shared<const Options>()); }
};

// The client of the locks that this registry makes.
std::string client_of(const Registry& registry) {
  static_cast<void>(registry.make("lock"));
  return SpyLock::last_client;
}

// Uses the registry while a client is checked, as the author of a backend may.
Registry* asked = nullptr;
class AskingLock : public SpyLock {
 public:
  using SpyLock::SpyLock;
  static Client connect(std::string_view text) {
    if (!asked->configuration().label) asked->configure({.label = "meanwhile"});
    return SpyLock::connect(text);
  }
};

}  // namespace

TEST_CASE("nothing is configured at first, and looking changes nothing", "[config]") {
  const SpyRegistry registry;
  for (int look = 0; look < 2; ++look) {
    const Config found = registry.configuration();
    CHECK(!found.backend);
    CHECK(found.client.empty());
    CHECK(!found.ns);
    CHECK(!found.expire);
    CHECK(!found.timeout);
    CHECK(!found.retry_interval);
    CHECK(!found.label);
    CHECK(!found.on_lost);
  }
}

TEST_CASE("configure changes what is given and nothing else", "[config]") {
  SpyRegistry registry;
  registry.configure({.backend = "spy", .client = "here", .ns = "shop"});
  registry.configure({.expire = 30s, .timeout = 2.5s});
  registry.configure({.retry_interval = 250ms, .label = "nightly", .on_lost = [](const LockException&) {}});
  registry.configure({});
  registry.configure({.ns = "stall"});

  const Config found = registry.configuration();
  CHECK(found.backend == "spy");
  REQUIRE(found.client.text());
  CHECK(*found.client.text() == "here");
  CHECK(found.ns == "stall");
  CHECK(found.expire == Duration{30s});
  CHECK(found.timeout == Duration{2500ms});
  CHECK(found.retry_interval == Duration{250ms});
  CHECK(found.label == "nightly");
  CHECK(found.on_lost);
}

TEST_CASE("an empty ns and an empty label are values, too", "[config]") {
  SpyRegistry registry;
  registry.configure({.ns = "shop", .label = "nightly"});
  registry.configure({.ns = "", .label = ""});
  CHECK(registry.configuration().ns == "");
  CHECK(registry.configuration().label == "");
}

TEST_CASE("an option out of range is an error that names it and its value", "[config]") {
  SpyRegistry registry;
  using Seconds = std::chrono::duration<double>;
  CHECK_THROWS_WITH(registry.configure({.timeout = -3s}), Contains("timeout") && Contains("-3s"));
  CHECK_THROWS_WITH(registry.configure({.expire = -3s}), Contains("expire") && Contains("-3s"));
  CHECK_THROWS_WITH(registry.configure({.retry_interval = 0s}), Contains("retry_interval") && Contains("0"));
  CHECK_THROWS_WITH(registry.configure({.timeout = Seconds{std::numeric_limits<double>::quiet_NaN()}}), Contains("timeout"));
  CHECK_THROWS_WITH(registry.configure({.ns = std::string(1025, 'x')}), Contains("ns") && Contains("1025"));
  CHECK_THROWS_WITH(registry.configure({.label = std::string(257, 'x')}), Contains("label") && Contains("257"));
  CHECK_THROWS_AS(registry.configure({.timeout = -3s}), ConfigurationException);

  registry.configure({.expire = Seconds{1e300}, .timeout = Seconds{std::numeric_limits<double>::infinity()}});
  CHECK(registry.configuration().expire == never);
  CHECK(registry.configuration().timeout == forever);
}

TEST_CASE("what is refused changes nothing", "[config]") {
  SpyRegistry registry;
  registry.configure({.backend = "spy", .client = "here", .ns = "shop"});

  CHECK_THROWS_AS(registry.configure({.ns = "other", .timeout = -1s}), ConfigurationException);
  CHECK_THROWS_AS(registry.configure({.backend = "redis", .ns = "other"}), ConfigurationException);
  CHECK_THROWS_AS(registry.configure({.client = 5, .ns = "other"}), ConfigurationException);
  CHECK_THROWS_AS(registry.configure({.backend = "mole", .client = 5, .ns = "other"}), ConfigurationException);
  CHECK_THROWS_WITH(registry.configure({.client = "nonsense", .ns = "other"}), "nonsense is no place");

  CHECK(registry.configuration().backend == "spy");
  CHECK(registry.configuration().ns == "shop");
  CHECK(client_of(registry) == "here");
}

TEST_CASE("an unknown backend is refused with a list of the known ones", "[config]") {
  SpyRegistry registry;
  CHECK_THROWS_WITH(registry.configure({.backend = "redis"}), Contains("redis") && Contains("mole, spy"));
  CHECK(!registry.configuration().backend);
}

TEST_CASE("a client needs a backend, and the error says so", "[config]") {
  SpyRegistry registry;
  CHECK_THROWS_AS(registry.configure({.client = "here"}), ConfigurationException);
  CHECK_THROWS_WITH(registry.configure({.client = "here"}), Contains("client") && Contains(".backend = "));

  registry.configure({.backend = "spy"});
  registry.configure({.client = "here"});
  CHECK(client_of(registry) == "here");
}

TEST_CASE("a client of the wrong type is refused with the names of both", "[config]") {
  SpyRegistry registry;
  CHECK_THROWS_WITH(registry.configure({.backend = "spy", .client = 5}), Contains("SpyClient") && Contains("int"));
  registry.configure({.backend = "spy", .client = SpyClient{.text = "own"}});
  CHECK(client_of(registry) == "own");
}

TEST_CASE("a backend named without a client drops the client there was", "[config]") {
  SpyRegistry registry;
  registry.configure({.backend = "spy", .client = "here"});
  registry.configure({.backend = "mole"});
  CHECK(registry.configuration().client.empty());
  CHECK(client_of(registry) == "hole");

  registry.configure({.backend = "mole", .client = "burrow"});
  registry.configure({.backend = "mole"});
  CHECK(client_of(registry) == "hole");
}

TEST_CASE("a change that is made in the middle of another is not lost", "[config]") {
  SpyRegistry registry;
  asked = &registry;
  registry.add(backend<AskingLock>({.name = "asking"}));
  registry.configure({.backend = "asking", .client = "here", .ns = "shop"});
  CHECK(registry.configuration().ns == "shop");
  CHECK(registry.configuration().label == "meanwhile");
  CHECK(client_of(registry) == "here");
}

TEST_CASE("configure() is registry().configure(), and configuration() its reading", "[config]") {
  const ProcessWide until_the_end;
  configure({.ns = "process"});
  CHECK(registry().configuration().ns == "process");
  registry().configure({.ns = "wide"});
  CHECK(configuration().ns == "wide");
}

TEST_CASE("a lock made by its own class takes what is configured process-wide, but not the client", "[config]") {
  static const bool once = (registry().add(backend<SpyLock>({.name = "config-test"})), true);
  REQUIRE(once);
  const ProcessWide until_the_end;
  configure({.backend = "config-test", .client = "configured", .ns = "process"});
  configure({.expire = 5s, .timeout = 6s, .retry_interval = 7s, .label = "wide"});

  const SpyLock lock{"lock"};
  CHECK(SpyLock::last_client == "default-made");
  CHECK(lock.ns() == "process");
  CHECK(lock.expire() == Duration{5s});
  CHECK(lock.timeout() == Duration{6s});
  CHECK(lock.retry_interval() == Duration{7s});
  CHECK(lock.label() == "wide");

  SECTION("an option of the lock wins, also an empty one") {
    const SpyLock own{"lock", {.ns = "", .timeout = 0s, .label = ""}};
    CHECK(own.ns().empty());
    CHECK(own.timeout() == Duration{0s});
    CHECK(own.label().empty());
    CHECK(own.expire() == Duration{5s});
  }
  SECTION("locks that exist keep what they were made with") {
    configure({.ns = "later", .timeout = 60s});
    CHECK(lock.ns() == "process");
    CHECK(lock.timeout() == Duration{6s});
  }
}

TEST_CASE("a fresh registry and the process-wide configuration know nothing of each other", "[config]") {
  const ProcessWide until_the_end;
  bool told = false;
  configure({.ns = "process", .expire = 5s, .timeout = 6s, .retry_interval = 7s, .label = "wide"});
  configure({.on_lost = [&](const LockException&) { told = true; }});
  SpyRegistry fresh;
  const SpyClient client;
  fresh.configure({.backend = "spy", .client = client});
  {
    const auto lock = fresh.make("lock");
    CHECK(lock->ns().empty());
    CHECK(lock->expire() == Duration{42s});  // the trait's
    CHECK(lock->timeout() == Duration{10s});
    CHECK(lock->retry_interval() == Duration{100ms});
    CHECK(lock->label() != "wide");
    CHECK(!lock->label().empty());  // the program's name

    lock->acquire();
    client.spy->owner.reset();  // somebody took it away
    CHECK(!lock->renew());
    CHECK(!told);
  }
  fresh.configure({.ns = "fresh"});
  CHECK(configuration().ns == "process");
  CHECK(SpyLock{"lock"}.ns() == "process");
  configure({.on_lost = [](const LockException&) {}});
}

TEST_CASE("a lock made while others configure sees all of a change or nothing of it", "[config][threads]") {
  const ProcessWide until_the_end;
  constexpr int kChanges = 500;
  SpyRegistry fresh;
  fresh.configure({.backend = "spy", .client = "0", .ns = "0", .label = "0"});
  configure({.ns = "0", .label = "0"});

  std::atomic<int> writing{2};
  std::atomic<int> torn{0}, seen{0};
  const auto write = [&](int who) {
    for (int i = 0; i < kChanges; ++i) {
      const std::string mark = std::to_string(2 * i + who);
      fresh.configure({.backend = "spy", .client = mark, .ns = mark, .label = mark});
      configure({.ns = mark, .label = mark});
    }
    --writing;
  };
  const auto construct = [&] {
    do {
      const Lock through{"lock", {}, fresh};
      if (through.ns() != through.label() || through.ns() != SpyLock::last_client) ++torn;
      const SpyLock own{"lock"};
      if (own.ns() != own.label()) ++torn;
      const Config whole = fresh.configuration();
      if (whole.ns != whole.label || *whole.ns != *whole.client.text()) ++torn;
      ++seen;
    } while (writing);
  };

  std::vector<std::thread> threads;
  for (int who = 0; who < 2; ++who) threads.emplace_back(write, who);
  for (int i = 0; i < 4; ++i) threads.emplace_back(construct);
  for (auto& thread : threads) thread.join();
  CHECK(torn == 0);
  CHECK(seen >= 4);
}

TEST_CASE("two threads that change different things lose neither", "[config][threads]") {
  SpyRegistry registry;
  const auto count = [&](auto change) {
    for (int i = 1; i <= 500; ++i) registry.configure(change(i));
  };
  std::thread a{count, [](int i) { return Config{.ns = std::to_string(i)}; }};
  std::thread b{count, [](int i) { return Config{.timeout = std::chrono::seconds{i}}; }};
  a.join();
  b.join();
  CHECK(registry.configuration().ns == "500");
  CHECK(registry.configuration().timeout == Duration{500s});
}
