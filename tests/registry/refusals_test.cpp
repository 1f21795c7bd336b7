// SPDX-License-Identifier: MIT
// What a compiler says to somebody who got it wrong, and that it says nothing to somebody who got it right.
#include <sherlock/registry.hpp>

#include <sstream>

#include "catch.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"

using Catch::Matchers::Contains;

namespace {

// SHERLOCK_TEST_COMPILER is the compiler that built this test, and what it needs to find the headers, separated by |.
support::Finished compile(const std::string& body) {
  const support::TempDir directory;
  const std::string file = directory.write("user.cpp", R"(
    #include <mutex>
    #include <sherlock/file_lock.hpp>
    #include <sherlock/lock.hpp>
    using namespace std::chrono_literals;
    struct Hooks : sherlock::BaseLock {
      using BaseLock::BaseLock;
      std::optional<sherlock::Grant> do_acquire(const sherlock::Claim&) override { return {}; }
      bool do_release(const sherlock::Claim&) override { return true; }
      bool do_renew(const sherlock::Claim&) override { return true; }
      bool do_locked(const sherlock::Claim&) const override { return false; }
      std::optional<sherlock::Holder> do_holder(const sherlock::Claim&) const override { return {}; }
    };
  )" + body);
  std::vector<std::string> command;
  std::istringstream words{SHERLOCK_TEST_COMPILER};
  for (std::string word; std::getline(words, word, '|');) command.push_back(word);
  for (const char* word : {"-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"}) command.push_back(word);
  command.push_back(file);
  support::Program compiler{command, {"LC_ALL=C"}};
  const support::Exit exit = compiler.wait(std::chrono::seconds{support::kLifetime + 5});  // a busy machine takes its time over it
  return {exit.code, exit.signal, compiler.out(), compiler.err()};
}

}  // namespace

TEST_CASE("the header compiles for a user without a warning, some options given or none", "[refusals]") {
  const auto result = compile(R"(
    void use() {
      sherlock::configure({.timeout = 5s});
      sherlock::configure({.backend = "file", .client = "/tmp/here", .expire = 0.5s});
      sherlock::Lock lock{"name", {.label = "why"}};
      sherlock::FileLock file{"name", {.expire = 1min}, "/tmp/here"};
      std::scoped_lock both{lock, file};
    })");
  CHECK(result.err == "");
  CHECK(result.code == 0);
}

TEST_CASE("a type that is no BaseLock is refused with a sentence", "[refusals]") {
  const auto result = compile("struct Mutex { using Client = int; }; auto made = sherlock::backend<Mutex>({.name = \"mutex\"});");
  CHECK(result.code != 0);
  CHECK_THAT(result.err, Contains("sherlock::backend<L>: L must derive from sherlock::BaseLock"));
}

TEST_CASE("a lock class without a Client is refused with a sentence", "[refusals]") {
  const auto result = compile("auto made = sherlock::backend<Hooks>({.name = \"hooks\"});");
  CHECK(result.code != 0);
  CHECK_THAT(result.err, Contains("sherlock::backend<L>: L must name its client type: using Client = ..."));
}

TEST_CASE("a lock class whose client cannot be copied is refused with a sentence", "[refusals]") {
  const auto result = compile(R"(
    struct L : Hooks {
      using Client = std::unique_ptr<int>;
      L(std::string name, sherlock::Options options, Client) : Hooks{name, options} {}
    };
    auto made = sherlock::backend<L>({.name = "l"});)");
  CHECK(result.code != 0);
  CHECK_THAT(result.err, Contains("sherlock::backend<L>: L::Client must be copyable"));
}

TEST_CASE("a lock class without the constructor is refused with a sentence", "[refusals]") {
  const auto result = compile(R"(
    struct L : Hooks { using Client = int; explicit L(std::string name) : Hooks{name, {}} {} };
    auto made = sherlock::backend<L>({.name = "l"});)");
  CHECK(result.code != 0);
  CHECK_THAT(result.err, Contains("L must be constructible from (std::string name, sherlock::Options options, Client client)"));
}

TEST_CASE("an option that does not exist, or a hook that is missing, does not compile", "[refusals]") {
  const auto misspelt = compile("sherlock::Lock lock{\"name\", {.timout = 3s}};");
  CHECK(misspelt.code != 0);
  CHECK_THAT(misspelt.err, Contains("timout"));

  CHECK(compile("struct L : sherlock::BaseLock { using BaseLock::BaseLock; }; L lock{\"name\", {}};").code != 0);
  CHECK(compile("void f(sherlock::Lock& lock) { sherlock::Lock copy{lock}; }").code != 0);
  CHECK(compile("void f(sherlock::Lock& lock) { lock.try_acquire(); }").code != 0);  // [[nodiscard]]: did we get it or not?
}
