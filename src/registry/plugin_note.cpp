// SPDX-License-Identifier: MIT
#include "registry/plugin_note.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

#include <sherlock/plugin.hpp>

#include "posix/syscall.hpp"

namespace sherlock::detail {
namespace {

using Header = ElfW(Ehdr);
using Segment = ElfW(Phdr);

constexpr const char* kCutOff = "it is cut off: copy it once more";
constexpr const char* kForeign =
    "it is no plug-in of sherlock, for it has no note of an ABI: build it with SHERLOCK_PLUGIN of <sherlock/plugin.hpp>";
constexpr std::uint64_t kMostSegments = 1024, kMostNotes = 1 << 20;  // ours have a dozen, and some hundred bytes

// A file that may say anything of itself. What it promises has to be there.
class Claims {
 public:
  explicit Claims(int fd) : fd_{fd} {
    struct stat file {};
    if (posix::sys_fstat(fd, &file) != 0) posix::throw_errno("cannot look at it");
    size_ = static_cast<std::uint64_t>(file.st_size);
  }

  std::uint64_t size() const { return size_; }

  void check(std::uint64_t offset, std::uint64_t length) const {
    if (length > size_ || offset > size_ - length) throw PluginRefused{kCutOff};
  }

  std::string bytes(std::uint64_t offset, std::uint64_t length) const {
    check(offset, length);
    std::string all(length, '\0');
    for (std::size_t got = 0; got < all.size();) {
      const ssize_t n = pread(fd_, all.data() + got, all.size() - got, static_cast<off_t>(offset + got));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) posix::throw_errno("cannot read it");
      if (n == 0) throw PluginRefused{kCutOff};
      got += static_cast<std::size_t>(n);
    }
    return all;
  }

 private:
  const int fd_;
  std::uint64_t size_ = 0;
};

template <class T>
T read(std::string_view bytes, std::size_t offset) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

Header header_of(const Claims& file) {
  constexpr unsigned char kClass = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
  constexpr unsigned char kOrder = std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;

  if (file.bytes(0, std::min<std::uint64_t>(file.size(), SELFMAG)) != ELFMAG) throw PluginRefused{"it is no shared library"};
  const std::string ident = file.bytes(0, EI_NIDENT);
  if (ident[EI_CLASS] != kClass || ident[EI_DATA] != kOrder)
    throw PluginRefused{fmt::format("it was built for another kind of machine, this program is one of {} bits", 8 * sizeof(void*))};
  const auto header = read<Header>(file.bytes(0, sizeof(Header)), 0);
  if (header.e_type != ET_DYN) throw PluginRefused{"it is no shared library"};
  if (header.e_phentsize != sizeof(Segment) || header.e_phnum > kMostSegments) throw PluginRefused{"its headers make no sense"};
  return header;
}

// Adds what the notes of sherlock among these say.
void read_notes(std::string_view notes, std::uint64_t align, std::optional<std::uint32_t>& abi) {
  constexpr std::string_view kOwner{"sherlock", 9};  // with its zero
  const auto aligned = [align](std::uint64_t offset) { return (offset + align - 1) / align * align; };
  while (notes.size() >= sizeof(Elf64_Nhdr)) {
    const auto note = read<Elf64_Nhdr>(notes, 0);  // the same in 32 bits
    const std::uint64_t value = aligned(sizeof note + std::uint64_t{note.n_namesz}), end = value + note.n_descsz;
    if (end > notes.size()) throw PluginRefused{kCutOff};
    if (notes.substr(sizeof note, note.n_namesz) == kOwner) {
      if (note.n_type != 1 || note.n_descsz != sizeof(std::uint32_t)) throw PluginRefused{kForeign};
      const auto says = read<std::uint32_t>(notes, value);
      if (abi && *abi != says) throw PluginRefused{fmt::format("it says that it was built for two ABIs, {} and {}", *abi, says)};
      abi = says;
    }
    notes.remove_prefix(std::min<std::uint64_t>(aligned(end), notes.size()));
  }
}

// "0.1, revision 1"
std::string release_of(std::uint32_t abi) {
  return abi < 1'000'000 ? fmt::format("0.{}, revision {}", abi / 1000, abi % 1000)
                         : fmt::format("{}, revision {}", abi / 1'000'000, abi % 1'000'000);
}

}  // namespace

std::uint32_t plugin_abi(int fd) {
  const Claims file{fd};
  const Header header = header_of(file);
  const std::string segments = file.bytes(header.e_phoff, std::uint64_t{header.e_phnum} * sizeof(Segment));
  std::optional<std::uint32_t> abi;
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    const auto segment = read<Segment>(segments, i * sizeof(Segment));
    file.check(segment.p_offset, segment.p_filesz);
    if (segment.p_type != PT_NOTE) continue;
    if (segment.p_filesz > kMostNotes) throw PluginRefused{"its headers make no sense"};
    read_notes(file.bytes(segment.p_offset, segment.p_filesz), segment.p_align == 8 ? 8 : 4, abi);
  }
  if (!abi) throw PluginRefused{kForeign};
  return *abi;
}

void check_plugin_abi(int fd) {
  const std::uint32_t abi = plugin_abi(fd);
  if (abi == SHERLOCK_PLUGIN_ABI) return;
  throw PluginRefused{fmt::format("it was built for another sherlock (ABI {}: {}) than this one (ABI {}: {}): build it again, with the "
                                  "headers of this one", abi, release_of(abi), SHERLOCK_PLUGIN_ABI, release_of(SHERLOCK_PLUGIN_ABI))};
}

}  // namespace sherlock::detail
