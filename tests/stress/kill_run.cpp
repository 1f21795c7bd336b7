// SPDX-License-Identifier: MIT
#include "torture.hpp"

namespace stress {

void kill_run(const Run& run, Report& report) {
  const Store store{run.backend};
  const Shared<Torture> t;
  measure(*t, store);
  supervise(*t, store, {.number = 0, .crews = 1, .workers = 8}, run.seed, run.seconds);
  t->tell(report, store.debris(kTorturedNames));
}

}  // namespace stress
