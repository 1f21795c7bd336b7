// SPDX-License-Identifier: MIT
// From a claim to a grant: the gate, the file, the record, in this order.
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <string>
#include <utility>

#include <sherlock/clock.hpp>

#include "backends/file/file_impl.hpp"
#include "core/failure.hpp"
#include "local/presence.hpp"
#include "local/steps.hpp"
#include "local/word.hpp"
#include "posix/futex.hpp"
#include "posix/process.hpp"

namespace sherlock {

using local::Entry;
using local::GateState;
using local::Taking;
using std::chrono::nanoseconds;
namespace gate = local::gate;

namespace {

constexpr nanoseconds kDyingPatience = std::chrono::milliseconds{30};  // a dead process's files are closed one after the other

void sleep_for(nanoseconds time) {
  const timespec t = posix::as_timespec(time);
  nanosleep(&t, nullptr);
}

}  // namespace

FileLock::Impl::Impl(const std::string& key, FileClient client)
    : process_{posix::process_token()}, client_{[&] {
        FileClient absolute = std::move(client);
        absolute.directory = file::FileStore::directory_of(absolute);  // whatever the working directory will be later
        return absolute;
      }()},
      file_name_{key + ".lock"}, hash_{local::KeyHash::of(key)}, file_{file_name_} {
  file::FileStore::open(client_, posix::Missing::create);
}

// --------------------------------------------------------------------------------------------------------------- binding

const FileLock::Impl::Binding& FileLock::Impl::binding(const Claim& claim) {
  const Binding* b = binding_.load(std::memory_order_acquire);
  return b ? *b : rebind(claim);
}

const FileLock::Impl::Binding& FileLock::Impl::rebind(const Claim& claim) {
  const std::lock_guard guard{binding_mutex_};
  std::shared_ptr<file::FileStore> store = file::FileStore::open(client_, posix::Missing::create);
  const local::Found found = store->table().find_or_make(hash_, claim.ns, claim.name);
  const Binding* present = binding_.load(std::memory_order_relaxed);
  if (present && present->store == store && present->found.tenure == found.tenure && present->found.entry == found.entry) return *present;
  bindings_.push_back(std::make_unique<const Binding>(Binding{std::move(store), found}));
  binding_.store(bindings_.back().get(), std::memory_order_release);
  return *bindings_.back();
}

// -------------------------------------------------------------------------------------------------------------- the gate

std::optional<Grant> FileLock::Impl::acquire(const Claim& claim) {
  Try t{claim};
  std::unique_lock guard{lease_mutex_, std::defer_lock};
  if (t.lease()) guard.lock();
  t.at = &binding(claim);
  for (int round = 0;; ++round) {
    if (store_look_.due(t.waits() ? local::LookTimer::kWhileWaiting : local::LookTimer::kEvery)) {
      t.look = true;
      if (!t.at->store->current()) t.at = &rebind(claim);
    }
    if (t.waits() && waits_at_ && waits_at_ != t.at) give_up_place();
    switch (try_gate(t)) {
      case Outcome::granted: return t.grant;
      case Outcome::refused:
        if (claim.attempt == Attempt::last) give_up_place();
        return std::nullopt;
      case Outcome::moved:
        if (t.waits()) give_up_place();
        t.at = &rebind(claim);
    }
    if (round > 100) throw detail::Failure{Errc::busy, client_.directory + " is being removed or cleaned again and again"};
  }
}

FileLock::Impl::Outcome FileLock::Impl::try_gate(Try& t) {
  Entry& entry = t.at->entry();
  const local::Presence& presence = t.at->presence();
  const auto precedence = t.claim.attempt == Attempt::once ? local::Precedence::ignored : local::Precedence::respected;
  for (int patience = 64;;) {
    std::uint64_t word = entry.word.load();
    SHERLOCK_STEP("gate: read");
    if (t.waits() && foreign_word_) {
      // We had the gate and left it open to doubt while we waited for a foreigner. If it still is ours, we try again.
      if (gate::core(word) == foreign_word_) {
        const std::uint64_t mine = gate::with(foreign_word_, GateState::acquiring);
        if (!entry.word.compare_exchange_strong(word, mine | gate::flags(word))) continue;
        SHERLOCK_STEP("gate: ours again after a wait for a foreigner");
        foreign_word_ = 0;
        return enter(t, mine, Taking::free);
      }
      foreign_word_ = 0;
      foreign_.reset();
    }

    const auto boottime = [&] { return t.claim.now(); };
    Taking from = t.waits() ? waiter_.judge(presence, entry, word, boottime) : local::judge(presence, entry, word, precedence, boottime);
    if (from == Taking::no) {
      if (!t.at->found.current()) return Outcome::moved;
      if (t.claim.attempt != Attempt::once) return Outcome::refused;
      if (gate::state(word) == GateState::acquiring && patience-- > 0) {  // a short section: it may end in "free"
        sched_yield();
        continue;
      }
      if (gate::state(word) != GateState::foreign) return Outcome::refused;
      from = Taking::foreign;  // somebody waits for a foreigner, who may just have gone
    }
    if (from == Taking::foreign && !foreigner_gone(*t.at)) return Outcome::refused;

    if (!t.at->found.current()) return Outcome::moved;
    SHERLOCK_STEP("gate: judged");
    const std::uint64_t mine = gate::taken_by(presence.me(), word);
    const std::uint64_t flags = t.waits() ? waiter_.flags_after_taking(entry, word) : gate::flags(word);
    // Before the gate is taken, for whoever takes it from us if we die right after: the late holder may have the file locked for long.
    const std::uint32_t counted_in = from == Taking::expired ? local::stragglers::count(entry) : 0;
    SHERLOCK_STEP("gate: the straggler is counted");
    const std::uint64_t before = word;
    if (!entry.word.compare_exchange_strong(word, mine | flags)) {
      if (from == Taking::expired) local::stragglers::take_back(entry, counted_in);
      continue;
    }
    SHERLOCK_STEP("gate: taken");
    if (!t.at->found.current()) {
      local::pass_on(entry, mine);
      return Outcome::moved;
    }
    if (from == Taking::dead || from == Taking::expired) entry.marks.fetch_or(local::kAbandoned);
    SHERLOCK_STEP("gate: marked as abandoned where it was");
    if (t.waits()) {
      waiter_.took(entry, before);
      waits_at_ = nullptr;
    }
    SHERLOCK_STEP("gate: the waiter's place is given up");
    return enter(t, mine, from);
  }
}

bool FileLock::Impl::foreigner_gone(const Binding& b) const {
  return !file::LockFile::anybody_has(*b.store, file_name_, &b.entry(), b.presence());
}

// -------------------------------------------------------------------------------------------------------------- the file

// The gate is ours (`mine`, acquiring). Whatever happens here, it is passed on, or left as held, or as waiting for a foreigner.
FileLock::Impl::Outcome FileLock::Impl::enter(Try& t, std::uint64_t mine, Taking from) {
  Entry& entry = t.at->entry();
  try {
    for (int round = 0;; ++round) {
      if (round > 100) throw detail::Failure{Errc::busy, path() + " is being removed again and again"};
      const Locked locked = lock_file(t, mine, from);
      if (locked == Locked::refused) return Outcome::refused;
      if (locked == Locked::gone) return move_on(t, mine);
      SHERLOCK_STEP("grant: the file is locked");
      const bool shared = locked == Locked::shared;
      // Beside a straggler flock does not keep out those who use another companion: this one must be the one that all use.
      if (shared && !t.at->store->current()) {
        file_.unlock();
        return move_on(t, mine);
      }
      if (!file_is_right(t)) {
        file_.close();
        if (!t.at->store->current()) return move_on(t, mine);
        continue;
      }
      SHERLOCK_STEP("grant: the file is the right one");
      // The file's time says which companion's fences its holders have. A newer one's are larger than all of ours would be.
      if (const std::int64_t epoch = t.at->store->companion().epoch(); file_.stamp() != epoch) {
        if (!t.at->store->current()) {
          file_.unlock();
          return move_on(t, mine);
        }
        file_.set_stamp(epoch);
      }
      SHERLOCK_STEP("grant: the file is stamped");
      record(t, mine);
      SHERLOCK_STEP("grant: recorded");
      // From exclusive to shared in one step of the kernel's (since Linux 4.0): our successor, if we are late, can share it.
      if (!t.lease() || shared || file_.lock_shared()) break;
    }
  } catch (...) {
    try {
      file_.unlock();
    } catch (...) {
      file_.close();
    }
    local::pass_on(entry, mine);
    throw;
  }

  SHERLOCK_STEP("grant: shared where it is a lease");
  const std::uint64_t held = gate::with(mine, GateState::held);
  held_word_.store(held, std::memory_order_relaxed);
  held_at_.store(t.at, std::memory_order_relaxed);
  t.grant.abandoned = entry.marks.load(std::memory_order_relaxed) & local::kAbandoned;
  if (t.grant.abandoned) entry.marks.store(0);
  held_fence_.store(t.grant.fence, std::memory_order_relaxed);
  SHERLOCK_STEP("grant: about to be held");
  std::uint64_t word = entry.word.load();
  do {
    if (gate::core(word) != gate::core(mine)) {  // nobody takes it from the living: the companion was tampered with
      held_fence_.store(0);
      file_.close();
      throw detail::Failure{Errc::damaged, t.at->store->companion().path() + " was changed by somebody who does not keep its rules"};
    }
  } while (!entry.word.compare_exchange_weak(word, held | gate::flags(word)));
  SHERLOCK_STEP("grant: held");
  t.at->store->companion().presence().rearm();
  if (t.waits()) foreign_.reset();
  return Outcome::granted;
}

FileLock::Impl::Outcome FileLock::Impl::move_on(Try& t, std::uint64_t mine) {
  local::pass_on(t.at->entry(), mine);
  store_look_.make_due();
  return Outcome::moved;
}

// Where it is refused, somebody has it, and the gate was dealt with.
FileLock::Impl::Locked FileLock::Impl::lock_file(Try& t, std::uint64_t mine, Taking from) {
  Entry& entry = t.at->entry();
  nanoseconds give_up{}, nap = std::chrono::microseconds{20};
  for (;;) {
    if (!file_.open(*t.at->store)) return Locked::gone;
    SHERLOCK_STEP("grant: the file is open");
    if (file_.lock_exclusive(entry, t.at->presence())) {
      SHERLOCK_STEP("grant: alone in the file");
      local::stragglers::none(entry);
      return Locked::exclusively;
    }
    SHERLOCK_STEP("grant: somebody is in the file");
    // A lease holder that is late still has its shared flock. The gate was taken from it, so the file may be shared with it; everybody who
    // wants it exclusively stays out.
    if (local::stragglers::any(entry) && file_.lock_shared()) return Locked::shared;
    // What somebody has locked may be a file that was removed: then newcomers lock another one, and so must we.
    if (!file_is_right(t)) {
      file_.close();
      if (!t.at->store->current()) return Locked::gone;
      continue;
    }
    if (from != Taking::dead) break;
    const nanoseconds now = clock().monotonic();
    if (give_up.count() == 0) give_up = now + kDyingPatience;
    if (now >= give_up) break;
    sleep_for(nap);
    nap += nap / 2;
    t.look = true;
  }
  if (t.claim.attempt != Attempt::waiting) {
    local::pass_on(entry, mine);
    return Locked::refused;
  }
  const std::uint64_t foreign = gate::with(mine, GateState::foreign);
  std::uint64_t word = entry.word.load();
  while (gate::core(word) == gate::core(mine) && !entry.word.compare_exchange_weak(word, foreign | gate::flags(word))) {
  }
  SHERLOCK_STEP("grant: waits for a foreigner");
  foreign_word_ = foreign;
  waits_at_ = t.at;
  return Locked::refused;
}

// A look at the descriptor after every grant (removed, renamed over); at the path only now and then (moved away).
bool FileLock::Impl::file_is_right(Try& t) {
  if (!file_.linked()) return false;
  if (file_look_.due()) t.look = true;
  return !t.look || file_.at_path(*t.at->store);
}

void FileLock::Impl::record(Try& t, std::uint64_t mine) {
  Entry& entry = t.at->entry();
  if (t.lease() && (t.look || t.waits())) t.claim.refresh_now();  // there was a wait
  const std::uint64_t expiry = local::expiry_record(t.claim, gate::tag(mine));
  held_expiry_.store(expiry, std::memory_order_relaxed);
  entry.expiry.store(expiry);
  SHERLOCK_STEP("record: the expiry");
  t.grant.fence = entry.fence.load() + 1;
  entry.fence.store(t.grant.fence);
  SHERLOCK_STEP("record: the fence");
  entry.since.store(static_cast<std::uint64_t>(posix::coarse_wall()));
  if (t.claim.label == program_invocation_short_name)
    t.at->store->table().write_default_label(entry);
  else
    t.at->store->table().write_label(entry, t.claim.label);
}

// --------------------------------------------------------------------------------------------------------------- waiting

void FileLock::Impl::wait(const Claim& claim, nanoseconds until, std::stop_token stop) {
  if (stop.stop_requested()) return give_up_place();
  const Binding& b = binding(claim);
  if (waits_at_ && waits_at_ != &b) give_up_place();
  if (foreign_word_) {
    auto kept = file_.keep();
    const int descriptor = file_.descriptor();
    kept.unlock();
    return foreign_.wait(descriptor, until);
  }
  waits_at_ = &b;
  b.store->companion().presence().rearm();
  waiter_.wait(b.store->companion(), b.found, until, std::move(stop));
}

void FileLock::Impl::give_up_place() {
  if (!waits_at_) return;
  if (foreign_word_) local::pass_on(waits_at_->entry(), foreign_word_);
  SHERLOCK_STEP("give up: the gate is nobody's");
  foreign_word_ = 0;
  foreign_.reset();
  waiter_.leave(waits_at_->found);
  waits_at_ = nullptr;
}

}  // namespace sherlock
