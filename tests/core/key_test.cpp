// SPDX-License-Identifier: MIT
#include "core/key.hpp"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "catch.hpp"

using sherlock::detail::make_key;

namespace {

// "%41b" is "Ab"; "-" alone is nothing.
std::string decoded(const std::string& text) {
  if (text == "-") return {};
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      bytes += text[i];
      continue;
    }
    bytes += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
    i += 2;
  }
  return bytes;
}

bool well_formed(const std::string& key) {
  return key.size() <= 80 && key.front() != '-' && std::all_of(key.begin(), key.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
         });
}

// Every string of at most `length` of these bytes.
std::vector<std::string> all_strings(const std::string& bytes, std::size_t length) {
  std::vector<std::string> all{""};
  for (std::size_t i = 0, end = 1; length-- > 0; end = all.size())
    for (; i < end; ++i)
      for (const char byte : bytes) all.push_back(all[i] + byte);
  return all;
}

}  // namespace

// keys_test.py holds the same file against Python's uuid module.
TEST_CASE("keys are what they always were", "[key]") {
  std::ifstream file{SHERLOCK_TEST_KEYS};
  int count = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::string ns, name, key;
    std::istringstream{line} >> ns >> name >> key;
    CAPTURE(line);
    CHECK(make_key(decoded(ns), decoded(name)) == key);
    ++count;
  }
  CHECK(count >= 15);
}

TEST_CASE("different pairs of namespace and name have different keys", "[key]") {
  const auto strings = all_strings(std::string{"aA_1:\0", 6}, 3);
  std::set<std::string> keys;
  std::size_t pairs = 0;
  for (const auto& ns : strings)
    for (const auto& name : strings) {
      if (name.empty()) continue;
      ++pairs;
      keys.insert(make_key(ns, name));
    }
  CHECK(pairs > 50'000);
  CHECK(keys.size() == pairs);
}

TEST_CASE("names that are easily mixed up are different locks", "[key]") {
  CHECK(make_key("a", "b_c") != make_key("a_b", "c"));
  CHECK(make_key("a", "bc") != make_key("ab", "c"));
  CHECK(make_key("", "1:ab") != make_key("1", "ab"));
  CHECK(make_key("", "Job") != make_key("", "job"));
  CHECK(make_key("", "job.1") != make_key("", "job.2"));
  CHECK(make_key("", "job.1") != make_key("", "job_1"));
  CHECK(make_key("", "x") != make_key("", "x "));
  CHECK(make_key("", std::string{"x\0y", 3}) != make_key("", "x"));
  CHECK(make_key("", std::string(1023, 'x')) != make_key("", std::string(1024, 'x')));
}

TEST_CASE("whatever the name, the key is fit for a file name and no path", "[key]") {
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  for (const std::string& name : {std::string{"../x"}, std::string{"/etc/passwd"}, std::string{"."}, std::string{".."}, std::string{"-rf"},
                                  std::string{"--"}, std::string{"\0", 1}, std::string(1024, '\xff'), std::string(1024, '-'), every_byte}) {
    CAPTURE(name);
    CHECK(well_formed(make_key("", name)));
    CHECK(well_formed(make_key(name, name)));
  }
  for (const char byte : every_byte) CHECK(well_formed(make_key("", std::string(1, byte))));
}

TEST_CASE("a key begins with what people can read of the name", "[key]") {
  CHECK(make_key("ns", "Nightly-Report_7").starts_with("nightly-report_7-"));
  CHECK(make_key("", std::string(100, 'y')).starts_with(std::string(40, 'y') + '-'));
  CHECK(make_key("", std::string(100, 'y')).size() == 40 + 1 + 32);
}
