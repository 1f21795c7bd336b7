// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

// Asks body(i) for every i below count, a few at a time: most of what the suite does is waiting. The answers in order.
template <class Body>
auto all_at_once(std::size_t count, Body body) {
  std::vector<decltype(body(std::size_t{}))> answers(count);
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> workers;
  for (int i = 0; i < 4; ++i)
    workers.emplace_back([&] {
      for (std::size_t mine; (mine = next++) < count;) answers[mine] = body(mine);
    });
  workers.clear();
  return answers;
}
