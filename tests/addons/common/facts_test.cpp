// SPDX-License-Identifier: MIT
#include "addons/common/facts.hpp"

#include <unistd.h>

#include <random>

#include "addons/common/failure.hpp"
#include "catch.hpp"

using namespace sherlock::addons;
using namespace std::chrono_literals;

namespace {

Facts some(const std::string& text) {
  return {.holder = {.pid = 42, .uid = 1000, .host = text, .program = text, .label = text, .since = std::chrono::system_clock::time_point{1700000000s},
                     .expiry = std::chrono::system_clock::time_point{1700000060s}, .fence = 1700000000000000123u},
          .name = text, .ns = text};
}

}  // namespace

TEST_CASE("facts are read as they were written, whatever bytes are in them") {
  std::string all(256, '\0');
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<char>(i);
  for (const std::string& text : {std::string{"plain"}, std::string{"grün ✓ \"quoted\" \\"}, std::string{"\0\n\x1b", 3}, all}) {
    const Facts read = decode(encode(some(text)));
    CHECK(read.holder.pid == 42);
    CHECK(read.holder.uid == 1000);
    CHECK(read.holder.host == text);
    CHECK(read.holder.program == text);
    CHECK(read.holder.label == text);
    CHECK(read.holder.since == some(text).holder.since);
    CHECK(read.holder.expiry == some(text).holder.expiry);
    CHECK(read.holder.fence == 1700000000000000123u);
    CHECK(read.name == text);
    CHECK(read.ns == text);
  }
}

TEST_CASE("the facts of a claim are those of this process") {
  const sherlock::Claim claim{{"key", "name", "ns", "label"}, {}, sherlock::never};
  const Facts facts = facts_of(claim);
  CHECK(facts.holder.pid == ::getpid());
  CHECK(facts.holder.uid == ::getuid());
  CHECK(!facts.holder.host.empty());
  CHECK(!facts.holder.program.empty());
  CHECK(facts.holder.label == "label");
  CHECK(facts.name == "name");
  CHECK(facts.ns == "ns");
}

TEST_CASE("the longest name, namespace and label are facts that are read") {
  for (const char byte : {'\x01', '\xff', 'x'}) {
    Facts facts{.holder = {.label = std::string(256, byte)}, .name = std::string(1024, byte), .ns = std::string(1024, byte)};
    const std::string text = encode(facts);
    CHECK(text.size() <= kMostFacts);
    CHECK(decode(text).name == facts.name);
  }
}

TEST_CASE("what a stranger wrote is bounded, and never more than nothing") {
  const auto nothing = [](const Facts& facts) {
    const auto& h = facts.holder;
    return !h.pid && !h.uid && h.host.empty() && h.program.empty() && h.label.empty() && !h.since && !h.expiry && !h.fence && facts.name.empty() && facts.ns.empty();
  };
  for (const std::string& text :
       {std::string{}, std::string{"{"}, std::string{"[]"}, std::string{"null"}, std::string{"\"x\""}, std::string(100000, '['), std::string(kMostFacts + 1, ' ') + "{}",
        std::string{R"({"pid":"1","uid":1.5,"host":1,"program":[],"label":{},"since":"x","expiry":-1,"fence":12,"name":null,"ns":true})"},
        std::string{R"({"pid":18446744073709551615,"since":9223372036854775807,"expiry":1e400,"fence":"18446744073709551616"})"},
        std::string{R"({"fence":"-1","name_hex":"f","ns_hex":"zz","label_hex":7})"}, R"({"host":")" + std::string(257, 'x') + R"(","label":")" + std::string(257, 'x') + "\"}"})
    CHECK(nothing(decode(text)));
}

TEST_CASE("facts that were damaged anyhow are read without harm") {
  std::mt19937 random{4711};
  const std::string whole = encode(some("label"));
  for (int round = 0; round < 20000; ++round) {
    std::string text = whole.substr(0, random() % (whole.size() + 1));
    for (unsigned changes = random() % 4; changes > 0 && !text.empty(); --changes) text[random() % text.size()] = static_cast<char>(random());
    const Facts read = decode(text);
    CHECK((read.holder.label.size() <= 256 && read.name.size() <= 1024));
  }
}

TEST_CASE("what is shown commands no terminal, and is no longer than it may be") {
  CHECK(printable("grün") == "grün");
  CHECK(printable("a\x1b[2Jb\n\xc2\x9b\xff") == "a\\x1b[2Jb\\x0a\\xc2\\x9b\\xff");
  CHECK(printable(std::string(300, 'x')) == std::string(200, 'x') + "...");
}
