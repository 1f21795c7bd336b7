// SPDX-License-Identifier: MIT
#include "torture.hpp"

namespace stress {

int kill_run(const Run& run) {
  const Store store{run.backend};
  const Shared<Torture> t;
  measure(*t, store);
  supervise(*t, store, {.number = 0, .crews = 1, .workers = 8}, run.seed, run.seconds);
  const int debris = store.debris(kTorturedNames);
  t->print(debris);
  return t->broken(debris) != 0;
}

}  // namespace stress
