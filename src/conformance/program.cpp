// SPDX-License-Identifier: MIT
// sherlock-conform, and every program like it.
#include <getopt.h>
#include <sysexits.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <sherlock/conformance.hpp>
#include <sherlock/error.hpp>
#include <sherlock/registry.hpp>
#include <sherlock/version.hpp>

#include "conformance/check.hpp"
#include "conformance/clauses.hpp"
#include "conformance/json.hpp"
#include "conformance/peer.hpp"

namespace sherlock::conformance {
namespace {

constexpr const char* kHelp =
    R"(Holds a backend to the contract of sherlock's locks, clause by clause, with real processes.

usage: %s --backend NAME [--client TEXT] [--plugin PATH]... [--clause N]... [--json]
       %s --list [--json]

  -b, --backend NAME  whom to judge: %s, or one that is installed as a plug-in
  -C, --client TEXT   its store, as in configure(): a directory, a URL. A store of its own is best; nothing is removed from it
  --plugin PATH       load this library first, for a backend that is not installed; may be given several times
  --clause N          only this clause; may be given several times
  --lease TIME        the shortest expiry that the store keeps well: 2s, 500ms (300ms)
  --json              one object instead of lines
  --list              the clauses, and the traits that a backend must declare for them to apply
  --help, --version

Exit status: 0 no clause is broken, 1 at least one is, 64 the command line makes no sense, 74 the result could not be written, 78 there is no
such backend, its plug-in is refused, or its client makes no sense.
)";

class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Asked {
  Subject subject;
  std::vector<Clause> wanted;
  bool json = false, list = false, help = false, version = false;
};

// Whatever follows the number. UsageError where there is none.
template <class Number>
std::string read_number(const char* option, const char* text, Number& number) {
  const char* const end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, number);
  if (error != std::errc{}) throw UsageError{std::string{option} + ": '" + text + "' is no number"};
  return {stop, end};
}

Duration lease_of(const char* text) {
  double number = 0;
  const std::string unit = read_number("--lease", text, number);
  const Duration lease = unit == "ms" ? Duration{std::chrono::duration<double, std::milli>{number}} : Duration{std::chrono::duration<double>{number}};
  if (!unit.empty() && unit != "s" && unit != "ms") throw UsageError{std::string{"--lease: '"} + text + "' is no time, such as 2s or 500ms"};
  if (lease.is_nan() || lease.ns() < std::chrono::milliseconds{1} || lease.ns() > std::chrono::hours{1})
    throw UsageError{std::string{"--lease: "} + text + " is not between 1ms and 1h"};
  return lease;
}

Clause clause_of(const char* text) {
  int number = 0;
  if (read_number("--clause", text, number).empty())
    for (const Clause& clause : clauses())
      if (clause.number == number) return clause;
  throw UsageError{std::string{"there is no clause "} + text + ", see --list"};
}

Asked read(int argc, char** argv) {
  static const option options[] = {{"backend", required_argument, nullptr, 'b'}, {"client", required_argument, nullptr, 'C'},
                                   {"clause", required_argument, nullptr, 'n'},  {"lease", required_argument, nullptr, 'e'},
                                   {"plugin", required_argument, nullptr, 'p'},
                                   {"json", no_argument, nullptr, 'j'},          {"list", no_argument, nullptr, 'l'},
                                   {"help", no_argument, nullptr, 'h'},          {"version", no_argument, nullptr, 'v'},
                                   {nullptr, 0, nullptr, 0}};
  Asked asked;
  opterr = 0;
  optind = 1;
  for (int letter; (letter = getopt_long(argc, argv, ":b:C:h", options, nullptr)) != -1;) {
    switch (letter) {
      case 'b': asked.subject.backend = optarg; break;
      case 'C': asked.subject.client = optarg; break;
      case 'n': asked.wanted.push_back(clause_of(optarg)); break;
      case 'e': asked.subject.lease = lease_of(optarg); break;
      case 'p': asked.subject.plugins.push_back(optarg); break;
      case 'j': asked.json = true; break;
      case 'l': asked.list = true; break;
      case 'h': asked.help = true; break;
      case 'v': asked.version = true; break;
      case ':': throw UsageError{std::string{argv[optind - 1]} + " wants a value"};
      default: throw UsageError{std::string{"'"} + argv[optind - 1] + "' is not understood"};
    }
  }
  if (asked.help || asked.version) return asked;
  if (optind < argc) throw UsageError{std::string{"'"} + argv[optind] + "' is not understood"};
  if (asked.wanted.empty()) asked.wanted = clauses();
  if (asked.list) return asked;
  if (asked.subject.backend.empty()) throw UsageError{"--backend is missing"};
  asked.subject.limit = std::chrono::seconds{60} + 40 * asked.subject.lease.ns();
  return asked;
}

std::string known_backends() {
  std::string all;
  for (const std::string& name : registry().names()) all += (all.empty() ? "" : ", ") + name;
  return all;
}

const char* text(Outcome outcome) {
  switch (outcome) {
    case Outcome::kept: return "kept";
    case Outcome::broken: return "broken";
    case Outcome::not_applicable: return "not applicable";
  }
  return "";
}

// Behind the sentence of a clause, or as JSON.
std::string needs_of(const Clause& clause, bool json) {
  std::string all;
  for (const Need need : clause.needs) all += (all.empty() ? "" : json ? "," : ", ") + (json ? json_text(text(need)) : text(need));
  return json ? "[" + all + "]" : all.empty() ? "" : " (" + all + ")";
}

void list(const Asked& asked) {
  std::string objects;
  for (const Clause& clause : asked.wanted) {
    const std::string name{clause.name}, needs = needs_of(clause, asked.json);
    if (asked.json)
      objects += (objects.empty() ? "" : ",") + json_object({{"number", std::to_string(clause.number)}, {"group", json_text(clause.group)},
                                                             {"name", json_text(name)}, {"needs", needs}});
    else
      std::printf("%d. %s%s\n", clause.number, name.c_str(), needs.c_str());
  }
  if (asked.json) std::puts(json_object({{"version", "1"}, {"clauses", "[" + objects + "]"}}).c_str());
}

bool judge_all(const Asked& asked) {
  const Timer timer;
  std::map<Outcome, int> count;
  std::string objects;
  for (const Clause& clause : asked.wanted) {
    const Verdict verdict = run(clause, asked.subject);
    ++count[verdict.outcome];
    const std::string name{clause.name};
    if (asked.json)
      objects += (objects.empty() ? "" : ",") +
                 json_object({{"number", std::to_string(clause.number)}, {"group", json_text(clause.group)}, {"name", json_text(name)},
                              {"outcome", json_text(text(verdict.outcome))}, {"why", verdict.why.empty() ? "null" : json_text(verdict.why)}});
    else
      std::printf("%-14s  %2d. %s%s%s\n", text(verdict.outcome), clause.number, name.c_str(), verdict.why.empty() ? "" : ": ",
                  printable(verdict.why).c_str());
    std::fflush(stdout);
  }
  const int kept = count[Outcome::kept], broken = count[Outcome::broken], not_applicable = count[Outcome::not_applicable];
  if (asked.json)
    std::puts(json_object({{"version", "1"}, {"backend", json_text(asked.subject.backend)}, {"clauses", "[" + objects + "]"},
                           {"kept", std::to_string(kept)}, {"broken", std::to_string(broken)}, {"not_applicable", std::to_string(not_applicable)}})
                  .c_str());
  else
    std::printf("%zu clauses on %s: %d kept, %d broken, %d not applicable, in %.1f s\n", asked.wanted.size(), asked.subject.backend.c_str(), kept, broken,
                not_applicable, std::chrono::duration<double>{timer.elapsed()}.count());
  return broken == 0;
}

int guarded(const char* program, int argc, char** argv) {
  const auto complain = [program](const char* what, const char* more) { std::fprintf(stderr, "%s: %s%s\n", program, what, more); };
  bool good = true;
  try {
    const Asked asked = read(argc, argv);
    if (asked.help) {
      std::printf(kHelp, program, program, known_backends().c_str());
    } else if (asked.version) {
      std::printf("%s %s\n", program, version());
    } else if (asked.list) {
      list(asked);
    } else {
      load_plugins(asked.subject);
      registry().find(asked.subject.backend).check(asked.subject.client.empty() ? AnyClient{} : AnyClient{asked.subject.client});
      good = judge_all(asked);
    }
  } catch (const UsageError& e) {
    complain(e.what(), "; see --help");
    return EX_USAGE;
  } catch (const ConfigurationException& e) {
    complain(e.what(), "");
    return EX_CONFIG;
  } catch (const std::exception& e) {
    complain(e.what(), "");
    return EX_OSERR;
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
    complain("cannot write the result: ", std::strerror(errno));
    return EX_IOERR;
  }
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  if (const auto played = peer_main(argc, argv)) return *played;
  const char* const slash = argc > 0 ? std::strrchr(argv[0], '/') : nullptr;
  return guarded(argc > 0 ? (slash ? slash + 1 : argv[0]) : "sherlock-conform", argc, argv);
}

}  // namespace sherlock::conformance
