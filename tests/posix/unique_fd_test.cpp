// SPDX-License-Identifier: MIT
#include "posix/unique_fd.hpp"

#include <type_traits>
#include <utility>

#include "catch.hpp"
#include "support/counters.hpp"
#include "support/fault_script.hpp"

using sherlock::posix::UniqueFd;
using support::open_descriptors;

namespace {

int some_fd() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

}  // namespace

static_assert(!std::is_copy_constructible_v<UniqueFd> && !std::is_copy_assignable_v<UniqueFd>);
static_assert(std::is_nothrow_move_constructible_v<UniqueFd> && std::is_nothrow_move_assignable_v<UniqueFd>);

TEST_CASE("a descriptor is closed with its owner", "[posix]") {
  const auto before = open_descriptors();
  {
    const UniqueFd fd{some_fd()};
    CHECK(fd);
    CHECK(open_descriptors() == before + 1);
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("no descriptor is false and closes nothing", "[posix]") {
  support::FaultScript faults;
  faults.count<&support::Syscalls::close>();
  {
    const UniqueFd none;
    CHECK_FALSE(none);
    CHECK(none.get() == -1);
  }
  CHECK(faults.calls<&support::Syscalls::close>() == 0);
}

TEST_CASE("descriptor 0 is a descriptor", "[posix]") {
  support::FaultScript faults;
  faults.replace<&support::Syscalls::close>([](int) { return 0; });  // the test's own stdin stays open
  CHECK(UniqueFd{0});
  CHECK(faults.calls<&support::Syscalls::close>() == 1);
}

TEST_CASE("a moved descriptor has one owner, who closes it once", "[posix]") {
  support::FaultScript faults;
  faults.count<&support::Syscalls::close>();
  const int number = some_fd();
  {
    UniqueFd first{number};
    UniqueFd second{std::move(first)};
    CHECK(first.get() == -1);
    CHECK(second.get() == number);
    UniqueFd third;
    third = std::move(second);
    CHECK(third.get() == number);
    CHECK(support::is_open(number));
  }
  CHECK_FALSE(support::is_open(number));
  CHECK(faults.calls<&support::Syscalls::close>() == 1);
}

TEST_CASE("an owner that gets another descriptor closes the one it had", "[posix]") {
  const int old_number = some_fd(), new_number = some_fd();
  UniqueFd fd{old_number};
  fd = UniqueFd{new_number};
  CHECK_FALSE(support::is_open(old_number));
  CHECK(fd.get() == new_number);

  auto& itself = fd;
  fd = std::move(itself);
  CHECK(support::is_open(new_number));
}

TEST_CASE("a released descriptor is left open, for somebody else", "[posix]") {
  UniqueFd fd{some_fd()};
  const UniqueFd theirs{fd.release()};
  CHECK_FALSE(fd);
  CHECK(support::is_open(theirs.get()));
}
