// SPDX-License-Identifier: MIT
// starter_system flock|robust PATH: what the system has, without another library
#include <string_view>

#include "peers.hpp"
#include "starter.hpp"

int main(int, char** argv) {
  using namespace bench;
  if (std::string_view{argv[1]} == "flock") return start([&] { return Taken<Flock>{argv[2]}; });
  return start([&] { return Taken<RobustMutex>{argv[2]}; });
}
