// SPDX-License-Identifier: MIT
// Plays random inputs to a fuzz target, the same ones for the same seed, where there is no libFuzzer and in the tests.
//   TARGET --run NAME --seconds S [--backend NAME] [--seed N] [--json]    as one of the runs of the torture bench
//   TARGET [--inputs N] [--seed N] [FILE...]                              a file is one input, as libFuzzer leaves it behind
#include <sys/prctl.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "stress/stress.hpp"

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

// A number of its own for each input, so that one of them can be played again alone.
void play_number(unsigned long number) {
  std::mt19937_64 random{number};
  playing = number;
  play(random_input(random));
}

void see_crashes() {
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(number, on_crash);
}

// In a process that may die of it.
int as_a_run(int argc, char** argv) {
  const stress::Run run = stress::Run::parse(argc, argv);
  setenv("SHERLOCK_FUZZ_BACKEND", run.backend.c_str(), 1);
  const stress::Shared<std::atomic<unsigned long>> played;
  const std::int64_t end = stress::now_ns() + static_cast<std::int64_t>(run.seconds * 1e9);
  const bool well = stress::reap_soon(stress::spawn([&] {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    see_crashes();
    while (stress::now_ns() < end) play_number(run.seed + played->fetch_add(1));
    std::exit(0);  // with the end of what the target made
  }), std::chrono::seconds{static_cast<long>(run.seconds) + 60});
  stress::Report report;
  report.count("inputs", *played);
  report.broken("crashes, hangs and false answers", !well);
  report.broken("idle", *played == 0);
  return stress::conclude(run, report);
}

}  // namespace

int main(int argc, char** argv) {
  if (std::any_of(argv, argv + argc, [](const char* word) { return std::string_view{word} == "--run"; })) return as_a_run(argc, argv);
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
  see_crashes();
  for (unsigned long i = 0; i < inputs; ++i) play_number(seed + i);
  std::printf("%lu inputs from seed %lu: no crash, no hang, no false grant\n", inputs, seed);
  return 0;
}
