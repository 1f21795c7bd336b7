// SPDX-License-Identifier: MIT
// Any words on the command line of the program, and any text for a backend's client: they are understood, or refused by an exception of ours, and no store
// is touched by it.
//
// The input is the words, each of which ends with a byte that is 0 or below 3.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <sherlock/sherlock.hpp>

#include "args.hpp"
#include "fuzz.hpp"

namespace {

using namespace sherlock;

// Words that lead further in than noise does.
constexpr const char* kKnown[] = {"--backend", "file",   "shm",      "sqlite",        "-C",     "--client=/x?mode=0660", "--ns",        "--json", "--color=always", "-w",  "250ms", "1h30m",
                                  "--",        "-",      "--timeout", "--timeout=inf", "--help", "/x?remote=allow",       "x?table=y",   "1e9",    "0.0000001",      "-q",  "-bfile", "--no-such"};

std::vector<std::string> words_of(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> words{"sherlock"};
  std::string word;
  for (std::size_t i = 0; i < size; ++i) {
    if (data[i] >= 3) {
      word += static_cast<char>(data[i]);
      continue;
    }
    words.push_back(word.size() == 1 ? kKnown[static_cast<unsigned char>(word[0]) % std::size(kKnown)] : word);
    word.clear();
  }
  words.push_back(word);
  return words;
}

template <class Call>
void try_it(const char* what, Call call) {
  try {
    call();
  } catch (const cli::UsageError&) {
  } catch (const ConfigurationException&) {
  } catch (const std::exception& e) {
    std::fprintf(stderr, "BROKEN: %s: %s\n", what, e.what());
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> words = words_of(data, size);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  cli::Common common;
  try_it("the command line", [&] {
    cli::Args args{static_cast<int>(words.size()), argv.data()};
    const std::vector<option> own{{"timeout", required_argument, nullptr, 'w'}, {"label", required_argument, nullptr, 'l'}, {"expire", optional_argument, nullptr, 'x'}};
    const auto take = [](int letter, const char* value) {
      if (letter == 'w') (void)cli::parse_duration("--timeout", value);
      if (letter == 'l') (void)cli::parse_number("--label", value, 255);
    };
    args.read_leading(common);
    if (!args.empty()) (void)args.take("a command");
    if (!args.empty()) args.read_all(common, "w:l:", own, take);
    if (!args.empty()) (void)args.take("a word");
    args.finish();
  });
  for (const std::string& word : words) {
    try_it("a duration", [&] { (void)cli::parse_duration("--timeout", word).text(); });
    try_it("a number", [&] { (void)cli::parse_number("--exit-code", word, 255); });
    for (const std::string& name : registry().names())
      try_it("a client", [&] { registry().find(name).check(word); });
  }
  try_it("a backend", [&] { registry().find(common.backend).check(common.client); });
  return 0;
}
