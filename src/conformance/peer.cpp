// SPDX-License-Identifier: MIT
#include "conformance/peer.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "conformance/arena.hpp"
#include "conformance/check.hpp"
#include "conformance/crew.hpp"
#include "conformance/messages.hpp"
#include "conformance/process.hpp"

namespace sherlock::conformance {
namespace {

Message yes_or_no(bool yes) { return {yes ? "true" : "false"}; }

std::chrono::nanoseconds time_of(const std::string& word) { return std::chrono::nanoseconds{std::stoll(word)}; }

void set_limit(int resource, rlim_t soft) {
  rlimit limit{};
  getrlimit(static_cast<__rlimit_resource_t>(resource), &limit);
  limit.rlim_cur = std::min(soft, limit.rlim_max);
  setrlimit(static_cast<__rlimit_resource_t>(resource), &limit);
}

// From now on this process gets no more descriptors, or no file may grow. A store outside of it then cannot be reached, or is full.
void starve(const std::string& of) {
  static const rlim_t descriptors = [] {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
  }();
  if (of == "descriptors") {
    const int lowest = dup(0);
    close(lowest);
    set_limit(RLIMIT_NOFILE, static_cast<rlim_t>(lowest));
  } else if (of == "room") {
    signal(SIGXFSZ, SIG_IGN);  // an error for whoever writes, as from a full disk
    set_limit(RLIMIT_FSIZE, 0);
  } else {
    set_limit(RLIMIT_NOFILE, descriptors);
    set_limit(RLIMIT_FSIZE, RLIM_INFINITY);
  }
}

}  // namespace

void load_plugins(const Subject& subject) {
  for (const std::string& path : subject.plugins) static_cast<void>(registry().load(path));
  // At once, as far as there is a plug-in of its name: a process is asked about its store when it is short of everything, not about loading code.
  try {
    static_cast<void>(registry().find(subject.backend));
  } catch (const ConfigurationException&) {  // whoever makes a lock will say it
  }
}

std::unique_ptr<BaseLock> make_lock(const Subject& subject, const std::string& name, const Options& options) {
  return registry().find(subject.backend).make(name, options, subject.client.empty() ? AnyClient{} : AnyClient{subject.client});
}

void Peer::play() {
  while (!over_) {
    const std::optional<Message> question = channel_.receive();
    if (!question) break;
    Message reply;
    try {
      reply = answer(*question);
    } catch (const std::exception& e) {
      reply = exception_message(e);
    }
    if (over_ || !channel_.send(reply)) break;
  }
  locks_.clear();
}

Message Peer::answer(const Message& question) {
  const std::string& word = question.at(0);
  if (word == "fork") return fork();
  if (word == "exec") {
    start_anew(channel_, spare_);
    throw std::system_error{errno, std::generic_category(), "exec"};
  }
  if (word == "end") over_ = true;
  if (word == "make") make(question);
  if (word == "destroy") locks_.erase(question.at(1));
  if (word == "starve") starve(question.at(1));
  if (word == "compete") compete(question);
  const auto found = question.size() > 1 ? locks_.find(question[1]) : locks_.end();
  return found == locks_.end() ? Message{"done"} : verb(word, *found->second, question);
}

Message Peer::verb(const std::string& word, BaseLock& lock, const Message& question) {
  if (word == "acquire") lock.acquire();
  if (word == "try_acquire") return yes_or_no(lock.try_acquire());
  if (word == "try_acquire_for") return yes_or_no(lock.try_acquire_for(time_of(question.at(2))));
  if (word == "release") lock.release();
  if (word == "unlock") lock.unlock();
  if (word == "renew") return yes_or_no(lock.renew());
  if (word == "locked") return yes_or_no(lock.locked());
  if (word == "held") return yes_or_no(lock.held());
  if (word == "fence") return {std::to_string(lock.fence())};
  if (word == "abandoned") return yes_or_no(lock.abandoned());
  if (word == "holder") return holder_message(lock.holder());
  if (word == "take turns") return take_turns(lock, time_of(question.at(2)));
  if (word == "look") return look(lock, time_of(question.at(2)));
  return yes_or_no(true);
}

void Peer::make(const Message& question) {
  Options options = options_of(question, 3);
  options.on_lost = [](const LockException&) {};
  locks_[question.at(1)] = make_lock(subject_, question.at(2), options);
}

Message Peer::fork() {
  const pid_t child = ::fork();
  if (child < 0) throw std::system_error{errno, std::generic_category(), "fork"};
  if (child > 0) {
    spare_ = Channel{};
    return {std::to_string(child)};
  }
  channel_ = std::move(spare_);
  spare_ = Channel{};
  play();
  std::exit(EXIT_SUCCESS);  // as programs end: with destructors and handlers of the parent's making
}

// Threads with a lock object each, all of one name, meet in the arena for a while.
void Peer::compete(const Message& question) {
  Arena arena{question.at(1)};
  const auto time = time_of(question.at(2));
  const Options options = options_of(question, 5);
  crew(std::stoi(question.at(3)), [&](int) {
    const auto lock = make_lock(subject_, question.at(4), options);
    for (const Timer timer; timer.elapsed() < time;) {
      lock->acquire();
      arena.visit();
      lock->release();
    }
  });
}

// Short holds one after the other: how many there were.
Message Peer::take_turns(BaseLock& lock, std::chrono::nanoseconds time) {
  std::uint64_t turns = 0;
  for (const Timer timer; timer.elapsed() < time; ++turns) {
    if (!lock.try_acquire_for(2 * time)) break;
    nap(std::chrono::milliseconds{1});
    lock.release();
  }
  return {std::to_string(turns)};
}

Message Peer::look(BaseLock& lock, std::chrono::nanoseconds time) {
  std::uint64_t looks = 0;
  for (const Timer timer; timer.elapsed() < time; ++looks)
    if (lock.locked()) static_cast<void>(lock.holder());
  return {std::to_string(looks)};
}

}  // namespace sherlock::conformance
