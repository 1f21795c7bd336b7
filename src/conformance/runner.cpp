// SPDX-License-Identifier: MIT
// A clause is judged in a process of its own: the judge. What it does, and what it starts, ends with it.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <utility>

#include <sherlock/conformance.hpp>
#include <sherlock/registry.hpp>

#include "conformance/check.hpp"
#include "conformance/clauses.hpp"
#include "conformance/messages.hpp"
#include "conformance/peer.hpp"
#include "conformance/process.hpp"
#include "conformance/stage.hpp"

namespace sherlock::conformance {
namespace {

constexpr const char *kKept = "kept", *kBroken = "broken", *kNotApplicable = "not applicable";

const Clause* clause_of(int number) {
  for (const Clause& clause : clauses())
    if (clause.number == number) return &clause;
  return nullptr;
}

Message judge(int number, const Subject& subject, Stage*& stage) {
  try {
    const Clause* clause = clause_of(number);
    if (!clause) return {kBroken, "there is no clause " + std::to_string(number)};
    load_plugins(subject);
    const Traits traits = registry().find(subject.backend).traits();
    if (const std::string missing = missing_trait(*clause, traits); !missing.empty()) return {kNotApplicable, missing};
    stage = new Stage{subject, traits};
    judge_of(number)(*stage);
    return {kKept, ""};
  } catch (const Broken& e) {
    return {kBroken, e.what()};
  } catch (const std::exception& e) {
    return {kBroken, std::string{"a verb throws: "} + e.what()};
  }
}

// Ends at once, whatever is still going on: a broken backend may have threads that would not end.
[[noreturn]] void play_judge(const Channel& channel, const Message& task) {
  const Subject subject = subject_of(task);
  Stage* stage = nullptr;
  channel.send(judge(std::stoi(task.back()), subject, stage));
  std::fflush(nullptr);
  _exit(EXIT_SUCCESS);
}

// Nothing: it has ended without a verdict.
std::optional<Message> verdict_of(Process& judge, const Message& task, Duration limit) {
  const auto hear = [&] {
    if (!judge.channel().wait_for(limit.ns())) throw Broken{"did not end within " + limit.text()};
    return judge.channel().receive();
  };
  if (!hear() || !judge.channel().send(task)) return std::nullopt;  // it says that it is there
  return hear();
}

}  // namespace

std::optional<int> peer_main(int argc, char** argv) {
  if (argc != 2 || std::strcmp(argv[1], kPlay) != 0) return std::nullopt;
  Played played = take_part();
  // Whoever started us may be dead by now; later, we would be told.
  if (!played.channel.send({std::to_string(getpid())})) return EXIT_FAILURE;
  const std::optional<Message> part = played.channel.receive();
  if (!part) return EXIT_FAILURE;
  if (part->at(0) == "judge") play_judge(played.channel, *part);
  const Subject subject = subject_of(*part);
  try {
    load_plugins(subject);
  } catch (const std::exception& e) {  // the judge could
    std::fprintf(stderr, "a peer cannot take part: %s\n", e.what());
    return EXIT_FAILURE;
  }
  Peer{subject, std::move(played.channel), std::move(played.spare)}.play();
  return EXIT_SUCCESS;
}

Verdict run(const Clause& clause, const Subject& subject) {
  try {
    Process process{subject.program, Process::Group::leader};
    Message task = subject_message("judge", subject);
    task.push_back(std::to_string(clause.number));
    const std::optional<Message> verdict = verdict_of(process, task, subject.limit);
    if (!verdict) {
      const std::string how = process.wait(std::chrono::seconds{1});
      if (how.find("killed") != std::string::npos) return {Outcome::broken, "the process that used the lock " + how};
      return {Outcome::broken, subject.program + " gave no verdict" + (how.empty() ? "" : ", and " + how) +
                                   ": does its main() call sherlock::conformance::peer_main?"};
    }
    if (verdict->at(0) == kKept) return {Outcome::kept, {}};
    return {verdict->at(0) == kNotApplicable ? Outcome::not_applicable : Outcome::broken, verdict->at(1)};
  } catch (const std::exception& e) {
    return {Outcome::broken, e.what()};
  }
}

bool kept(const Clause& clause, const Subject& subject) {
  const Verdict verdict = run(clause, subject);
  if (verdict.outcome != Outcome::broken) return true;
  std::fprintf(stderr, "%s: clause %d, %.*s: %s\n", subject.backend.c_str(), clause.number, static_cast<int>(clause.name.size()), clause.name.data(),
               verdict.why.c_str());
  return false;
}

}  // namespace sherlock::conformance
