// SPDX-License-Identifier: MIT
#include <sherlock/error.hpp>

#include <cerrno>
#include <set>
#include <string>
#include <system_error>
#include <type_traits>

#include "catch.hpp"

using namespace sherlock;

namespace {

constexpr Errc kAll[] = {Errc::timeout, Errc::not_held, Errc::lost,          Errc::cancelled, Errc::busy,         Errc::unavailable,
                         Errc::damaged, Errc::system,   Errc::cannot_create, Errc::unsafe,    Errc::configuration};

template <class E>
constexpr bool kIsOurs = std::is_base_of_v<LockException, E>&& std::is_base_of_v<std::system_error, E>&& std::is_final_v<E>&&
    std::is_nothrow_destructible_v<E>&& std::is_copy_constructible_v<E>;

}  // namespace

static_assert(kIsOurs<LockTimeoutException> && kIsOurs<LockNotHeldException> && kIsOurs<LockLostException> &&
              kIsOurs<LockCancelledException> && kIsOurs<BackendException> && kIsOurs<ConfigurationException>);

TEST_CASE("every code has a text of its own", "[error]") {
  std::set<std::string> texts;
  for (const Errc code : kAll) texts.insert(make_error_code(code).message());
  CHECK(texts.size() == std::size(kAll));
  CHECK_FALSE(texts.contains(lock_category().message(0)));
  CHECK_FALSE(lock_category().message(4711).empty());
  CHECK(std::string{lock_category().name()} == "sherlock");
}

TEST_CASE("a code is compared with Errc, and is never taken for success", "[error]") {
  const std::error_code code = Errc::timeout;
  CHECK(code == Errc::timeout);
  CHECK(code != Errc::lost);
  for (const Errc each : kAll) CHECK(make_error_code(each));
}

TEST_CASE("an exception says what it was told, no more and no less", "[error]") {
  const BackendException e{Errc::system, "cannot write /x", "nightly", "file", std::make_error_code(std::errc::no_space_on_device)};
  CHECK(std::string{e.what()} == "cannot write /x");
  CHECK(e.code() == Errc::system);
  CHECK(e.lock() == "nightly");
  CHECK(e.backend() == "file");
  CHECK(e.cause() == std::errc::no_space_on_device);

  const LockException copy{e};
  CHECK(std::string{copy.what()} == "cannot write /x");
  CHECK(copy.lock() == "nightly");

  const ConfigurationException c{"expire = -1s is negative"};
  CHECK(c.code() == Errc::configuration);
  CHECK(c.lock().empty());
  CHECK_FALSE(c.cause());
}

TEST_CASE("every exception is caught as LockException, std::system_error and std::exception", "[error]") {
  const auto thrown = [] { throw LockLostException{Errc::lost, "lost", "x", "file"}; };
  CHECK_THROWS_AS(thrown(), LockException);
  CHECK_THROWS_AS(thrown(), std::system_error);
  CHECK_THROWS_AS(thrown(), std::exception);
}
