// SPDX-License-Identifier: MIT
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "conformance/groups.hpp"

namespace sherlock::conformance {
namespace {

struct Name {
  std::string ns, name;
};

std::string shown(const Name& name) {
  std::string text;
  for (const char c : name.name.substr(0, 20)) text += c > ' ' && c < 0x7f ? c : '?';
  return "'" + text + "'" + (name.name.size() > 20 ? " (" + std::to_string(name.name.size()) + " bytes)" : "");
}

// All of them can be held at a time; each of them can be held once.
void are_different(Stage& stage, const std::vector<Name>& names) {
  const auto somebody = stage.somebody();
  std::vector<std::unique_ptr<BaseLock>> locks;
  for (const Name& name : names) {
    locks.push_back(stage.lock(name.name, {.ns = name.ns}));
    require(locks.back()->try_acquire(), "the lock " + shown(name) + " was refused while only locks of other names are held");
  }
  for (const Name& name : names) {
    Other there = stage.other(somebody, name.name, {.ns = name.ns});
    require(there.locked() && !there.try_acquire(), "the lock " + shown(name) + " was granted to two");
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    locks[i]->release();
    Other there = stage.other(somebody, names[i].name, {.ns = names[i].ns});
    require(there.try_acquire(), "the lock " + shown(names[i]) + " was released and refused");
  }
  for (const auto& lock : locks) require(!lock->try_acquire(), "a lock was granted that somebody else holds");
}

}  // namespace

void case_matters(Stage& stage) {
  are_different(stage, {{stage.ns(), "Lock"}, {stage.ns(), "lock"}, {stage.ns(), "LOCK"}, {stage.ns() + "-NS", "lock"}, {stage.ns() + "-ns", "lock"}});
}

void any_bytes(Stage& stage) {
  using namespace std::string_literals;
  std::string every;
  for (int byte = 0; byte < 256; ++byte) every += static_cast<char>(byte);
  const std::string longest(1023, 'x');
  std::vector<Name> names;
  for (const std::string& name : {"../x"s, "x"s, ".."s, "."s, "/"s, "/x"s, "x/"s, "x "s, " x"s, "x\n"s, "x\0"s, "x\0y"s, "\0"s, "*"s, "%s"s, "-x"s, "'; --"s, "\xff"s,
                                  "\xc3\xa4"s, "a\xcc\x88"s, every, longest + 'a', longest + 'b', longest})
    names.push_back({stage.ns(), name});
  std::string ns = stage.ns();
  ns.resize(1023, '\0');
  names.push_back({ns + 'a', "x"});
  names.push_back({ns + 'b', "x"});
  are_different(stage, names);
}

void ns_and_name_do_not_meet(Stage& stage) {
  const std::string& a = stage.ns();
  std::vector<Name> names;
  for (const char joint : {'_', '-', '/', ':', '.', ',', ' ', '\0'}) {
    names.push_back({a, std::string{"b"} + joint + "c"});
    names.push_back({a + joint + "b", "c"});
    names.push_back({"", a + joint + "b" + joint + "c"});
  }
  names.push_back({a, "bc"});
  names.push_back({a + "b", "c"});
  names.push_back({"", a + "bc"});
  are_different(stage, names);
}

void suffix_matters(Stage& stage) {
  std::vector<Name> names;
  for (const char* name : {"job.1", "job.2", "job", "job.", "job.1.lock", "job.lock", "job.tmp"}) names.push_back({stage.ns(), name});
  are_different(stage, names);
}

void refused_names(Stage& stage) {
  const auto refused = [&](const std::string& what, const std::string& name, const Options& options) {
    require_throw<ConfigurationException>(what, "ConfigurationException", [&] { stage.lock(name, options); });
  };
  refused("an empty name", "", {});
  refused("a name of 1025 bytes", std::string(1025, 'x'), {});
  refused("a namespace of 1025 bytes", "x", {.ns = std::string(1025, 'x')});
  refused("a label of 257 bytes", "x", {.label = std::string(257, 'x')});
  stage.lock(std::string(1024, 'x'), {.ns = std::string(1024, 'x'), .label = std::string(256, 'x')});
}

}  // namespace sherlock::conformance
