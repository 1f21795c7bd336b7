// SPDX-License-Identifier: MIT
#include "core/failure.hpp"

#include <cerrno>
#include <future>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

#include "catch.hpp"
#include "posix/file.hpp"
#include "support/says.hpp"

using namespace sherlock;
using detail::Failure;
using detail::guarded;
using support::says;

namespace {

template <class What>
BackendException seen_by_user(const What& what, std::string_view lock = "nightly") {
  try {
    guarded(lock, "file", [&]() -> int { throw what; });
  } catch (const BackendException& e) {
    return e;
  }
  throw std::logic_error{"no BackendException was thrown"};
}

}  // namespace

TEST_CASE("a call that works is passed through", "[failure]") {
  CHECK(guarded("x", "file", [] { return 42; }) == 42);
  int calls = 0;
  guarded("x", "file", [&] { ++calls; });
  CHECK(calls == 1);
}

TEST_CASE("each errno is sorted, keeps its number, and says the way out where there is one", "[failure]") {
  struct Row {
    int error;
    Errc code;
    const char* way_out;
  };
  const Row row = GENERATE(
      Row{EACCES, Errc::unsafe, "owner and mode"}, Row{EPERM, Errc::unsafe, "owner and mode"}, Row{ELOOP, Errc::unsafe, "remove it"},
      Row{ENOENT, Errc::cannot_create, "make the parent"}, Row{ENOTDIR, Errc::cannot_create, "make the parent"},
      Row{EROFS, Errc::cannot_create, "elsewhere"}, Row{EMFILE, Errc::system, "ulimit -n"}, Row{ENFILE, Errc::system, "fs.file-max"},
      Row{ENOSPC, Errc::system, "make room"}, Row{EDQUOT, Errc::system, "make room"}, Row{ENOMEM, Errc::system, "memory"},
      Row{EOPNOTSUPP, Errc::unavailable, "another one"}, Row{ENOLCK, Errc::unavailable, "locks"}, Row{EIO, Errc::system, ""});
  const auto e = seen_by_user(std::system_error{row.error, std::generic_category(), "cannot open /a/b"});
  CHECK(e.code() == row.code);
  CHECK(e.cause() == std::error_code{row.error, std::generic_category()});
  CHECK(e.lock() == "nightly");
  CHECK(e.backend() == "file");
  CHECK_THAT(e.what(), says("nightly") && says("file") && says("/a/b") && says(row.way_out));
}

TEST_CASE("an error of a library's own category is kept, and is not taken for an errno", "[failure]") {
  const auto e = seen_by_user(std::system_error{std::make_error_code(std::future_errc::no_state)});
  CHECK(e.code() == Errc::unavailable);
  CHECK(e.cause() == std::future_errc::no_state);
}

TEST_CASE("what is unsafe or unsupported says so", "[failure]") {
  CHECK(seen_by_user(posix::Unsafe{"/x is a symbolic link"}).code() == Errc::unsafe);
  CHECK(seen_by_user(posix::Unsupported{"/x is on NFS"}).code() == Errc::unavailable);
  CHECK_THAT(seen_by_user(posix::Unsupported{"/x is on NFS"}).what(), says("NFS"));
  const auto e = seen_by_user(Failure{Errc::damaged, "/x is of another format", std::make_error_code(std::errc::io_error)});
  CHECK(e.code() == Errc::damaged);
  CHECK(e.cause() == std::errc::io_error);
}

TEST_CASE("whatever is thrown, the user gets a BackendException", "[failure]") {
  CHECK(seen_by_user(std::bad_alloc{}).code() == Errc::system);
  CHECK(seen_by_user(std::bad_alloc{}).cause() == std::errc::not_enough_memory);
  CHECK_THAT(seen_by_user(std::logic_error{"no answer"}).what(), says("no answer"));
  CHECK(seen_by_user(42).code() == Errc::unavailable);
}

TEST_CASE("a failure that concerns no lock names none", "[failure]") {
  CHECK(seen_by_user(std::runtime_error{"no answer"}, "").lock().empty());
  CHECK(std::string{seen_by_user(std::runtime_error{"no answer"}, "").what()}.find("lock") == std::string::npos);
}

TEST_CASE("a LockException passes unchanged, of whatever type", "[failure]") {
  CHECK_THROWS_AS(guarded("x", "file", []() -> int { throw ConfigurationException{"no"}; }), ConfigurationException);
  CHECK_THROWS_WITH(guarded("x", "file", []() -> int { throw LockLostException{Errc::lost, "gone"}; }), "gone");
}
