// SPDX-License-Identifier: MIT
// Contents: construction; the hold; acquiring; waiting; letting go; renewing; looking; words.
//
// The uncontended path of a store that excludes threads itself is: make a claim on the stack, one virtual call, a few plain stores. No clock,
// no allocation, no atomic read-modify-write.
#include <sherlock/base_lock.hpp>

#include <fmt/core.h>
#include <sys/single_threaded.h>

#include <algorithm>
#include <utility>

#include <sherlock/clock.hpp>

#include "core/defaults.hpp"
#include "core/failure.hpp"
#include "core/key.hpp"
#include "core/report.hpp"
#include "core/turn.hpp"
#include "posix/process.hpp"

namespace sherlock {

using std::chrono::nanoseconds;

namespace {

constexpr Duration kShortSection = std::chrono::seconds{1};  // what one try may wait for the store's own short section
constexpr Duration kLongestAnswer = std::chrono::seconds{10};  // what every other verb gives the store at most

// How many holds of one object have a number of their own before the object takes a new base for them.
constexpr std::uint64_t kHoldsOfAnObject = 1ull << 32;

std::uint64_t next_object() {
  static std::atomic<std::uint64_t> objects{0};
  return objects.fetch_add(1, std::memory_order_relaxed) * kHoldsOfAnObject;
}

template <class T>
T pick(const std::optional<T>& given, const std::optional<T>& configured, T otherwise) {
  return given ? *given : configured ? *configured : std::move(otherwise);
}

Duration longer(Duration a, Duration b) { return a.ns() > b.ns() ? a : b; }
Duration shorter(Duration a, Duration b) { return a.ns() < b.ns() ? a : b; }

}  // namespace

// What a hold is, copied out of the atomics in one go.
struct BaseLock::Hold {
  State state;
  std::uint64_t owner, process, fence;
  nanoseconds lease_ends;

  // Acquired by this process and neither let go nor found lost since. A forked child inherits the object, not the hold.
  bool here() const { return process == posix::process_token(); }
  bool held() const { return state == State::held && here(); }
};

namespace {

// The word hold_. Owner::hold counts up from a base for each object, far from 62 bits.
template <class State>
std::uint64_t pack_hold(std::uint64_t owner, State state) {
  return owner << 2 | static_cast<std::uint64_t>(state);
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------- construction

BaseLock::BaseLock(std::string name, Options options, const Traits& traits, std::string_view backend, Threads threads)
    : name_{std::move(name)}, backend_{backend}, threads_{threads} {
  const std::shared_ptr<const Options> configured = detail::configured_options();
  try {
    detail::check_name(name_);
    detail::check_options(options);
    ns_ = pick(options.ns, configured->ns, std::string{});
    expire_ = pick(options.expire, configured->expire, traits.default_expire);
    timeout_ = pick(options.timeout, configured->timeout, detail::kDefaultTimeout);
    retry_interval_ = pick(options.retry_interval, configured->retry_interval, detail::kDefaultRetryInterval);
    label_ = pick(options.label, configured->label, detail::program_name());
    if (expire_.is_infinite() && !traits.never)
      throw ConfigurationException{"expire = never: this backend cannot see a holder die, so a hold must end by itself; give an expire"};
  } catch (const ConfigurationException& e) {
    throw ConfigurationException{fmt::format("lock '{}' ({}): {}", detail::printable(name_.substr(0, 64)), backend_, e.what()), name_, backend_};
  }
  on_lost_ = options.on_lost ? std::move(options.on_lost) : configured->on_lost;
  key_ = detail::make_key(ns_, name_);
  hold_.store(pack_hold(next_object(), State::none), std::memory_order_relaxed);
}

BaseLock::BaseLock(const BaseLock* alike)
    : name_{alike->name_}, backend_{alike->backend_}, ns_{alike->ns_}, label_{alike->label_}, key_{alike->key_}, expire_{alike->expire_},
      timeout_{alike->timeout_}, retry_interval_{alike->retry_interval_}, on_lost_{alike->on_lost_}, threads_{alike->threads_} {
  hold_.store(pack_hold(next_object(), State::none), std::memory_order_relaxed);
}

BaseLock::~BaseLock() {
  // In a forked child it is its parent's, with waiters that the destruction of a condition variable would wait for.
  detail::Turn* turn = turn_.load(std::memory_order_acquire);
  if (!turn) return;
  if (turn->process() == posix::process_token())
    delete turn;
  else
    posix::leave_to_parent(turn);
}

// -------------------------------------------------------------------------------------------------------------- the hold

BaseLock::Hold BaseLock::hold() const noexcept {
  const std::uint64_t word = hold_.load(std::memory_order_acquire);
  return {static_cast<State>(word & 3), word >> 2, process_.load(std::memory_order_relaxed), fence_.load(std::memory_order_relaxed),
          nanoseconds{lease_ends_.load(std::memory_order_relaxed)}};
}

bool BaseLock::late(const Hold& hold) const noexcept { return !expire_.is_infinite() && clock().boottime() >= hold.lease_ends; }

void BaseLock::establish(const Claim& claim, const Grant& grant, nanoseconds lease_ends) noexcept {
  process_.store(claim.owner.process, std::memory_order_relaxed);
  fence_.store(grant.fence, std::memory_order_relaxed);
  lease_ends_.store(lease_ends.count(), std::memory_order_relaxed);
  abandoned_.store(grant.abandoned, std::memory_order_relaxed);
  hold_.store(pack_hold(claim.owner.hold, State::held), std::memory_order_release);
}

// Before an acquire: a hold that ended without anybody's noticing is noticed now, so that the store can be asked anew. True: on_lost is to be
// told, by a caller that keeps no other thread of this object out.
bool BaseLock::settle_old_hold() noexcept {
  const Hold old = hold();
  if (old.state == State::none) return false;
  const bool lost_now = old.held() && late(old);
  if (old.held() && !lost_now) return false;  // held in earnest, by this or another thread: the store will say so
  std::uint64_t word = pack_hold(old.owner, old.state);
  if (!hold_.compare_exchange_strong(word, pack_hold(old.owner, State::none)) || !lost_now) return false;
  clean_up(old);
  return may_tell(old);
}

// The store may still carry traces of a hold whose loss is known. Whether they go now or when the store finds out matters to nobody.
void BaseLock::clean_up(const Hold& hold) noexcept {
  try {
    detail::guarded(name_, backend_, [&] { return do_release(claim_of(hold)); });
  } catch (const LockException&) {
  }
}

// Once for each hold: the numbers of an object's holds only rise.
bool BaseLock::may_tell(const Hold& hold) noexcept {
  std::uint64_t last = told_.load(std::memory_order_relaxed);
  do {
    if (last >= hold.owner) return false;
  } while (!told_.compare_exchange_weak(last, hold.owner, std::memory_order_relaxed));
  return true;
}

// The hold is this thread's to end. False: another thread of this object was quicker. With a single thread there is none, and the one
// atomic read-modify-write that BaseLock would add to an uncontended release is saved.
bool BaseLock::let_go_of(const Hold& hold) noexcept {
  const std::uint64_t none = pack_hold(hold.owner, State::none);
  if (__libc_single_threaded) {
    hold_.store(none, std::memory_order_release);
    return true;
  }
  std::uint64_t present = pack_hold(hold.owner, hold.state);
  return hold_.compare_exchange_strong(present, none);
}

void BaseLock::tell(const LockException& what) noexcept {
  if (!on_lost_) return;
  try {
    on_lost_(what);
  } catch (...) {
  }
}

// ------------------------------------------------------------------------------------------------------------- acquiring

Claim BaseLock::claim(Attempt attempt, Duration patience, nanoseconds deadline) const noexcept {
  std::uint64_t next = (hold_.load(std::memory_order_relaxed) >> 2) + 1;
  if (next % kHoldsOfAnObject == 0) [[unlikely]]
    next = next_object() + 1;
  return {key_, name_, ns_, label_, Owner{posix::process_token(), next}, expire_, attempt, 0, patience, deadline};
}

Claim BaseLock::claim_of(const Hold& hold) const noexcept {
  return {key_, name_, ns_, label_, Owner{hold.process, hold.owner}, expire_, Attempt::once, hold.fence, longer(shorter(timeout_, kLongestAnswer), kShortSection)};
}

Claim BaseLock::question() const noexcept {
  return {key_, name_, ns_, label_, Owner{}, expire_, Attempt::once, 0, longer(shorter(timeout_, kLongestAnswer), kShortSection)};
}

// `old_hold_lost`: the store granted what this object took itself to hold, so the old hold is over, and on_lost is to be told.
bool BaseLock::ask(const Claim& claim, bool& old_hold_lost) {
  const bool lease = !expire_.is_infinite();
  if (lease) claim.now();  // a lease counts from before the store was asked
  const std::optional<Grant> grant = detail::guarded(name_, backend_, [&] { return do_acquire(claim); });
  if (!grant) return false;

  nanoseconds ends{};
  if (lease) {
    ends = expire_.after(claim.now());
    // A slow store may grant a lease that is over. Nobody ever had it.
    if (threads_ == Threads::one_at_a_time && clock().boottime() >= ends) {
      clean_up({State::held, claim.owner.hold, claim.owner.process, grant->fence, ends});
      return false;
    }
  }
  if ((hold_.load(std::memory_order_relaxed) & 3) != static_cast<std::uint64_t>(State::none)) [[unlikely]] {
    const Hold old = hold();
    if (old.held()) old_hold_lost = may_tell(old);
  }
  establish(claim, *grant, ends);
  return true;
}

// One try, with the object to itself where the backend wants that.
bool BaseLock::attempt(Attempt attempt, Duration patience) {
  if ((hold_.load(std::memory_order_relaxed) & 3) != static_cast<std::uint64_t>(State::none)) [[unlikely]]
    if (settle_old_hold()) tell(lost());
  bool old_hold_lost = false, granted = false;
  if (threads_ == Threads::store_excludes) {
    granted = ask(claim(attempt, patience), old_hold_lost);
  } else {
    const nanoseconds answer_by = claim(attempt, patience).answer_by();
    detail::Turn& turn = this->turn();
    if (!turn.enter_first(answer_by))
      throw BackendException{Errc::busy, fmt::format("lock '{}' ({}): another thread's request on this object has had no answer for {}",
                                                     detail::printable(name_), backend_, patience.text()), name_, backend_};
    struct Leave {
      detail::Turn& turn;
      ~Leave() { turn.leave(); }
    } leave{turn};
    granted = ask(claim(attempt, patience, answer_by), old_hold_lost);
  }
  if (old_hold_lost) [[unlikely]]
    tell(lost());
  return granted;
}

void BaseLock::acquire() { acquire(std::stop_token{}); }

void BaseLock::acquire(std::stop_token stop) {
  if (stop.stop_requested()) throw_cancelled("before it was tried");
  if (!acquire_within(timeout_, stop)) throw_timeout(timeout_.ns());
}

bool BaseLock::try_acquire() { return attempt(Attempt::once, kShortSection); }

bool BaseLock::try_acquire_within(Duration timeout) {
  if (timeout.is_nan() || timeout.ns().count() <= 0) return try_acquire();
  return acquire_within(timeout, {});
}

// --------------------------------------------------------------------------------------------------------------- waiting

bool BaseLock::acquire_within(Duration timeout, const std::stop_token& stop) {
  if (timeout.ns().count() == 0) return try_acquire();
  // Only a store that may be slow is worth reading the clock before the first try.
  const bool may_be_slow = threads_ == Threads::one_at_a_time;
  const nanoseconds before = may_be_slow ? clock().monotonic() : nanoseconds{};
  if (attempt(Attempt::first, longer(timeout, kShortSection))) return true;
  return wait_for_grant(timeout.after(may_be_slow ? before : clock().monotonic()), stop);
}

bool BaseLock::wait_for_grant(nanoseconds deadline, const std::stop_token& stop) {
  nanoseconds now = clock().monotonic();
  if (now >= deadline) return false;
  detail::Turn& turn = this->turn();
  if (!turn.enter(deadline, stop)) {
    if (stop.stop_requested()) throw_cancelled("while it waited");
    return attempt(Attempt::first, kShortSection);  // the last try; another thread of this object has the place in the queue
  }
  struct Waiting {
    BaseLock& lock;
    detail::Turn& turn;
    bool settled = false;  // the backend knows that the wait is over
    bool old_hold_lost = false;
    ~Waiting() {
      if (!settled) lock.end_wait();
      turn.leave();
      if (old_hold_lost) lock.tell(lock.lost());
    }
  } waiting{*this, turn};

  for (;;) {
    const nanoseconds until = std::min(deadline, retry_interval_.after(now));
    const Claim waiter = claim(Attempt::waiting, kShortSection, deadline);
    detail::guarded(name_, backend_, [&] {
      if (threads_ == Threads::store_excludes) return do_wait(waiter, until, stop);
      const detail::Turn::Sleep sleep{turn, stop};
      do_wait(waiter, until, sleep.token());
    });
    if (stop.stop_requested()) throw_cancelled("while it waited");
    if (threads_ == Threads::one_at_a_time) turn.make_room();
    if (settle_old_hold()) {
      // What is told may use the lock.
      turn.leave();
      tell(lost());
      turn.enter_first(nanoseconds::max());
    }

    const bool last = clock().monotonic() >= deadline;
    const bool granted = ask(claim(last ? Attempt::last : Attempt::waiting, kShortSection, deadline), waiting.old_hold_lost);
    waiting.settled = granted || last;
    if (waiting.settled) return granted;
    now = clock().monotonic();
    if (now >= deadline) return false;  // a slow store had its last try already
  }
}

// Tells the backend that a wait is over, in the one way it has to know for cancellation anyway.
void BaseLock::end_wait() noexcept {
  try {
    std::stop_source stopped;
    stopped.request_stop();
    do_wait(claim(Attempt::waiting, kShortSection), clock().monotonic(), stopped.get_token());
  } catch (...) {
  }
}

detail::Turn& BaseLock::turn() const {
  detail::Turn* present = turn_.load(std::memory_order_acquire);
  while (!present || present->process() != posix::process_token()) {
    auto* fresh = new detail::Turn{posix::process_token()};
    // In a forked child the old one may be locked for ever by a thread that does not exist there: left alone.
    if (turn_.compare_exchange_strong(present, fresh, std::memory_order_acq_rel)) {
      if (present) posix::leave_to_parent(present);
      return *fresh;
    }
    delete fresh;
  }
  return *present;
}

void BaseLock::do_wait(const Claim&, nanoseconds deadline, std::stop_token stop) { clock().sleep_until(deadline, std::move(stop)); }

// ------------------------------------------------------------------------------------------------------------ letting go

// False: it had been lost, and on_lost knows. Throws what the store throws; then it is still held.
bool BaseLock::end_hold() {
  const Hold hold = this->hold();
  if (!hold.held()) {
    if (hold.state != State::lost || !hold.here() || !let_go_of(hold)) throw_not_held("release");
    return false;
  }
  const bool late = this->late(hold);
  // Before the store is told: the moment it is, another thread of this object may be granted and write these.
  if (!let_go_of(hold)) throw_not_held("release");
  bool ours = false;
  try {
    ours = detail::guarded(name_, backend_, [&] { return do_release(claim_of(hold)); });
  } catch (...) {
    std::uint64_t none = pack_hold(hold.owner, State::none);
    hold_.compare_exchange_strong(none, pack_hold(hold.owner, State::held));
    throw;
  }
  if (ours && !late) return true;
  if (may_tell(hold)) tell(lost());
  return false;
}

void BaseLock::release() {
  if (!end_hold()) throw lost();
}

void BaseLock::unlock() noexcept {
  const Hold hold = this->hold();
  if (hold.state == State::none) return;
  try {
    end_hold();
  } catch (const LockNotHeldException&) {  // a forked child's, or another thread of this object was quicker
  } catch (const LockException& e) {
    if (may_tell(hold)) tell(e);
  }
}

void BaseLock::let_go() noexcept { unlock(); }

// -------------------------------------------------------------------------------------------------------------- renewing

bool BaseLock::renew() {
  const Hold hold = this->hold();
  if (!hold.held()) {
    if (hold.state == State::lost && hold.here()) return false;
    throw_not_held("renew");
  }
  const Claim claim = claim_of(hold);
  const bool lease = !expire_.is_infinite();
  if ((!lease || claim.now() < hold.lease_ends) && detail::guarded(name_, backend_, [&] { return do_renew(claim); })) {
    if (lease) lease_ends_.store(expire_.after(claim.now()).count(), std::memory_order_relaxed);
    return true;
  }
  // Unless another thread of this object let it go meanwhile: then there was nothing to lose.
  std::uint64_t held = pack_hold(hold.owner, State::held);
  if (!hold_.compare_exchange_strong(held, pack_hold(hold.owner, State::lost))) return false;
  clean_up(hold);
  if (may_tell(hold)) tell(lost());
  return false;
}

// --------------------------------------------------------------------------------------------------------------- looking

bool BaseLock::locked() const {
  return detail::guarded(name_, backend_, [&] { return do_locked(question()); });
}

std::optional<Holder> BaseLock::holder() const {
  return detail::guarded(name_, backend_, [&] { return do_holder(question()); });
}

bool BaseLock::held() const noexcept {
  const Hold hold = this->hold();
  return hold.held() && !late(hold);
}

std::uint64_t BaseLock::fence() const {
  if (!held()) throw_not_held("fence");
  return fence_.load(std::memory_order_relaxed);
}

bool BaseLock::abandoned() const {
  if (!held()) throw_not_held("abandoned");
  return abandoned_.load(std::memory_order_relaxed);
}

std::vector<int> BaseLock::inheritable() const {
  if (!held()) return {};
  return detail::guarded(name_, backend_, [&] { return do_inheritable(claim_of(hold())); });
}

std::vector<int> BaseLock::do_inheritable(const Claim&) const { return {}; }

// ----------------------------------------------------------------------------------------------------------------- words

void BaseLock::throw_timeout(nanoseconds waited) const {
  std::string text =
      fmt::format("lock '{}' ({}): timed out after {}", detail::printable(name_), backend_, Duration{waited}.text());
  try {
    const Claim brief{key_, name_, ns_, label_, Owner{}, expire_, Attempt::once, 0, kShortSection};  // the wait has been long enough
    if (const auto holder = detail::guarded(name_, backend_, [&] { return do_holder(brief); }))
      text += "; held by " + detail::describe(*holder, clock().wall());
    else
      text += "; free at this moment";
  } catch (const LockException&) {
    text += "; who holds it cannot be told just now";
  }
  throw LockTimeoutException{Errc::timeout, text, name_, backend_};
}

void BaseLock::throw_cancelled(const char* when) const {
  throw LockCancelledException{Errc::cancelled, fmt::format("lock '{}' ({}): cancelled {}", detail::printable(name_), backend_, when), name_,
                               backend_};
}

void BaseLock::throw_not_held(const char* verb) const {
  throw LockNotHeldException{Errc::not_held, fmt::format("lock '{}' ({}): {} of a lock that this object does not hold", detail::printable(name_),
                                                         backend_, verb), name_, backend_};
}

LockLostException BaseLock::lost() const {
  return {Errc::lost, fmt::format("lock '{}' ({}): the hold ended before it was released: {}", detail::printable(name_), backend_,
                                  expire_.is_infinite() ? "its store was removed or taken away"
                                                        : "it had expired, was taken over, or its store was removed"), name_, backend_};
}

}  // namespace sherlock
