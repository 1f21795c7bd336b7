// SPDX-License-Identifier: MIT
// Plays random inputs to a fuzz target, the same ones for the same seed, where there is no libFuzzer and in the tests.
//   TARGET [--inputs N] [--seed N] [FILE...]    a file is one input, as libFuzzer leaves it behind
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "fuzz.hpp"

namespace {

using Input = std::vector<std::uint8_t>;

volatile unsigned long playing = 0;

// Says with which seed to see it again.
void on_crash(int number) {
  std::fprintf(stderr, "signal %d; again with --inputs 1 --seed %lu\n", number, static_cast<unsigned long>(playing));
  std::signal(number, SIG_DFL);
  std::raise(number);
}

void play(const Input& input) { LLVMFuzzerTestOneInput(input.data(), input.size()); }

// Small numbers, single bits and all ones lead further in than noise does.
Input random_input(std::mt19937_64& random) {
  Input input;
  const std::size_t strokes = random() % 4 == 0 ? random() % 400 : random() % 24;
  for (std::size_t i = 0; i < strokes; ++i) {
    std::uint64_t stroke = random();
    const std::uint64_t kind = random() % 4, noise = random() & 0xffffffff;
    const std::uint64_t value = kind == 0 ? noise % 64 : kind == 1 ? std::uint64_t{1} << noise % 32 : kind == 2 ? 0xffffffff : noise;
    stroke = (stroke & 0xffffffff) | value << 32;
    for (int byte = 0; byte < 8; ++byte) input.push_back(static_cast<std::uint8_t>(stroke >> 8 * byte));
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  unsigned long inputs = 1000, seed = 1;
  bool files = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if ((word == "--inputs" || word == "--seed") && i + 1 < argc) {
      (word == "--inputs" ? inputs : seed) = std::strtoul(argv[++i], nullptr, 10);
      continue;
    }
    std::ifstream in{word, std::ios::binary};
    if (!in) return std::fprintf(stderr, "cannot read %s\n", argv[i]), 64;
    play(Input{std::istreambuf_iterator<char>{in}, {}});
    files = true;
  }
  if (files) return 0;
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(number, on_crash);
  // A number of its own for each input, so that one of them can be played again alone.
  for (unsigned long i = 0; i < inputs; ++i) {
    std::mt19937_64 random{seed + i};
    playing = seed + i;
    play(random_input(random));
  }
  std::printf("%lu inputs from seed %lu: no crash, no hang, no false grant\n", inputs, seed);
  return 0;
}
