// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <sherlock/error.hpp>

#include "commands.hpp"
#include "exit_codes.hpp"
#include "help.hpp"
#include "output.hpp"
#include "signals.hpp"
#include "store.hpp"
#include "supervise.hpp"
#include "text.hpp"
#include "waiting.hpp"

namespace sherlock::cli {
namespace {

constexpr std::size_t kMaxLabel = 256;

struct Job {
  std::string name;
  Options options{.timeout = forever};
  int conflict = kBusy;
  bool close = false;
  OnLost on_lost = OnLost::term;
  Duration kill_after = std::chrono::seconds{5};
  char* shell = nullptr;         // of -c
  std::vector<char*> command{};  // null-terminated

  void take(int letter, const char* value) {
    switch (letter) {
      case 'w': options.timeout = parse_duration("--timeout", value); break;
      case 'n': options.timeout = std::chrono::seconds{0}; break;
      case 'E': conflict = parse_number("--conflict-exit-code", value, 255); break;
      case 't': options.expire = parse_duration("--expire", value); break;
      case 'l': options.label = value; break;
      case 'o': close = true; break;
      case 'L': on_lost = parse_on_lost(value); break;
      case 'k': kill_after = parse_duration("--kill-after", value); break;
      case 'c': shell = const_cast<char*>(value); break;
      default: break;  // -e, -x: there is nothing but exclusive
    }
  }

  static OnLost parse_on_lost(std::string_view text) {
    if (text == "term") return OnLost::term;
    if (text == "kill") return OnLost::kill;
    if (text == "warn") return OnLost::warn;
    throw UsageError{fmt::format("--on-lost={}: say term, kill or warn", text)};
  }
};

// Options may stand around LOCK, as flock(1) has its -c; the first other word, or what follows "--", is the command.
Job parse(Args& args, Common& common) {
  static const std::string letters = "w:nE:l:ok:c:ex";
  static const std::vector<option> names{{"timeout", required_argument, nullptr, 'w'},
                                         {"nonblock", no_argument, nullptr, 'n'},
                                         {"conflict-exit-code", required_argument, nullptr, 'E'},
                                         {"expire", required_argument, nullptr, 't'},
                                         {"label", required_argument, nullptr, 'l'},
                                         {"close", no_argument, nullptr, 'o'},
                                         {"on-lost", required_argument, nullptr, 'L'},
                                         {"kill-after", required_argument, nullptr, 'k'},
                                         {"command", required_argument, nullptr, 'c'},
                                         {"exclusive", no_argument, nullptr, 'x'}};
  Job job;
  const auto take = [&job](int letter, const char* value) { job.take(letter, value); };
  const bool ended = args.read_leading(common, letters, names, take);
  if (common.help || common.version) return job;
  job.name = args.take("LOCK");
  if (!ended)
    args.read_leading(common, letters, names, take);
  else if (!args.empty() && std::strcmp(args.peek(), "--") == 0)
    args.take("--");
  if (common.help || common.version) return job;
  if (common.json) throw UsageError{"run has no --json: stdout belongs to the command"};

  static char shell[] = "/bin/sh", option[] = "-c";
  if (job.shell) {
    args.finish();
    job.command = {shell, option, job.shell, nullptr};
  } else {
    if (args.empty()) throw UsageError{"COMMAND is missing"};
    for (char** word = args.rest(); *word; ++word) job.command.push_back(*word);
    job.command.push_back(nullptr);
  }
  return job;
}

std::string command_line(const Job& job) {
  if (job.shell) return job.shell;
  std::string text;
  for (const char* word : job.command)
    if (word) text += (text.empty() ? "" : " ") + std::string{word};
  return text;
}

int cannot_start(const Job& job, const std::system_error& failure) {
  const int error = failure.code().value();
  const std::string why = failure.code().message();
  switch (error) {
    case EAGAIN:
    case ENOMEM:
    case EMFILE:
    case ENFILE: complain(fmt::format("cannot start '{}': {}", job.command[0], failure.what())); return kSystem;
    case ENOENT:
      complain(
          fmt::format("cannot run '{}': {}", job.command[0], std::strchr(job.command[0], '/') ? why : "there is no such command in $PATH"));
      return kNotFound;
    default: complain(fmt::format("cannot run '{}': {}", job.command[0], why)); return kCannotRun;
  }
}

// False: it was lost before.
bool let_go(BaseLock& lock, bool known_lost) {
  if (known_lost) return lock.unlock(), false;
  try {
    lock.release();
  } catch (const LockLostException& lost) {
    complain(lost.what());
    return false;
  } catch (const LockException& failure) {  // the command was run, and how it ended is what the caller has to know: nobody shall run it again for this
    complain(failure.what());
  }
  return true;
}

}  // namespace

std::optional<std::string> backend_of_run(Args args, Common common) {
  parse(args, common);
  return common.help || common.version ? std::nullopt : std::optional{common.backend};
}

int run(Args args, Common common) {
  Job job = parse(args, common);
  if (answered(common, kRunHelp)) return EXIT_SUCCESS;
  if (!job.options.label) job.options.label = cut(command_line(job), kMaxLabel);
  // What others are shown as our name: they wait for the command, not for us.
  program_invocation_short_name = ::basename(job.command[0]);

  const Signals signals;
  const std::unique_ptr<BaseLock> lock = open_lock(common, job.name, job.options);
  try {
    if (const int signal = acquire_aloud(*lock, signals, common.quiet)) die_of(signal);
  } catch (const LockTimeoutException& busy) {
    if (!common.quiet) complain(busy.what());
    return job.conflict;
  }

  Supervised end;
  try {
    // Before the command: where no thread can be started, there is no command either. It ends before the lock is let go.
    std::optional<Keeper> keeper;
    std::uint64_t fence = 0;
    try {
      if (!lock->expire().is_infinite())
        keeper.emplace(*lock, KeeperOptions{.on_failure = [](const LockException& failure) { complain(failure.what()); }});
      fence = lock->fence();
    } catch (const LockNotHeldException&) {
      lock->unlock();
      complain(fmt::format("lock '{}': the lease of {} was over before '{}' could be started; --expire takes longer ones", job.name, lock->expire().text(),
                           job.command[0]));
      return kLost;
    }
    Child child{job.command.data(),
                {"SHERLOCK_LOCK=" + job.name, fmt::format("SHERLOCK_FENCE={}", fence)},
                job.close ? std::vector<int>{} : lock->inheritable(),
                signals};
    end = supervise(child, *lock, keeper ? &*keeper : nullptr, signals, job.on_lost, job.kill_after);
  } catch (const LockException&) {
    throw;
  } catch (const std::system_error& failure) {
    lock->unlock();
    return cannot_start(job, failure);
  }
  if (!let_go(*lock, end.lost)) return kLost;
  if (end.ending.signal) die_of(end.ending.signal);
  return end.ending.code;
}

}  // namespace sherlock::cli
