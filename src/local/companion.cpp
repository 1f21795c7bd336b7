// SPDX-License-Identifier: MIT
#include "local/companion.hpp"

#include <fmt/core.h>
#include <linux/falloc.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <boost/interprocess/file_mapping.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <string_view>

#include <sherlock/clock.hpp>

#include "core/failure.hpp"
#include "local/steps.hpp"
#include "posix/file.hpp"
#include "posix/process.hpp"

namespace sherlock::local {

namespace bip = boost::interprocess;
using detail::Failure;

namespace {

constexpr int kOpenFlags = O_RDWR | O_NOFOLLOW | O_NONBLOCK;

// Through the descriptor's own name, so that it is this very file even when its path has become another one.
std::unique_ptr<bip::mapped_region> map_through(int fd, std::uint64_t offset, std::uint64_t size, const std::string& path) {
  try {
    const bip::file_mapping file{fmt::format("/proc/self/fd/{}", fd).c_str(), bip::read_write};
    return std::make_unique<bip::mapped_region>(file, bip::read_write, static_cast<bip::offset_t>(offset), static_cast<std::size_t>(size));
  } catch (const bip::interprocess_exception& e) {
    throw std::system_error{e.get_native_error(), std::generic_category(), "cannot map " + path + " (is /proc mounted?)"};
  }
}

void initialise(std::byte* base, std::uint64_t floor) {
  auto& header = *reinterpret_cast<Header*>(base);
  header.floor.store(floor);
  header.format = kFormat;
  const posix::BootId boot = posix::boot_id();
  std::copy(boot.begin(), boot.end(), header.boot_id);
  header.time_namespace = posix::namespace_id("time");
  header.epoch = std::chrono::duration_cast<std::chrono::nanoseconds>(clock().wall().time_since_epoch()).count();
  header.text_used.store(0);
  header.segments.store(1);
  header.magic.store(kMagic);
}

// Built privately and linked complete: nobody ever sees half of it, and a creator that dies leaves nothing behind.
void create(const Companion::Place& place) {
  posix::UniqueFd file{posix::sys_openat(place.dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
  std::string temporary;
  if (!file && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
    // A file system without nameless files.
    static std::atomic<unsigned> made{0};
    temporary = fmt::format("{}-{:016x}-{}", place.name, posix::process_token(), made.fetch_add(1));
    file.reset(posix::sys_openat(place.dir, temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  }
  if (!file) posix::throw_errno("cannot make " + place.path);
  SHERLOCK_STEP("create: made");
  struct RemoveTemporary {
    int dir;
    const std::string& name;
    ~RemoveTemporary() {
      if (!name.empty()) posix::syscalls().unlinkat(dir, name.c_str(), 0);
    }
  } remove{place.dir, temporary};

  if (place.mode && posix::syscalls().fchmod(file.get(), *place.mode & 0666) != 0) posix::throw_errno("cannot set the mode of " + place.path);
  // Not ftruncate: on a full file system the first store would be a SIGBUS.
  if (posix::sys_fallocate(file.get(), 0, kFirstSegment) != 0) posix::throw_errno("cannot make room for " + place.path);
  SHERLOCK_STEP("create: there is room");
  const auto region = map_through(file.get(), 0, kFirstSegment, place.path);
  initialise(static_cast<std::byte*>(region->get_address()), 0);

  SHERLOCK_STEP("create: written");
  const std::string from = temporary.empty() ? fmt::format("/proc/self/fd/{}", file.get()) : temporary;
  const int from_dir = temporary.empty() ? AT_FDCWD : place.dir;
  if (posix::syscalls().linkat(from_dir, from.c_str(), place.dir, place.name, temporary.empty() ? AT_SYMLINK_FOLLOW : 0) != 0 && errno != EEXIST)
    posix::throw_errno("cannot publish " + place.path);
  SHERLOCK_STEP("create: published");
}

// Takes the byte that orders opening and remaking; nobody has it for more than the time of that, unless he is stopped.
void lock_init_byte(int fd, short type, const std::string& path) {
  const auto give_up = clock().monotonic() + std::chrono::seconds{1};
  for (auto nap = std::chrono::microseconds{20};; nap = std::min(2 * nap, std::chrono::microseconds{5000})) {
    struct flock lock = posix::byte_range(type, kInitByte, 1);
    if (posix::sys_fcntl_lock(fd, F_OFD_SETLK, &lock) == 0) return;
    if (errno != EAGAIN && errno != EACCES) posix::throw_errno("cannot lock " + path);
    if (clock().monotonic() >= give_up)
      throw Failure{Errc::busy, path + " has been in the making by another process for a second; is that process stopped?"};
    const timespec t = posix::as_timespec(nap);
    nanosleep(&t, nullptr);
  }
}

}  // namespace

std::unique_ptr<Companion> Companion::open(const Place& place) {
  try {
    return open_or_create(place);
  } catch (const Failure& e) {
    if (std::string_view{e.what()}.find(place.path) != std::string_view::npos) throw;
    throw Failure{e.code(), place.path + ": " + e.what(), e.cause()};
  } catch (const std::system_error& e) {
    // Whatever it was that the kernel refused: which companion it was for.
    const std::string what = e.what();
    if (what.find(place.path) != std::string::npos) throw;
    throw std::system_error{e.code(), place.path + ": " + what.substr(0, what.rfind(": "))};
  }
}

std::unique_ptr<Companion> Companion::open_or_create(const Place& place) {
  for (int round = 0;; ++round) {
    posix::LockFd file = posix::LockFd::open(place.dir, place.name, kOpenFlags);
    if (file) {
      posix::check_lock_file(file.opened(), place.path, place.mode.has_value());
      // Before anything is written to it, and again when we are present: what was removed meanwhile, nobody else will find.
      if (posix::is_its_only_name(place.dir, place.name, file.opened())) {
        std::unique_ptr<Companion> made{new Companion{place, std::move(file)}};
        made->settle();
        SHERLOCK_STEP("open: present");
        if (posix::is_its_only_name(place.dir, place.name, made->file_.opened())) return made;
      }
      if (round > 100) throw Failure{Errc::busy, place.path + " is being removed again and again"};
      continue;
    }
    if (errno == ELOOP) throw posix::Unsafe{place.path + " is a symbolic link; remove it"};
    if (errno == EISDIR || errno == ENXIO) throw posix::Unsafe{place.path + " is not a regular file; remove it"};
    if (errno != ENOENT) posix::throw_errno("cannot open " + place.path);
    create(place);
  }
}

Companion::Companion(const Place& place, posix::LockFd file) : path_{place.path}, file_{std::move(file)} {}

// Only ever of a companion that was replaced while it was opened.
Companion::~Companion() {
  if (!presence_ || presence_->withdraw()) return;
  // Another thread's list of robust mutexes leads through our mapping.
  for (auto& region : regions_) (void)region.release();
}

// From an open file to a place among those present, with nobody remaking it meanwhile.
void Companion::settle() {
  SHERLOCK_STEP("open: found");
  lock_init_byte(file_.get(), F_RDLCK, path_);
  SHERLOCK_STEP("open: kept from being remade");
  struct stat now;
  if (posix::sys_fstat(file_.get(), &now) != 0) posix::throw_errno("cannot look at " + path_);
  if (static_cast<std::uint64_t>(now.st_size) < kFirstSegment || (map(0), !valid())) {
    lock_init_byte(file_.get(), F_UNLCK, path_);
    lock_init_byte(file_.get(), F_WRLCK, path_);
    SHERLOCK_STEP("remake: alone");
    remake();
    SHERLOCK_STEP("remake: done");
    lock_init_byte(file_.get(), F_RDLCK, path_);
  }
  // A shared flock: systemd's cleaner of temporary files leaves files alone that have one. Best effort.
  posix::sys_flock(file_.get(), LOCK_SH | LOCK_NB);
  presence_ = std::make_unique<Presence>(file_, &slot(0));
  lock_init_byte(file_.get(), F_UNLCK, path_);
}

bool Companion::valid() const {
  const Header& h = header();
  const posix::BootId boot = posix::boot_id();
  return h.magic.load() == kMagic && h.format == kFormat && std::equal(boot.begin(), boot.end(), h.boot_id) &&
         h.time_namespace == posix::namespace_id("time") && h.segments.load() >= 1 && h.segments.load() <= kMaxSegments;
}

// Alone with the file, as far as processes that keep the rules go.
void Companion::remake() {
  struct stat now;
  if (posix::sys_fstat(file_.get(), &now) != 0) posix::throw_errno("cannot look at " + path_);
  std::uint64_t floor = 0;
  const bool whole = static_cast<std::uint64_t>(now.st_size) >= kFirstSegment;
  if (whole) {
    map(0);
    if (valid()) return;  // somebody was quicker
    const Header& h = header();
    const std::uint64_t magic = h.magic.load();
    if (magic != kMagic && magic != 0)
      throw Failure{Errc::damaged, path_ + " is no companion of this library; remove it if it is not yours"};
    if (Presence::anybody(file_.get())) {
      if (magic == kMagic && h.format != kFormat)
        throw Failure{Errc::damaged, fmt::format("{} has format {:#x} and is in use; this program understands {:#x}. Let both use the same version of the library",
                                                 path_, h.format, kFormat)};
      if (h.time_namespace != posix::namespace_id("time"))
        throw Failure{Errc::unavailable, path_ + " is in use by processes of another time namespace, whose leases cannot be compared with ours"};
      throw Failure{Errc::damaged, path_ + " is damaged and in use"};
    }
    // Fences must not go back where a reboot can help it.
    if (h.format == kFormat) {
      floor = h.floor.load();
      for (std::uint32_t i = 0; i < kFirstEntries; ++i) floor = std::max(floor, entry(0, i).fence.load());
    }
  } else if (Presence::anybody(file_.get())) {
    throw Failure{Errc::damaged, fmt::format("{} was cut to {} bytes while in use", path_, now.st_size)};
  } else if (now.st_size != 0) {
    // What is left of a companion of ours begins like one; anything else is somebody's file.
    std::uint64_t magic = 0;
    if (::pread(file_.get(), &magic, sizeof magic, 0) != sizeof magic || magic != kMagic)
      throw Failure{Errc::damaged, path_ + " is no companion of this library; remove it if it is not yours"};
  }
  if (posix::sys_fallocate(file_.get(), 0, kFirstSegment) != 0) posix::throw_errno("cannot make room for " + path_);
  map(0);
  // The floor first: who comes after us, should we die, finds no fences any more.
  if (header().format == kFormat) header().floor.store(floor);
  SHERLOCK_STEP("remake: the floor is kept");
  header().magic.store(0);
  SHERLOCK_STEP("remake: begun");
  std::memset(reinterpret_cast<void*>(base_[0].load() + 4096), 0, kFirstSegment - 4096);
  if (static_cast<std::uint64_t>(now.st_size) > kFirstSegment &&
      fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kFirstSegment, now.st_size - static_cast<off_t>(kFirstSegment)) != 0)
    posix::throw_errno("cannot clear " + path_ + "; remove it");
  SHERLOCK_STEP("remake: cleared");
  initialise(base_[0].load(), floor);
}

void Companion::map(std::uint32_t segment) {
  const std::lock_guard guard{mapping_};
  if (base_[segment].load(std::memory_order_acquire)) return;
  const SegmentShape shape = segment_shape(segment);
  struct stat now;
  if (posix::sys_fstat(file_.get(), &now) != 0) posix::throw_errno("cannot look at " + path_);
  if (static_cast<std::uint64_t>(now.st_size) < shape.begin + shape.size)
    throw Failure{Errc::damaged, fmt::format("{} ends at byte {} and should have {}", path_, now.st_size, shape.begin + shape.size)};
  regions_.push_back(map_through(file_.get(), shape.begin, shape.size, path_));
  base_[segment].store(static_cast<std::byte*>(regions_.back()->get_address()), std::memory_order_release);
}

std::uint32_t Companion::segments() {
  const std::uint32_t count = std::min(header().segments.load(), kMaxSegments);
  for (std::uint32_t i = 1; i < count; ++i)
    if (!base_[i].load(std::memory_order_acquire)) map(i);
  return count;
}

// Whoever comes may do this, again and again: reserved space that is there already stays as it is.
void Companion::grow(std::uint32_t segments) {
  if (segments >= kMaxSegments) throw Failure{Errc::system, path_ + " is full: too many names; `sherlock clean` removes unused ones"};
  const SegmentShape shape = segment_shape(segments);
  if (posix::sys_fallocate(file_.get(), static_cast<off_t>(shape.begin), static_cast<off_t>(shape.size)) != 0)
    posix::throw_errno("cannot make room for more names in " + path_);
  SHERLOCK_STEP("grow: there is room");
  header().segments.compare_exchange_strong(segments, segments + 1);
  SHERLOCK_STEP("grow: published");
}

Entry& Companion::entry(std::uint32_t segment, std::uint32_t index) const {
  const SegmentShape shape = segment_shape(segment);
  std::byte* base = base_[segment].load(std::memory_order_acquire);
  return *reinterpret_cast<Entry*>(base + (shape.entries_at - shape.begin) + std::uint64_t{index & (shape.entries - 1)} * kEntryStride);
}

Fingerprint& Companion::fingerprint(std::uint32_t segment, std::uint32_t index) const {
  const SegmentShape shape = segment_shape(segment);
  std::byte* base = base_[segment].load(std::memory_order_acquire);
  return *reinterpret_cast<Fingerprint*>(base + (shape.fingerprints_at - shape.begin) + (index & (shape.entries - 1)));
}

// In one load: each byte is what a load of its own would have found at that moment.
std::uint64_t Companion::eight_fingerprints(std::uint32_t segment, std::uint32_t index) const {
  static_assert(std::endian::native == std::endian::little, "the lowest byte is the first one");
  return std::atomic_ref<std::uint64_t>{*reinterpret_cast<std::uint64_t*>(&fingerprint(segment, index))}.load();
}

Fingerprint& Companion::fingerprint(std::uint32_t number) const {
  std::uint32_t segment = 0;
  for (; number >= segment_shape(segment).entries; ++segment) number -= segment_shape(segment).entries;
  return fingerprint(segment, number);
}

std::uint32_t Companion::number(std::uint32_t segment, std::uint32_t index) {
  std::uint32_t before = 0;
  for (std::uint32_t i = 0; i < segment; ++i) before += segment_shape(i).entries;
  return before + index;
}

std::uint32_t Companion::allocate_text(std::uint32_t capacity) {
  const std::uint32_t size = (static_cast<std::uint32_t>(sizeof(TextBlock)) + capacity + 15) & ~15u;
  const std::uint32_t count = segments();
  for (std::uint32_t i = 0; i < count; ++i) {
    const SegmentShape shape = segment_shape(i);
    std::byte* base = base_[i].load(std::memory_order_acquire);
    Word& used = i == 0 ? header().text_used : reinterpret_cast<SegmentHeader*>(base + (shape.text_at - kEntryStride - shape.begin))->text_used;
    const std::uint64_t room = shape.begin + shape.size - shape.text_at;
    std::uint32_t present = used.load();
    for (std::uint32_t start; (start = present & ~15u) + std::uint64_t{size} <= room;)
      if (used.compare_exchange_weak(present, start + size)) {
        const std::uint64_t offset = shape.text_at + start;
        reinterpret_cast<TextBlock*>(base + (offset - shape.begin))->capacity = size - static_cast<std::uint32_t>(sizeof(TextBlock));
        return static_cast<std::uint32_t>(offset / 16);
      }
  }
  return 0;
}

Companion::Text Companion::text(std::uint32_t offset) const {
  const std::uint64_t at = std::uint64_t{offset} * 16;
  for (std::uint32_t i = 0; i < kMaxSegments; ++i) {
    std::byte* base = base_[i].load(std::memory_order_acquire);
    if (!base) return {};
    const SegmentShape shape = segment_shape(i);
    const std::uint64_t end = shape.begin + shape.size;
    if (at < shape.text_at || at + sizeof(TextBlock) > end) continue;
    auto* block = reinterpret_cast<TextBlock*>(base + (at - shape.begin));
    const std::uint32_t capacity = std::atomic_ref<std::uint32_t>{block->capacity}.load(std::memory_order_relaxed);
    if (at + sizeof(TextBlock) + capacity <= end) return {block, capacity};
    return {};
  }
  return {};
}

}  // namespace sherlock::local
