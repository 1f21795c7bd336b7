// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace support {

// Whether `scene`, played with one name after the other, comes out well within ten. For what has little time on purpose, as the tenth of a second
// that the end of a lock object may take: a busy machine uses that up now and then, a mistake each time.
template <class Scene>
bool is_once(Scene scene) {
  for (int round = 0; round < 10; ++round)
    if (scene("x" + std::to_string(round))) return true;
  return false;
}

}  // namespace support
