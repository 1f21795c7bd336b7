// SPDX-License-Identifier: MIT
// Many locks in one process, each on a name of its own.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "stress/store.hpp"

namespace bench {

// `from` to `to` are numbers of names. What was taken is kept until it is let go.
class Many {
 public:
  virtual ~Many() = default;
  virtual void take(int from, int to) = 0;
  virtual void let_go() = 0;
};

struct ManyKind {
  std::string name;
  bool descriptor_each;               // so that one process cannot hold all of them
  const stress::Store* store;         // ours; null for others
  std::function<std::unique_ptr<Many>()> make;
};

ManyKind many_of(const stress::Store& store);
ManyKind many_robust(const std::string& path);
ManyKind many_flock(const std::string& directory);
ManyKind many_rows(const std::string& path);

}  // namespace bench
