// SPDX-License-Identifier: MIT
// One file of a store, mapped by every process that uses it: who is present, and an entry for each lock. Opening it makes this process present
// (presence.hpp); that ends with the process, never before, for locks of static duration still need it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "local/layout.hpp"
#include "local/presence.hpp"
#include "posix/descriptors.hpp"

namespace boost::interprocess {
class mapped_region;
}

namespace sherlock::local {

class Companion {
 public:
  struct Place {
    int dir;                         // open directory that holds it
    const char* name;                // its name there
    std::string path;                // both together, for people
    std::optional<unsigned> mode{};  // of the file, where other users share the store
  };

  // Makes it where it is missing; remakes it in place when it is of another boot or format and nobody is present. Throws
  // std::system_error, posix::Unsafe, detail::Failure.
  static std::unique_ptr<Companion> open(const Place& place);
  ~Companion();

  Header& header() const { return *at<Header>(0); }
  Presence& presence() const { return *presence_; }
  std::int64_t epoch() const { return header().epoch; }
  const std::string& path() const { return path_; }
  const struct stat& file_stat() const { return file_.opened(); }

  Slot& slot(std::uint32_t index) const { return at<Slot>(kSlotsAt)[index % kSlots]; }
  WaitCell* wait_cells() const { return at<WaitCell>(kWaitCellsAt); }

  // Segments that exist by now, all mapped afterwards. More of them only ever appear.
  std::uint32_t segments();
  // Makes segment number `segments`, unless somebody did.
  void grow(std::uint32_t segments);
  Entry& entry(std::uint32_t segment, std::uint32_t index) const;
  Fingerprint& fingerprint(std::uint32_t segment, std::uint32_t index) const;
  // Eight of them: of `index`, a multiple of eight, in the lowest byte.
  std::uint64_t eight_fingerprints(std::uint32_t segment, std::uint32_t index) const;
  Fingerprint& fingerprint(std::uint32_t number) const;
  // Entries by one number, for wait cells.
  static std::uint32_t number(std::uint32_t segment, std::uint32_t index);

  // Room for `capacity` bytes of text, or its offset in units of 16 bytes. 0: the segments are full.
  std::uint32_t allocate_text(std::uint32_t capacity);
  // The block at such an offset if it lies within what is mapped, and how many bytes it has. Null otherwise: offsets are read from shared
  // memory, and so are capacities, which may change at any time; use the one that was checked.
  struct Text {
    TextBlock* block = nullptr;
    std::uint32_t capacity = 0;
    explicit operator bool() const { return block != nullptr; }
  };
  Text text(std::uint32_t offset) const;

 private:
  Companion(const Place& place, posix::LockFd file);
  static std::unique_ptr<Companion> open_or_create(const Place& place);

  template <class T>
  T* at(std::uint64_t offset) const {
    return reinterpret_cast<T*>(base_[0].load(std::memory_order_relaxed) + offset);
  }
  void settle();
  bool valid() const;
  void remake();
  void map(std::uint32_t segment);

  const std::string path_;
  posix::LockFd file_;  // carries this process's bytes; never mapped: a mapping would keep it open in forked children
  std::mutex mapping_;
  std::vector<std::unique_ptr<boost::interprocess::mapped_region>> regions_;
  std::array<std::atomic<std::byte*>, kMaxSegments> base_{};
  std::unique_ptr<Presence> presence_;
};

}  // namespace sherlock::local
