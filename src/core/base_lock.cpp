// SPDX-License-Identifier: MIT
// Contents: construction; the hold; acquiring; waiting; letting go; renewing; looking; words.
//
// What a store can do at once, without a claim, is in at_once.cpp; the wait in waiting.cpp. Here as there, an uncontended acquire of a store that excludes
// threads itself reads no clock but a lease's, allocates nothing, and has no atomic read-modify-write of its own.
#include <sherlock/base_lock.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include <sherlock/clock.hpp>

#include "core/defaults.hpp"
#include "core/failure.hpp"
#include "core/hold.hpp"
#include "core/key.hpp"
#include "core/report.hpp"
#include "core/turn.hpp"
#include "posix/process.hpp"

namespace sherlock {

using detail::kShortSection;
using detail::longer;
using detail::pack_hold;
using detail::shorter;
using std::chrono::nanoseconds;

namespace {

constexpr Duration kLongestAnswer = std::chrono::seconds{10};  // what every other verb gives the store at most
constexpr Duration kCleanUp = std::chrono::milliseconds{100};  // what is given it where its answer matters to nobody

template <class T>
T pick(const std::optional<T>& given, const std::optional<T>& configured, T otherwise) {
  return given ? *given : configured ? *configured : std::move(otherwise);
}

}  // namespace

namespace detail {

std::uint64_t next_object() {
  static std::atomic<std::uint64_t> objects{0};
  return objects.fetch_add(1, std::memory_order_relaxed) * kHoldsOfAnObject;
}

}  // namespace detail

// ---------------------------------------------------------------------------------------------------------- construction

BaseLock::BaseLock(std::string name, Options options, const Traits& traits, std::string_view backend, Threads threads)
    : name_{std::move(name)}, backend_{backend}, threads_{threads == Threads::one_at_a_time ? threads : Threads::store_excludes},
      at_once_{threads == Threads::store_decides_at_once}, store_{this} {
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
  words_ = {key_, name_, ns_, label_};
  patience_ = longer(shorter(timeout_, kLongestAnswer), kShortSection);
  hold_.store(pack_hold(detail::next_object(), State::none), std::memory_order_relaxed);
  process_.store(posix::process_token(), std::memory_order_relaxed);
  if (at_once_) quick_process_.store(posix::process_token(), std::memory_order_relaxed);
}

BaseLock::BaseLock(BaseLock* inner)
    : name_{inner->name_}, backend_{inner->backend_}, ns_{inner->ns_}, label_{inner->label_}, key_{inner->key_},
      timeout_{inner->timeout_}, retry_interval_{inner->retry_interval_}, on_lost_{inner->on_lost_}, threads_{inner->threads_}, at_once_{inner->at_once_},
      words_{key_, name_, ns_, label_}, patience_{inner->patience_}, expire_{inner->expire_}, store_{inner} {
  hold_.store(pack_hold(detail::next_object(), State::none), std::memory_order_relaxed);
  process_.store(posix::process_token(), std::memory_order_relaxed);
  if (at_once_) quick_process_.store(posix::process_token(), std::memory_order_relaxed);
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

// The store may still carry traces of a hold whose loss is known. Whether they go now or when the store finds out matters to nobody, so nobody, who is to
// be told of the loss or wants a try, waits for a store that does not answer.
void BaseLock::clean_up(const Hold& hold) noexcept {
  const Claim brief{words_, Owner{hold.process, hold.owner}, expire_, Attempt::once, hold.fence, kCleanUp};
  try {
    detail::guarded(name_, backend_, [&] { return store_->do_release(brief); });
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

void BaseLock::tell(const LockException& what) noexcept {
  if (keeper_.load(std::memory_order_acquire)) tell_keeper();
  if (!on_lost_) return;
  try {
    on_lost_(what);
  } catch (...) {
  }
}

// ------------------------------------------------------------------------------------------------------------- acquiring

Claim BaseLock::question() const noexcept {
  return {words_, Owner{}, expire_, Attempt::once, 0, patience_};
}

// What was granted at once while this object's hold changed: the store granted what this object took itself to hold, or another thread of it was here too.
void BaseLock::establish_beside(std::uint64_t fence, nanoseconds lease_ends) {
  const Hold old = hold();
  establish(claim(Attempt::once, {}).owner, {.fence = fence}, lease_ends);
  if (old.held() && may_tell(old)) tell(lost());
}

// One try.
bool BaseLock::attempt(Attempt attempt, Duration patience) {
  if ((hold_.load(std::memory_order_relaxed) & 3) != static_cast<std::uint64_t>(State::none)) [[unlikely]]
    if (settle_old_hold()) tell(lost());
  if (threads_ == Threads::one_at_a_time) [[unlikely]]
    return attempt_in_turn(attempt, patience);
  bool old_hold_lost = false;
  const bool granted = ask(claim(attempt, patience), old_hold_lost);
  if (old_hold_lost) [[unlikely]]
    tell(lost());
  return granted;
}

// With the object to itself.
bool BaseLock::attempt_in_turn(Attempt attempt, Duration patience) {
  bool old_hold_lost = false, granted = false;
  {
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
  if (old_hold_lost) tell(lost());
  return granted;
}

bool BaseLock::acquire_within(Duration timeout, const std::stop_token& stop) {
  if (timeout.ns().count() == 0) [[unlikely]]
    return try_acquire();
  // Only a store that may be slow is worth reading the clock before the first try.
  const bool may_be_slow = threads_ == Threads::one_at_a_time;
  const nanoseconds before = may_be_slow ? clock().monotonic() : nanoseconds{};
  if (attempt(Attempt::first, longer(timeout, kShortSection))) [[likely]]
    return true;
  return wait_for_grant(timeout.after(may_be_slow ? before : clock().monotonic()), stop);
}

void BaseLock::acquire(std::stop_token stop) {
  if (stop.stop_requested()) throw_cancelled("before it was tried");
  if (!acquire_within(timeout_, stop)) throw_timeout(timeout_.ns());
}

bool BaseLock::try_acquire_within(Duration timeout) {
  if (timeout.is_nan() || timeout.ns().count() <= 0) return try_acquire();
  return acquire_at_once() || acquire_within(timeout, {});
}

// ------------------------------------------------------------------------------------------------------------ letting go

// False: it had been lost, and on_lost knows. Throws what the store throws; then it is still held.
bool BaseLock::end_hold(Hold hold) {
  std::stop_source keeper{std::nostopstate};
  while (hold.state == State::kept && hold.here()) {
    keeper = dismiss_keeper();  // before the store is told: nothing is renewed that was let go
    const std::uint64_t owner = hold.owner;
    hold = this->hold();
    if (hold.owner != owner) throw_not_held("release");
  }
  if (!hold.held()) {
    if (hold.state != State::lost || !hold.here() || !let_go_of(hold)) throw_not_held("release");
    return false;
  }
  const bool late = this->late(hold);
  // Before the store is told: the moment it is, another thread of this object may be granted and write these.
  if (!let_go_of(hold)) throw_not_held("release");
  const bool good = tell_store(hold, late);
  if (!good) keeper.request_stop();
  return good;
}

// The second half of letting go. False and exceptions as end_hold().
bool BaseLock::tell_store(const Hold& hold, bool late) {
  bool ours = false;
  try {
    ours = detail::guarded(name_, backend_, [&] { return store_->do_release(claim_of(hold)); });
  } catch (...) {
    std::uint64_t none = pack_hold(hold.owner, State::none);
    hold_.compare_exchange_strong(none, pack_hold(hold.owner, State::held));
    throw;
  }
  if (ours && !late) return true;
  if (may_tell(hold)) tell(lost());
  return false;
}

[[gnu::cold]] void BaseLock::release_with_care(std::uint64_t let_go, std::uint64_t fence) {
  if (!(let_go != 0 ? tell_store(hold_let_go(let_go, fence), false) : end_hold(hold()))) throw lost();
}

[[gnu::cold]] void BaseLock::unlock_with_care(std::uint64_t let_go, std::uint64_t fence) noexcept {
  const Hold hold = let_go != 0 ? hold_let_go(let_go, fence) : this->hold();
  if (hold.state == State::none) return;
  try {
    if (let_go != 0)
      tell_store(hold, false);
    else
      end_hold(hold);
  } catch (const LockNotHeldException&) {  // a forked child's, or another thread of this object was quicker
  } catch (const LockException& e) {
    if (may_tell(hold)) tell(e);
  }
}

void BaseLock::let_go() noexcept {
  unlock();  // which dismisses the keeper of what it lets go, and tells it if that was lost
  if (keeper_.load(std::memory_order_acquire)) dismiss_keeper();
}

// -------------------------------------------------------------------------------------------------------------- renewing

bool BaseLock::renew() {
  const Hold hold = this->hold();
  if (!hold.held()) {
    if (hold.state == State::lost && hold.here()) return false;
    throw_not_held("renew");
  }
  const Renewal renewal = renew_within(hold, patience_);
  if (renewal == Renewal::lost) tell(lost());
  return renewal == Renewal::done;
}

BaseLock::Renewal BaseLock::renew_within(const Hold& hold, Duration patience) {
  const Claim claim{words_, Owner{hold.process, hold.owner}, expire_, Attempt::once, hold.fence, patience};
  const bool lease = !expire_.is_infinite();
  if ((!lease || claim.now() < hold.lease_ends) && detail::guarded(name_, backend_, [&] { return do_renew(claim); }))
    return !lease || prolong(hold, expire_.after(claim.now())) ? Renewal::done : Renewal::ended;
  // Unless another thread of this object let it go meanwhile: then there was nothing to lose.
  if (!mark(hold, State::lost)) return Renewal::ended;
  clean_up(hold);
  return may_tell(hold) ? Renewal::lost : Renewal::ended;
}

// Of renewals that were made at one time the shorter counts: the store may have seen it last. False: the lease was over before, because a Keeper has
// told so meanwhile, which stays true.
bool BaseLock::prolong(const Hold& hold, nanoseconds lease_ends) noexcept {
  std::int64_t present = hold.lease_ends.count(), next = lease_ends.count();
  while (!lease_ends_.compare_exchange_weak(present, next)) {
    if (present == hold.lease_ends.count()) continue;
    if (clock().boottime().count() >= present) return false;
    next = std::min(present, lease_ends.count());
  }
  return true;
}

// A hold that is held, by a Keeper or without one, becomes something else. False: it has ended already.
bool BaseLock::mark(const Hold& hold, State state) noexcept {
  std::uint64_t word = hold_.load(std::memory_order_relaxed);
  while (word == pack_hold(hold.owner, State::held) || word == pack_hold(hold.owner, State::kept))
    if (hold_.compare_exchange_weak(word, pack_hold(hold.owner, state))) return true;
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
    const Claim brief{words_, Owner{}, expire_, Attempt::once, 0, kShortSection};  // the wait has been long enough
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
