// SPDX-License-Identifier: MIT
// The registry of the process after a fork, and after a fork of that.
#include <sherlock/config.hpp>
#include <sherlock/registry.hpp>

#include <atomic>
#include <thread>

#include "catch.hpp"
#include "local/together.hpp"
#include "support/subprocess.hpp"

using namespace sherlock;
using support::Child;
using support::Exit;

namespace {

// Asks it and changes it; how many backends it knows.
std::size_t use() {
  configure({.label = "x"});
  return registry().names().size();
}

}  // namespace

TEST_CASE("a forked child uses the registry and changes it, and so does its own child", "[registry][process]") {
  const std::size_t known = use();
  Child child{[&] {
    if (use() != known) return 1;
    Child grandchild{[&] { return use() == known ? 0 : 1; }};
    if (grandchild.wait() != Exit{0, 0}) return 2;
    return use() == known ? 0 : 3;
  }};
  CHECK(child.wait() == Exit{0, 0});
  CHECK(use() == known);
}

TEST_CASE("a child that is forked while another thread changes the registry finds it whole", "[registry][process]") {
  // LLVM 18 and 19 are the first whose sanitizers hold their allocator over a fork (pull requests 75290 and 96600).
  if (playground::kSanitized) return playground::skip("a sanitizer may leave its allocator locked in a child that was forked beside other threads");
  std::atomic<bool> stop{false};
  std::thread busy{[&] {
    while (!stop) configure({.label = "x"});
  }};
  for (int i = 0; i < 200; ++i) {
    Child child{[] {
      return use() > 0 ? 0 : 1;
    }};
    const Exit how = child.wait();
    if (how != Exit{0, 0}) {
      stop = true;
      busy.join();
      FAIL("the child of round " << i << " did not come to its end");
    }
  }
  stop = true;
  busy.join();
}
