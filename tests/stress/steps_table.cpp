// SPDX-License-Identifier: MIT
// A process is held up when it is about to settle in a place that is another key's by the time it goes on. Whoever holds that other key by then keeps it, can
// renew it and release it, and the next one has it.
#include <sherlock/shm_lock.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>

#include "core/key.hpp"
#include "local/steps.hpp"
#include "local/table.hpp"
#include "support/subprocess.hpp"

using sherlock::ShmLock;

namespace {

const support::Pipe* stopped = nullptr;
const support::Pipe* go_on = nullptr;

void stop_before_settling(const char* done) {
  if (std::strcmp(done, "table: the only one") != 0) return;
  sherlock::local::step_hook = nullptr;
  stopped->tell();
  go_on->hear();
}

// Of names whose search begins at the same place, and whose fingerprints do not tell them apart.
std::string double_of(const std::string& name) {
  const auto hash = [](const std::string& of) { return sherlock::local::KeyHash::of(sherlock::detail::make_key("", of)); };
  const auto wanted = hash(name);
  for (int i = 0;; ++i) {
    const std::string candidate = "double " + std::to_string(i);
    const auto found = hash(candidate);
    if (found.half[0] % sherlock::local::kFirstEntries == wanted.half[0] % sherlock::local::kFirstEntries &&
        (found.half[1] >> 32) % 255 == (wanted.half[1] >> 32) % 255)
      return candidate;
  }
}

int failed(const char* what) {
  std::printf("BROKEN: %s\n", what);
  return 1;
}

int play(const std::string& segment) {
  const support::Pipe at_the_point, further, went_on;
  stopped = &at_the_point;
  go_on = &further;
  support::Child held_up{[&] {
    sherlock::local::step_hook = stop_before_settling;
    ShmLock lock{"one", {}, segment};
    (void)lock.try_acquire();
    went_on.tell();
    support::Child::sleep();
    return 0;
  }};
  if (!at_the_point.hear()) return failed("nobody came to the point");
  {
    ShmLock one{"one", {}, segment};  // ends the other's offer, and settles elsewhere
    one.acquire();
  }
  const std::string name = double_of("one");
  ShmLock lock{name, {.expire = std::chrono::hours{1}}, segment};
  lock.acquire();
  const std::uint64_t fence = lock.fence();
  {
    ShmLock later{"later", {}, segment};
    later.acquire();
  }
  if (ShmLock::clean(segment) != 2) return failed("not all was forgotten that was to raise the floor of fences");
  further.tell();
  if (!went_on.hear()) return failed("who was held up did not go on");
  if (lock.holder()->fence != fence) return failed("the fence of a holder was changed by somebody else");
  if (!lock.renew()) return failed("a living hold was told as lost");
  try {
    lock.release();
  } catch (const sherlock::LockException& lost) {
    return failed(lost.what());
  }
  if (!ShmLock{name, {}, segment}.try_acquire()) return failed("what was released is held");
  std::printf("kept: whoever settles late changes nothing of another key's\n");
  return 0;
}

}  // namespace

int main() {
  const std::string segment = "sherlock-steps-table-" + std::to_string(::getpid());
  int result = 1;
  try {
    result = play(segment);
  } catch (const std::exception& e) {
    std::printf("BROKEN: %s\n", e.what());
  }
  ::unlink(("/dev/shm/" + segment).c_str());
  return result;
}
