// SPDX-License-Identifier: MIT
#include "local/presence.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "core/failure.hpp"
#include "local/steps.hpp"
#include "posix/process.hpp"

namespace sherlock::local {
namespace {

bool lock_byte(int fd, std::int64_t byte) {
  struct flock lock = posix::byte_range(F_WRLCK, byte, 1);
  if (posix::sys_fcntl_lock(fd, F_OFD_SETLK, &lock) == 0) return true;
  if (errno == EAGAIN || errno == EACCES) return false;
  posix::throw_errno("cannot lock a byte of the companion");
}

bool anybody_else_has(int fd, std::int64_t start, std::int64_t length) {
  struct flock lock = posix::byte_range(F_WRLCK, start, length);
  if (posix::sys_fcntl_lock(fd, F_OFD_GETLK, &lock) != 0) posix::throw_errno("cannot ask for the locks of the companion");
  return lock.l_type != F_UNLCK;
}

// A life word that is not kept is unlocked: the mapping goes, and the thread's list of robust mutexes would lead through it.
struct UnlockAgain {
  explicit UnlockAgain(pthread_mutex_t& of) : life{&of} {}
  ~UnlockAgain() {
    if (life) pthread_mutex_unlock(life);
  }
  UnlockAgain(const UnlockAgain&) = delete;
  UnlockAgain& operator=(const UnlockAgain&) = delete;
  pthread_mutex_t* life;
};

}  // namespace

Presence::Presence(const posix::LockFd& file, Slot* slots) : file_{file}, slots_{slots} {
  // Starting anywhere spreads the generations: a slot that came again and again would repeat one sooner.
  const auto start = static_cast<std::uint32_t>(posix::process_token());
  for (std::uint32_t i = 0; i < kSlots; ++i) {
    const std::uint32_t index = (start + i) % kSlots;
    // The claim byte first: whoever is stopped between the two must not make his dead predecessor look alive.
    if (!lock_byte(file.get(), kClaimByte + index)) continue;
    SHERLOCK_STEP("presence: the place is claimed");
    Slot& slot = slots_[index];
    me_ = {index, (slot.generation.fetch_add(1) + 1) & static_cast<std::uint32_t>(gate::kGenerationMask)};
    SHERLOCK_STEP("presence: a new generation");
    publish_facts(slot);
    SHERLOCK_STEP("presence: the facts are written");

    // The predecessor is dead to its last descriptor, and the kernel has long been through its robust list.
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&slot.life, &attributes);
    pthread_mutexattr_destroy(&attributes);
    pthread_mutex_trylock(&slot.life);
    UnlockAgain undo{slot.life};
    posix::futex_wake_all(life(me_));
    SHERLOCK_STEP("presence: the life word is locked");

    if (!lock_byte(file.get(), kPresenceByte + index)) continue;  // cannot be, but for a foreign hand in the file
    SHERLOCK_STEP("presence: alive");
    undo.life = nullptr;
    return;
  }
  throw detail::Failure{Errc::system, "all 4096 places of the store are taken by living processes"};
}

void Presence::publish_facts(Slot& slot) const {
  slot.pid = getpid();
  slot.uid = geteuid();
  const auto copy = [](auto& room, const std::string& text) {
    std::memset(room, 0, sizeof room);
    std::memcpy(room, text.data(), std::min(sizeof room, text.size()));
  };
  copy(slot.program, posix::program_name());
  copy(slot.host, posix::host_name());
}

// False too where the word does not say that this thread has it, because it was written over: unlocking that would leave the list as it is.
bool Presence::withdraw() {
  return (life(me_).load() & FUTEX_TID_MASK) == static_cast<std::uint32_t>(gettid()) && pthread_mutex_unlock(&slots_[me_.slot].life) == 0;
}

bool Presence::alive(Identity who) const {
  if (who == me_) return true;
  if (who.slot >= kSlots || (slots_[who.slot].generation.load() & gate::kGenerationMask) != who.generation) return false;
  // Where a stranger closed our descriptor, and the number is another file's by now, nobody has anything: who cannot tell takes nobody for dead.
  return anybody_else_has(file_.get(), kPresenceByte + who.slot, 1) || !file_.intact();
}

bool Presence::anybody(int file) { return anybody_else_has(file, kPresenceByte, kSlots); }

std::uint32_t Presence::ask_to_be_woken(Identity who) const {
  Word& word = const_cast<Word&>(life(who));
  std::uint32_t seen = word.load();
  if (!watched(seen)) return 0;
  if (!(seen & FUTEX_WAITERS) && !word.compare_exchange_strong(seen, seen | FUTEX_WAITERS)) return 0;
  return seen | FUTEX_WAITERS;
}

void Presence::take_life_word() const {
  pthread_mutex_t& life = slots_[me_.slot].life;
  if (pthread_mutex_trylock(&life) == EOWNERDEAD) pthread_mutex_consistent(&life);
}

}  // namespace sherlock::local
