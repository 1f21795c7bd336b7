// SPDX-License-Identifier: MIT
// Options: which are refused, and where those come from that are not given.
#include "core/defaults.hpp"

#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "posix/process.hpp"
#include "support/fake_clock.hpp"
#include "support/says.hpp"
#include "test_lock.hpp"

using namespace std::chrono_literals;
using namespace sherlock;
using support::says;
using Threads = TestLock::Threads;

namespace {

using Seconds = std::chrono::duration<double>;
constexpr Seconds kNoNumber{std::numeric_limits<double>::quiet_NaN()}, kEndless{std::numeric_limits<double>::infinity()};

// What is configured for as long as it lives.
class Configured {
 public:
  explicit Configured(Options options) : before_{detail::configured_options()} {
    detail::set_configured_options(std::make_shared<const Options>(std::move(options)));
  }
  ~Configured() { detail::set_configured_options(before_); }

 private:
  const std::shared_ptr<const Options> before_;
};

std::string refusal(const Options& options, const std::string& name = "nightly") {
  TestStore store;
  try {
    const TestLock lock{store, options, Threads::one_at_a_time, name};
  } catch (const ConfigurationException& e) {
    CHECK(e.code() == Errc::configuration);
    CHECK(e.lock() == name);
    CHECK(e.backend() == "test");
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a duration that makes no sense is refused by option and value", "[options]") {
  struct Row {
    Duration given;
    const char* value;
    bool as_expire, as_timeout, as_retry_interval;  // taken
  };
  const std::vector<Row> rows{
      {kNoNumber, "nan", false, false, false},
      {-1s, "-1s", false, false, false},
      {-kEndless, "-", false, false, false},
      {std::chrono::nanoseconds{-1}, "-1ns", false, false, false},
      {0s, "0", false, true, false},
      {1ns, "", true, true, true},
      {10s, "", true, true, true},
      {Seconds{1e10}, "", true, true, true},
      {kEndless, "", true, true, true},
      {never, "", true, true, true},
      {std::chrono::hours::max(), "", true, true, true},
  };
  for (const Row& row : rows) {
    CAPTURE(row.given.text());
    const auto check = [&](const char* option, const Options& options, bool taken) {
      const std::string text = refusal(options);
      CAPTURE(option);
      CHECK(text.empty() == taken);
      if (!taken) CHECK_THAT(text, says(option) && says(row.value) && says("nightly"));
    };
    check("expire", {.expire = row.given}, row.as_expire);
    check("timeout", {.timeout = row.given}, row.as_timeout);
    check("retry_interval", {.retry_interval = row.given}, row.as_retry_interval);
  }
}

TEST_CASE("a text that is too long is refused by option and length", "[options]") {
  CHECK(refusal({.label = std::string(256, 'x')}) == "");
  CHECK_THAT(refusal({.label = std::string(257, 'x')}), says("label") && says("257") && says("256"));
  CHECK(refusal({.ns = std::string(1024, 'x')}) == "");
  CHECK_THAT(refusal({.ns = std::string(1025, 'x')}), says("ns") && says("1025") && says("1024"));
  CHECK(refusal({.ns = "", .label = ""}) == "");
  CHECK(refusal({}, std::string(1024, 'x')) == "");
  CHECK_THAT(refusal({}, std::string(1025, 'x')), says("name") && says("1025") && says("1024"));
  CHECK(refusal({}, "x") == "");
  CHECK_THAT(refusal({}, ""), says("name") && says("empty"));
}

TEST_CASE("a name, a namespace and a label are any bytes", "[options]") {
  const std::string any{"\0\n/../\xff", 7};
  TestStore store;
  TestLock lock{store, {.ns = any, .label = any}, Threads::one_at_a_time, any};
  CHECK(lock.name() == any);
  CHECK(lock.ns() == any);
  CHECK(lock.label() == any);
  store.on_acquire = [&](const Claim& claim) {
    CHECK(claim.name == any);
    CHECK(claim.ns == any);
    CHECK(claim.label == any);
  };
  CHECK(lock.try_acquire());
}

TEST_CASE("what is refused asked the store nothing", "[options]") {
  TestStore store;
  CHECK_THROWS_AS((TestLock{store, {.timeout = -1s}}), ConfigurationException);
  CHECK(store.acquires == 0);
  CHECK(store.looks == 0);
  CHECK(store.releases == 0);
}

TEST_CASE("a duration without end is used as such", "[options]") {
  TestStore store;
  const TestLock lock{store, {.expire = kEndless, .timeout = Seconds{1e10}, .retry_interval = std::chrono::hours::max()}};
  CHECK(lock.expire() == never);
  CHECK(lock.timeout() == forever);
  CHECK(lock.retry_interval() == Duration::infinite());
}

TEST_CASE("options that differ by less than a nanosecond from nothing are nothing", "[options]") {
  CHECK_THAT(refusal({.expire = Seconds{1e-12}}), says("expire"));
  CHECK_THAT(refusal({.retry_interval = Seconds{1e-12}}), says("retry_interval"));
}

TEST_CASE("where nobody says anything, the library's defaults and the backend's expiry hold", "[options]") {
  TestStore store;
  const TestLock local{store};
  CHECK(local.timeout() == Duration{10s});
  CHECK(local.retry_interval() == Duration{100ms});
  CHECK(local.expire() == never);
  CHECK(local.ns().empty());
  CHECK(local.label() == posix::program_name());

  const TestLock remote{store, {}, Threads::one_at_a_time, "x", Traits{}};
  CHECK(remote.expire() == Duration{60s});
}

TEST_CASE("what is configured holds where the lock does not say otherwise", "[options]") {
  TestStore store;
  int configured_told = 0, own_told = 0;
  const Configured configured{
      {.ns = "shop", .expire = 30s, .timeout = 5s, .retry_interval = 1s, .label = "configured", .on_lost = [&](const LockException&) {
         ++configured_told;
       }}};
  support::FakeClock clock;

  TestLock silent{store};
  CHECK(silent.ns() == "shop");
  CHECK(silent.expire() == Duration{30s});
  CHECK(silent.timeout() == Duration{5s});
  CHECK(silent.retry_interval() == Duration{1s});
  CHECK(silent.label() == "configured");
  silent.acquire();
  clock.advance(31s);
  CHECK_FALSE(silent.renew());
  CHECK(configured_told == 1);

  TestLock outspoken{
      store,
      {.ns = "", .expire = never, .timeout = 0s, .retry_interval = 2s, .label = "", .on_lost = [&](const LockException&) { ++own_told; }}};
  CHECK(outspoken.ns().empty());
  CHECK(outspoken.expire() == never);
  CHECK(outspoken.timeout() == Duration{0s});
  CHECK(outspoken.retry_interval() == Duration{2s});
  CHECK(outspoken.label().empty());
  outspoken.acquire();
  store.free();
  CHECK_FALSE(outspoken.renew());
  CHECK(own_told == 1);
  CHECK(configured_told == 1);
}

TEST_CASE("what is configured later does not change a lock that exists", "[options]") {
  TestStore store;
  const TestLock lock{store};
  const Configured configured{{.ns = "shop", .timeout = 5s}};
  CHECK(lock.ns().empty());
  CHECK(lock.timeout() == Duration{10s});
}

TEST_CASE("an empty namespace switches the configured one off, and so is another lock", "[options]") {
  TestStore store;
  const std::string without = TestLock{store}.key();
  const Configured configured{{.ns = "shop"}};
  CHECK(TestLock{store}.key() != without);
  CHECK(TestLock{store, {.ns = ""}}.key() == without);
}

TEST_CASE("never is refused where the backend cannot see a holder die, however it was asked for", "[options]") {
  TestStore store;
  const auto make = [&](Options options) { TestLock{store, std::move(options), Threads::one_at_a_time, "x", Traits{}}; };
  CHECK_THROWS_WITH(make({.expire = never}), says("never") && says("expire"));
  CHECK_THROWS_AS(make({.expire = Seconds{1e10}}), ConfigurationException);
  const Configured configured{{.expire = never}};
  CHECK_THROWS_AS(make({}), ConfigurationException);
  CHECK_NOTHROW(make({.expire = 60s}));
}
