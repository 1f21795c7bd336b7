// SPDX-License-Identifier: MIT
#include "posix/process.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "support/subprocess.hpp"

using namespace sherlock::posix;

namespace {

std::string hex(const BootId& id) {
  std::string text;
  for (const unsigned byte : id) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

// What a child says its token is; the child is made by `fork_like`, which returns as fork does.
template <class ForkLike>
std::uint64_t token_of_child(ForkLike fork_like) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = static_cast<pid_t>(fork_like());
  if (child == 0) {
    const std::uint64_t token = process_token();
    ::_exit(::write(ends[1], &token, sizeof token) == sizeof token ? 0 : 1);
  }
  REQUIRE(child > 0);
  int status = -1;
  CHECK(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  std::uint64_t token = 0;
  CHECK(::read(ends[0], &token, sizeof token) == sizeof token);
  ::close(ends[0]);
  ::close(ends[1]);
  return token;
}

}  // namespace

TEST_CASE("a process has one token, in all its threads", "[posix]") {
  const std::uint64_t mine = process_token();
  CHECK(mine != 0);
  std::vector<std::uint64_t> theirs(8);
  std::vector<std::thread> threads;
  for (auto& token : theirs) threads.emplace_back([&token] { token = process_token(); });
  for (auto& thread : threads) thread.join();
  CHECK(theirs == std::vector<std::uint64_t>(8, mine));
}

TEST_CASE("a forked child has a token of its own", "[posix][process]") {
  const std::uint64_t mine = process_token();
  std::set<std::uint64_t> all{mine};
  for (int i = 0; i < 8; ++i) {
    const std::uint64_t childs = token_of_child([] { return ::fork(); });
    CHECK(childs != 0);
    CHECK(all.insert(childs).second);
  }
  CHECK(process_token() == mine);
}

TEST_CASE("a grandchild has another token than its parent", "[posix][process]") {
  support::Child child{[] {
    const std::uint64_t before = process_token();
    support::Child grandchild{[before] { return process_token() == before ? 1 : 0; }};
    return grandchild.wait().code;
  }};
  CHECK(child.wait() == support::Exit{0, 0});
}

// A handler of pthread_atfork does not hear of these.
TEST_CASE("the child of a raw clone has a token of its own", "[posix][process]") {
  const std::uint64_t mine = process_token();
  const std::uint64_t childs = token_of_child([] { return ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr); });
  CHECK(childs != 0);
  CHECK(childs != mine);
  CHECK(process_token() == mine);
}

TEST_CASE("the boot id is the kernel's", "[posix]") {
  std::string text;
  REQUIRE(std::getline(std::ifstream{"/proc/sys/kernel/random/boot_id"}, text));
  std::erase(text, '-');
  CHECK(hex(boot_id()) == text);
}

TEST_CASE("a namespace has a number, one that does not exist has 0", "[posix]") {
  CHECK(namespace_id("pid") != 0);
  CHECK(namespace_id("pid") == namespace_id("pid"));
  CHECK(namespace_id("no_such_kind") == 0);
}

TEST_CASE("the program's name has no directories in it", "[posix]") {
  CHECK_FALSE(program_name().empty());
  CHECK(program_name().find('/') == std::string::npos);
}

TEST_CASE("the host has a name", "[posix]") {
  char name[256] = {};
  REQUIRE(::gethostname(name, sizeof name - 1) == 0);
  CHECK(host_name() == name);
}
