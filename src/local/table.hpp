// SPDX-License-Identifier: MIT
// Finding the entry of a key in the companion, making it, and giving it up for another key. No lock: whoever is killed or stopped anywhere in
// here blocks no other name.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "local/companion.hpp"
#include "local/layout.hpp"

namespace sherlock::local {

// 128 bits of a key; never 0 in the first half.
struct KeyHash {
  std::uint64_t half[2];
  // Of the 32 digits that a key ends with.
  static KeyHash of(std::string_view key);
};

// An entry as it was found. Entries are given to other keys when nobody uses them; after taking the gate word, look whether
// the entry is current() still, and find it anew if not.
struct Found {
  Entry* entry = nullptr;
  std::uint64_t tenure = 0;
  std::uint32_t number = 0;

  explicit operator bool() const { return entry != nullptr; }
  bool current() const { return entry->tenure.load() == tenure; }
};

struct Text {
  std::string ns, name;
  std::optional<std::string> label;  // none: the program's name
};

class Table {
 public:
  explicit Table(Companion& companion) : companion_{companion} {}

  static constexpr std::uint32_t kPlaces = 64;  // of each segment where a key can be: the first is counted by its hash, the others follow

  Found find(const KeyHash& hash) const;
  // Finds it or makes it. Throws detail::Failure when there is no room for more.
  Found find_or_make(const KeyHash& hash, std::string_view ns, std::string_view name);

  // Forgets the key. The caller has the gate word, which is `mine` (acquiring); it is free afterwards, for whoever finds the
  // entry next.
  void forget(const Found& found, std::uint64_t mine);
  // Forgets it if nobody holds or waits for it and nobody need be told of its last holder's end. Whether it did.
  bool forget_unused(const Found& found);

  void for_each(const std::function<void(const Found&)>& visit) const;

  // The label of the present hold; written by whoever has the gate, read by anybody at any time, who may see a mixture: it is for people.
  void write_label(Entry& entry, std::string_view label);
  // The label is the program's name, which stands in the process's slot: most labels, and nothing to copy.
  void write_default_label(Entry& entry);
  std::optional<Text> text(const Entry& entry) const;

 private:
  struct Spot {
    std::uint32_t segment, index;
  };
  enum class Places { its_own, all };
  template <class Visit>
  void probe(const KeyHash& hash, Places places, Visit visit) const;
  Found find(const KeyHash& hash, Found* spot) const;
  bool may_be_claimed(const Found& found) const;
  std::optional<Found> claim(const Found& spot);
  std::optional<Found> claim_any(const KeyHash& hash);
  void fill(const Found& mine, const KeyHash& hash, std::string_view ns, std::string_view name);
  Found publish(const Found& mine, const KeyHash& hash);
  bool recycle(const KeyHash& hash);

  Companion& companion_;
};

}  // namespace sherlock::local
