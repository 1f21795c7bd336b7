// SPDX-License-Identifier: MIT
// A companion with the input's bytes written into it, before its users' calls and in the middle of them: a segment of shared memory, or the one beside lock
// files where SHERLOCK_FUZZ_BACKEND says "file". Whatever stands there, a call ends, in time, with an answer or an exception of ours; nothing is read or written outside of the segment; and where nobody has touched what
// belongs to an honest holder, nobody else is granted its lock.
//
// The input is a list of strokes of 8 bytes: where, which field, with what. What is in the segment is as it was at the next input.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sherlock/sherlock.hpp>

#include "core/key.hpp"
#include "fuzz.hpp"
#include "local/layout.hpp"
#include "local/table.hpp"
#include "support/temp_dir.hpp"

using namespace sherlock;
using namespace sherlock::local;
using namespace std::chrono_literals;

namespace {

constexpr auto kInTime = std::chrono::seconds{5};  // of a call whose timeout is a millisecond
constexpr const char* kNames[] = {"a", "b", "c", "d", "held"};

[[noreturn]] void broken(const char* what, const char* call) {
  std::fprintf(stderr, "BROKEN: %s: %s\n", call, what);
  std::abort();
}

const char* chosen_backend() {
  const char* const said = std::getenv("SHERLOCK_FUZZ_BACKEND");
  return said ? said : "shm";
}

struct Stroke {
  std::uint8_t where, field;
  std::uint16_t index;
  std::uint32_t value;
};
static_assert(sizeof(Stroke) == 8);

class Victim {
 public:
  Victim() {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{64 << 20, 64 << 20};  // a table that believes it is full grows
    ::setrlimit(RLIMIT_FSIZE, &limit);
    for (const char* name : kNames) {
      const Duration expire = *name == 'b' ? Duration{1ms} : never;
      locks_.push_back(backend_.make(name, Options{.ns = "ns", .expire = expire, .timeout = 1ms, .label = "label"}, client_));
      if (!locks_.back()->try_acquire_for(20s)) broken("a lock of a new companion is not to be had", "try_acquire_for");
      locks_.back()->unlock();  // not release(): the short lease may be over
    }
    start_holder();
    const int fd = ::open(companion_.c_str(), O_RDWR | O_CLOEXEC);
    base_ = static_cast<std::byte*>(::mmap(nullptr, kFirstSegment, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    ::close(fd);
    if (base_ == MAP_FAILED) broken("cannot map", "mmap");
    whole_.assign(base_, base_ + kFirstSegment);
    find_honest();
  }
  ~Victim() {
    ::kill(holder_, SIGKILL);
    if (companion_.starts_with("/dev/shm/")) ::unlink(companion_.c_str());
  }

  void play(const std::uint8_t* data, std::size_t size) {
    std::vector<Stroke> strokes(std::min<std::size_t>(size / sizeof(Stroke), 512));
    if (!strokes.empty()) std::memcpy(strokes.data(), data, strokes.size() * sizeof(Stroke));
    honest_touched_ = false;
    // The first half before the calls, the second again and again beside them.
    const std::size_t before = (strokes.size() + 1) / 2;
    for (std::size_t i = 0; i < before; ++i) strike(strokes[i]);
    std::atomic<bool> over{false};
    std::thread mutator;
    if (before < strokes.size()) {
      for (std::size_t i = before; i < strokes.size(); ++i) honest_touched_ = honest_touched_ || touches_honest(at(strokes[i]));
      mutator = std::thread{[&] {
        for (std::size_t i = before; !over.load(); i = i + 1 < strokes.size() ? i + 1 : before) strike(strokes[i]);
      }};
    }
    use();
    over = true;
    if (mutator.joinable()) mutator.join();
    std::memcpy(base_, whole_.data(), whole_.size());
    for (const auto& lock : locks_) lock->unlock();
    std::memcpy(base_, whole_.data(), whole_.size());
  }

 private:
  // Another process holds "held", by honest words.
  void start_holder() {
    int ready[2];
    if (::pipe(ready) != 0) broken("cannot start the holder", "pipe");
    holder_ = ::fork();
    if (holder_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const auto lock = backend_.make("held", {.ns = "ns"}, client_);
      lock->acquire();
      if (::write(ready[1], "", 1) != 1) ::_exit(1);
      for (;;) ::pause();
    }
    char word;
    if (::read(ready[0], &word, 1) != 1) broken("cannot start the holder", "read");
    ::close(ready[0]);
    ::close(ready[1]);
  }

  // Its entry, its fingerprint, its place among those present. The places before it decide as well what is found, and so does the number of segments.
  void find_honest() {
    const KeyHash hash = KeyHash::of(sherlock::detail::make_key("ns", "held"));
    for (std::uint32_t i = 0; i < kFirstEntries; ++i) {
      auto& entry = *reinterpret_cast<Entry*>(base_ + kEntriesAt + i * kEntryStride);
      if (entry.tenure.load() == 0) continue;
      used_.push_back(i);
      if (entry.hash[0].load() != hash.half[0] || entry.hash[1].load() != hash.half[1]) continue;
      honest_entry_ = i;
      honest_slot_ = gate::slot(entry.word.load());
    }
    if (used_.size() != locks_.size()) broken("the entries are not there", "find");
  }
  bool touches_honest(std::uint64_t at) const {
    if (at < kWaitCellsAt) return at >= offsetof(Header, segments) && at < offsetof(Header, segments) + 4;
    if (at >= kSlotsAt && at < kEntriesAt) return (at - kSlotsAt) / sizeof(Slot) == honest_slot_;
    const auto near = [&](std::uint64_t place) { return ((honest_entry_ - place) & (kFirstEntries - 1)) < 128; };
    if (at >= kEntriesAt && at < kFingerprintsAt) return near((at - kEntriesAt) / kEntryStride);
    if (at >= kFingerprintsAt && at < kTextAt) return near(at - kFingerprintsAt) || near(at + 3 - kFingerprintsAt);
    return false;
  }

  // Where a stroke hits. Mostly what is in use: a segment is large and mostly empty.
  std::uint64_t at(const Stroke& s) const {
    const std::uint64_t entry = used_[s.index % used_.size()];
    switch (s.where % 8) {
      case 0: return s.field % 16 * 4 + offsetof(Header, floor);
      case 1: return kWaitCellsAt + std::uint64_t{s.index} % kSlots * 8 + s.field % 2 * 4;
      case 2: return kSlotsAt + std::uint64_t{s.index} % kSlots * sizeof(Slot) + s.field % 32 * 4;
      case 3:
      case 4: return kEntriesAt + entry * kEntryStride + s.field % 26 * 4;
      case 5: return kEntriesAt + std::uint64_t{s.index} % kFirstEntries * kEntryStride + s.field % 26 * 4;
      case 6: return (kFingerprintsAt + s.index % kFirstEntries) / 4 * 4;
      default: return kTextAt + std::uint64_t{s.index} % ((kFirstSegment - kTextAt) / 4) % (s.field % 2 ? 256 : 65536) * 4;
    }
  }
  void strike(const Stroke& s) {
    const std::uint64_t where = at(s);
    honest_touched_ = honest_touched_ || touches_honest(where);
    reinterpret_cast<Word*>(base_ + where)->store(s.value);
  }

  template <class Call>
  void in_time(const char* name, Call call) {
    const auto start = std::chrono::steady_clock::now();
    try {
      call();
    } catch (const LockException&) {
    } catch (const std::exception& e) {
      broken(e.what(), name);
    }
    if (std::chrono::steady_clock::now() - start > kInTime) broken("it took too long", name);
  }

  void use() {
    for (const auto& lock : locks_) {
      bool granted = false;
      in_time("try_acquire", [&] { granted = lock->try_acquire(); });
      if (!granted) in_time("acquire", [&] { lock->acquire(), granted = true; });
      if (granted && lock->name() == "held" && !honest_touched_) broken("granted what an honest process holds", "acquire");
      in_time("locked", [&] { (void)lock->locked(); });
      in_time("holder", [&] { (void)lock->holder(); });
      in_time("renew", [&] { (void)lock->renew(); });
      in_time("release", [&] { lock->release(); });
    }
    in_time("a new name", [&] {
      const auto lock = backend_.make("new " + std::to_string(++names_ % 100), {.expire = 1h, .timeout = 1ms, .label = std::string(200, 'l')}, client_);
      lock->acquire();
      (void)lock->holder();
    });
    in_time("list", [&] { (void)backend_.list(client_); });
    in_time("clean", [&] { (void)backend_.clean(client_); });
  }

  const Backend backend_ = registry().find(chosen_backend());
  const support::TempDir directory_;
  const bool is_files_ = backend_.name() == "file";
  const std::string client_ = is_files_ ? directory_ / "store" : "sherlock-fuzz-" + std::to_string(::getpid());
  const std::string companion_ = is_files_ ? client_ + "/.sherlock" : "/dev/shm/" + client_;
  std::vector<std::unique_ptr<BaseLock>> locks_;
  std::byte* base_ = nullptr;
  std::vector<std::byte> whole_;
  std::vector<std::uint64_t> used_;  // numbers of entries
  std::uint64_t honest_entry_ = 0, honest_slot_ = 0;
  std::atomic<bool> honest_touched_{false};
  pid_t holder_ = -1;
  unsigned names_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Victim victim;
  victim.play(data, size);
  return 0;
}
