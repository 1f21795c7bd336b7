// SPDX-License-Identifier: MIT
#include "record_lock.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <system_error>
#include <type_traits>

#include <sherlock/clock.hpp>
#include <sherlock/error.hpp>

namespace record {

using sherlock::Claim, sherlock::Grant, sherlock::Holder, sherlock::Owner;
using std::chrono::nanoseconds;

namespace {

// What a file holds, as it is in memory: written and read in one call.
struct Record {
  char format[8] = {'r', 'e', 'c', 'o', 'r', 'd', '1', '\n'};
  Owner owner;                   // who was granted last and has not released; none: released
  std::uint64_t fence = 0;       // of the last grant; 0 before the first
  std::int64_t ends = 0;         // of the lease, on the clock of Claim::now()
  std::int64_t length = 0;       // of the lease
  std::int64_t since = 0;        // of the grant, on the wall clock
  std::int64_t pid = 0, uid = 0;
  std::uint64_t label_size = 0;
  char label[256] = {};

  bool released() const { return owner == Owner{}; }
  // That clock begins anew with each boot: a lease that has more left than it ever had is one of another boot.
  bool held(nanoseconds now) const { return !released() && ends > now.count() && ends - now.count() <= length; }
  bool held_by(const Claim& claim) const { return owner == claim.owner && held(claim.now()); }
  void lease(const Claim& claim) {
    length = claim.expire.ns().count();
    ends = claim.expire.after(claim.now()).count();
  }
};
static_assert(std::is_trivially_copyable_v<Record>);

// No step is under way while the process forks: a child would keep the file locked, with nobody to unlock it should the parent die.
std::mutex& steps() {
  static std::mutex* const mutex = [] {
    pthread_atfork([] { steps().lock(); }, [] { steps().unlock(); }, [] { steps().unlock(); });
    return new std::mutex;
  }();
  return *mutex;
}

[[noreturn]] void fail(const std::string& what) { throw std::system_error{errno, std::generic_category(), what}; }

// One step of the store: from here to its end nobody else reads or writes the record. This is what makes "look, then take" one.
class Step {
 public:
  enum class For { look, change };

  // A look makes no file: without one, the record is that of a lock that nobody ever had.
  Step(const Directory& directory, const Claim& claim, For what) : path_{directory.path + '/' + std::string{claim.key} + ".lock"} {
    while (!try_begin(what)) {
      // Steps are short, so this is somebody who was stopped in the middle of one. The store does not answer, which is not "somebody has it".
      if (sherlock::clock().monotonic() >= claim.answer_by())
        throw sherlock::BackendException{sherlock::Errc::busy, "another process is in the middle of a step on " + path_, claim.name, "record"};
      sherlock::clock().sleep_until(sherlock::clock().monotonic() + std::chrono::milliseconds{1}, {});
    }
  }
  ~Step() {
    if (file_ >= 0) close(file_);  // unlocks: nobody has a copy
  }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  void write() const {
    if (const ssize_t n = pwrite(file_, &record, sizeof record, 0); n != sizeof record) {
      if (n >= 0) errno = ENOSPC;
      fail("cannot write " + path_);
    }
  }

  Record record;

 private:
  bool try_begin(For what) {
    turn_ = std::unique_lock{steps()};
    file_ = open(path_.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | (what == For::change ? O_CREAT : 0), 0600);
    if (file_ < 0 && errno == ENOENT && what == For::look) return true;
    if (file_ < 0) fail("cannot open " + path_);
    if (flock(file_, LOCK_EX | LOCK_NB) == 0) {
      try {
        read();
      } catch (...) {
        close(file_);
        throw;
      }
      return true;
    }
    const int error = errno;
    close(file_);
    file_ = -1;
    turn_.unlock();
    if (error == EWOULDBLOCK || error == EINTR) return false;
    errno = error;
    fail("cannot lock " + path_);
  }

  void read() {
    Record found;
    const ssize_t n = pread(file_, &found, sizeof found, 0);
    if (n < 0) fail("cannot read " + path_);
    if (n == 0) return;  // new
    if (n != sizeof found || std::memcmp(found.format, record.format, sizeof found.format) != 0 || found.label_size > sizeof found.label)
      throw sherlock::BackendException{sherlock::Errc::damaged, path_ + " is no record of a lock; remove it", {}, "record"};
    record = found;
  }

  const std::string path_;
  std::unique_lock<std::mutex> turn_;
  int file_ = -1;
};

}  // namespace

RecordLock::RecordLock(std::string name, sherlock::Options options, Client client)
    : BaseLock{std::move(name), std::move(options), traits, "record"}, client_{std::move(client)} {}

RecordLock::~RecordLock() { let_go(); }

std::optional<Grant> RecordLock::do_acquire(const Claim& claim) {
  Step step{client_, claim, Step::For::change};
  Record& record = step.record;
  if (record.held(claim.refresh_now())) return std::nullopt;  // refreshed: the step may have been waited for

  const bool abandoned = !record.released();
  if (!record.fence) record.fence = static_cast<std::uint64_t>(sherlock::clock().wall().time_since_epoch() / nanoseconds{1});
  ++record.fence;
  record.owner = claim.owner;
  record.lease(claim);
  record.since = sherlock::clock().wall().time_since_epoch() / nanoseconds{1};
  record.pid = getpid();
  record.uid = getuid();
  record.label_size = claim.label.copy(record.label, sizeof record.label);
  step.write();
  return Grant{.fence = record.fence, .abandoned = abandoned};
}

bool RecordLock::do_release(const Claim& claim) {
  Step step{client_, claim, Step::For::change};
  if (!step.record.held_by(claim)) return false;
  step.record.owner = Owner{};
  step.write();
  return true;
}

bool RecordLock::do_renew(const Claim& claim) {
  Step step{client_, claim, Step::For::change};
  if (!step.record.held_by(claim)) return false;
  step.record.lease(claim);
  step.write();
  return true;
}

bool RecordLock::do_locked(const Claim& claim) const { return Step{client_, claim, Step::For::look}.record.held(claim.now()); }

std::optional<Holder> RecordLock::do_holder(const Claim& claim) const {
  const Record record = Step{client_, claim, Step::For::look}.record;
  if (!record.held(claim.now())) return std::nullopt;
  const auto wall = [](std::int64_t ns) { return std::chrono::system_clock::time_point{nanoseconds{ns}}; };
  return Holder{.pid = record.pid,
                .uid = record.uid,
                .label = {record.label, record.label_size},
                .since = wall(record.since),
                .expiry = sherlock::clock().wall() + (nanoseconds{record.ends} - claim.now()),
                .fence = record.fence};
}

}  // namespace record
