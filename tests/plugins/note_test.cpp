// SPDX-License-Identifier: MIT
// A file that was built for another library, or is none, is refused before any code of it has run.
#include <elf.h>

#include <cstring>

#include <sherlock/plugin.hpp>

#include "catch.hpp"
#include "place.hpp"
#include "support/says.hpp"

using plugins::Kind, plugins::Place;
using support::says;

namespace {

// A good plug-in that says it was built for another ABI.
std::string built_for(std::uint32_t abi) {
  std::string content = Place::content(Kind::good);
  const std::size_t owner = content.find(std::string{"\1\0\0\0sherlock\0", 13});
  REQUIRE(owner != std::string::npos);
  const std::size_t value = owner + 4 + 12;  // type, owner
  std::uint32_t says = 0;
  std::memcpy(&says, content.data() + value, sizeof says);
  REQUIRE(says == SHERLOCK_PLUGIN_ABI);
  std::memcpy(content.data() + value, &abi, sizeof abi);
  return content;
}

Elf64_Ehdr header_of(const std::string& content) {
  Elf64_Ehdr header;
  std::memcpy(&header, content.data(), sizeof header);
  return header;
}

}  // namespace

TEST_CASE("a plug-in that was built for another ABI is refused, newer or older", "[plugins][note]") {
  const Place place;
  for (const std::uint32_t abi : {0u, SHERLOCK_PLUGIN_ABI - 1u, SHERLOCK_PLUGIN_ABI + 1u, SHERLOCK_PLUGIN_ABI + 1000u, 2'000'001u, ~0u}) {
    place.put(built_for(abi));
    CHECK_THAT(Place::refusal(), says("refused: it was built for another sherlock (ABI " + std::to_string(abi) + ":") &&
                                     says("build it again"));
  }
  CHECK(place.marks().empty());
  place.put(built_for(SHERLOCK_PLUGIN_ABI));
  CHECK(Place::refusal().empty());
}

TEST_CASE("a library that says nothing of an ABI is refused", "[plugins][note]") {
  const Place place;
  place.put(Kind::plain);
  CHECK_THAT(Place::refusal(), says("no plug-in of sherlock") && says("SHERLOCK_PLUGIN"));
  CHECK(place.marks().empty());
}

TEST_CASE("a note that is not as it should be is refused", "[plugins][note]") {
  const Place place;
  const std::string good = Place::content(Kind::good);
  const std::size_t note = good.find(std::string{"\1\0\0\0sherlock\0", 13}) - 8;
  const auto with = [&](std::size_t offset, std::uint32_t value) {
    std::string content = good;
    std::memcpy(content.data() + note + offset, &value, sizeof value);
    return content;
  };
  for (const std::uint32_t size : {0u, 1u, 8u, 0x7fffffffu, 0xfffffff0u, ~0u}) {
    place.put(with(0, size));  // of the owner
    CHECK(!Place::refusal().empty());
    place.put(with(4, size));  // of the value
    CHECK(!Place::refusal().empty());
  }
  place.put(with(8, 2));  // the type
  CHECK(!Place::refusal().empty());
  CHECK(place.marks().empty());
}

TEST_CASE("a plug-in for another kind of machine is refused", "[plugins][note]") {
  const Place place;
  const std::string good = Place::content(Kind::good);
  const auto with = [&](std::size_t offset, char value) {
    std::string content = good;
    content[offset] = value;
    return content;
  };
  place.put(with(EI_CLASS, good[EI_CLASS] == ELFCLASS64 ? ELFCLASS32 : ELFCLASS64));
  CHECK_THAT(Place::refusal(), says("another kind of machine"));
  place.put(with(EI_DATA, good[EI_DATA] == ELFDATA2LSB ? ELFDATA2MSB : ELFDATA2LSB));
  CHECK_THAT(Place::refusal(), says("another kind of machine"));
  place.put(with(18, EM_SPARC));  // the dynamic linker sees this one
  CHECK_THAT(Place::refusal(), says("cannot be loaded"));
  place.put(with(16, ET_REL));
  CHECK_THAT(Place::refusal(), says("no shared library"));
  CHECK(place.marks().empty());
}

TEST_CASE("what is no library is refused", "[plugins][note]") {
  const Place place;
  for (const char* content : {"", "x", "\x7f" "ELF", "#!/bin/sh\ntouch /tmp/evil\n", "INPUT(libevil.so) INPUT(libevil.so) INPUT(libevil.so)"}) {
    place.put(std::string{content});
    CHECK_THAT(Place::refusal(), says("refused: it is"));
  }
}

TEST_CASE("a plug-in that is cut off anywhere is refused", "[plugins][note]") {
  const Place place;
  const std::string good = Place::content(Kind::good);
  if (good[EI_CLASS] != ELFCLASS64) return;
  // What comes after the last byte that is mapped, nobody needs who loads it.
  const Elf64_Ehdr header = header_of(good);
  std::uint64_t needed = 0;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, good.data() + header.e_phoff + i * sizeof segment, sizeof segment);
    needed = std::max(needed, segment.p_offset + segment.p_filesz);
  }
  REQUIRE(needed > 4096);
  for (std::uint64_t length = 1; length < needed; length += length < 1024 ? 37 : 1021) {
    place.put(good.substr(0, length));
    INFO("cut off after " << length);
    CHECK(!Place::refusal().empty());
  }
  place.put(good.substr(0, needed - 1));
  CHECK_THAT(Place::refusal(), says("it is cut off"));
  CHECK(place.marks().empty());
}

TEST_CASE("headers that lie are refused", "[plugins][note]") {
  const Place place;
  const std::string good = Place::content(Kind::good);
  if (good[EI_CLASS] != ELFCLASS64) return;
  const auto with = [&](auto change) {
    Elf64_Ehdr header = header_of(good);
    change(header);
    std::string content = good;
    std::memcpy(content.data(), &header, sizeof header);
    return content;
  };
  const std::vector<std::string> lies{
      with([](Elf64_Ehdr& h) { h.e_phoff = ~0ul; }),    with([](Elf64_Ehdr& h) { h.e_phoff = ~0ul - 100; }),
      with([](Elf64_Ehdr& h) { h.e_phnum = 0xffff; }),  with([](Elf64_Ehdr& h) { h.e_phnum = 0; }),
      with([](Elf64_Ehdr& h) { h.e_phentsize = 1; }),   with([&](Elf64_Ehdr& h) { h.e_phoff = good.size() - 8; }),
  };
  for (const std::string& lie : lies) {
    place.put(lie);
    CHECK(!Place::refusal().empty());
  }
  // Each segment by itself.
  const Elf64_Ehdr header = header_of(good);
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    for (const std::uint64_t value : {~0ul, ~0ul - 4096, std::uint64_t{1} << 40}) {
      std::string content = good;
      std::memcpy(content.data() + header.e_phoff + i * sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, p_filesz), &value, sizeof value);
      place.put(content);
      CHECK_THAT(Place::refusal(), says("it is cut off"));
    }
  }
  CHECK(place.marks().empty());
}
