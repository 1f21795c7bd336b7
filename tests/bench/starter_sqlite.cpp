// SPDX-License-Identifier: MIT
// starter_sqlite PATH
#include "peers_sqlite.hpp"
#include "starter.hpp"

int main(int, char** argv) {
  return bench::start([&] { return bench::Taken<bench::SqliteRows>{argv[1]}; });
}
