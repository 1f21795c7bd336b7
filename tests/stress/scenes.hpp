// SPDX-License-Identifier: MIT
// The situations that a lock can be in when its process is hurt.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "detector.hpp"
#include "store.hpp"

namespace stress {

enum : int { victim_id, survivor_id, helper_id };

struct Scenery {
  Detector lock;
  std::atomic<std::int64_t> freed;    // when nothing but the victim's death stood in the way any more
  std::atomic<std::int64_t> granted;  // to the survivor
  std::atomic<bool> told;             // the late holder, that it had lost
};

// Of the scene that is played just now.
extern Scenery* scenery;

// What is around the victim: runs `before` it starts and is seen to the end after it.
struct Scene {
  const char* name;
  std::function<void(const Store& store, std::vector<pid_t>& helpers)> before;
  std::function<void(const Store& store, const std::function<void()>& arm)> victim;
  bool competes = false;  // the survivor waits beside the victim, not after it
  bool late_holder = false;
  bool only_files = false;
};

const std::vector<Scene>& scenes();

}  // namespace stress
