// SPDX-License-Identifier: MIT
#include "args.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace sherlock::cli {
namespace {

// Long options without a letter of their own, beyond what a char can be.
enum : int { kJsonOption = 0x200, kColorOption, kHelpOption, kVersionOption };

Color parse_color(std::string_view text) {
  if (text == "auto") return Color::automatic;
  if (text == "always") return Color::always;
  if (text == "never") return Color::never;
  throw UsageError{fmt::format("--color={}: say auto, always or never", text)};
}

bool take_common(Common& common, int letter, const char* value) {
  switch (letter) {
    case 'b': common.backend = value; return true;
    case 'C': common.client = value; return true;
    case 'N': common.ns = value; return true;
    case 'q': common.quiet = true; return true;
    case kJsonOption: common.json = true; return true;
    case kColorOption: common.color = parse_color(value); return true;
    case kHelpOption: common.help = true; return true;
    case kVersionOption: common.version = true; return true;
    default: return false;
  }
}

}  // namespace

bool Args::read_leading(Common& common, const std::string& letters, const std::vector<option>& own, const Own& take) {
  return read("+:", common, letters, own, take);
}

void Args::read_all(Common& common, const std::string& letters, const std::vector<option>& own, const Own& take) {
  read(":", common, letters, own, take);
}

bool Args::read(const char* mode, Common& common, const std::string& letters, const std::vector<option>& own, const Own& take) {
  std::vector<option> all{{"backend", required_argument, nullptr, 'b'}, {"client", required_argument, nullptr, 'C'},
                          {"ns", required_argument, nullptr, 'N'},      {"quiet", no_argument, nullptr, 'q'},
                          {"json", no_argument, nullptr, kJsonOption},  {"color", required_argument, nullptr, kColorOption},
                          {"help", no_argument, nullptr, kHelpOption},  {"version", no_argument, nullptr, kVersionOption}};
  all.insert(all.end(), own.begin(), own.end());
  all.push_back({nullptr, 0, nullptr, 0});

  opterr = 0;
  optind = 0;  // glibc: start over, with these letters
  const std::string known = mode + ("b:C:N:q" + letters);
  char** const words = argv_ + next_ - 1;
  const char* value = nullptr;
  for (;;) {
    const int letter = ::getopt_long(argc_ - next_ + 1, words, known.c_str(), all.data(), nullptr);
    if (letter == -1) break;
    if (letter == '?' || letter == ':') {
      next_ += optind - 1;
      refuse_option(letter, known);
    }
    value = optarg;
    if (!take_common(common, letter, optarg)) take(letter, optarg);
  }
  const char* const last = words[optind - 1];
  next_ += optind - 1;
  return optind > 1 && std::strcmp(last, "--") == 0 && last != value;
}

// `optopt` is the letter or the number of the option; 0 for a long name that is not known.
void Args::refuse_option(int why, std::string_view known) const {
  const bool has_letter = optopt > 0 && optopt < kJsonOption;
  const std::string shown = has_letter ? fmt::format("-{}", static_cast<char>(optopt)) : std::string{argv_[next_ - 1]};
  if (why == ':') throw UsageError{fmt::format("option {} needs a value", shown)};
  if (optopt >= kJsonOption || (has_letter && optopt != ':' && known.find(static_cast<char>(optopt)) != known.npos))
    throw UsageError{fmt::format("option {} takes no value", shown)};
  throw UsageError{fmt::format("option {} is not known, or not clear", shown)};
}

const char* Args::take(std::string_view what) {
  if (empty()) throw UsageError{fmt::format("{} is missing", what)};
  return argv_[next_++];
}

void Args::finish() const {
  if (!empty()) throw UsageError{fmt::format("'{}' is one word too many", peek())};
}

Duration parse_duration(std::string_view option, std::string_view text) {
  const UsageError wrong{fmt::format("{} '{}' is no length of time: say 5 or 0.5 (seconds), 250ms, 5m, 1h, 2d or never", option, text)};
  if (text == "inf" || text == "infinity" || text == "never" || text == "forever") return never;

  constexpr std::array<std::pair<std::string_view, double>, 5> kUnits{{{"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}};
  double seconds = 0;
  const bool bare = text.find_first_not_of("0123456789.") == text.npos;
  std::string_view rest = text;
  do {
    double number = 0;
    // from_chars would take "inf" and "nan" as numbers, and a sign.
    if (rest.empty() || rest.find_first_of("0123456789.") != 0) throw wrong;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (error != std::errc{}) throw wrong;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    double unit = bare && rest.empty() ? 1 : 0;
    const std::string_view name = rest.substr(0, rest.find_first_of("0123456789."));
    for (const auto& [known, worth] : kUnits)
      if (name == known) unit = worth;
    if (unit == 0) throw wrong;
    seconds += number * unit;
    rest.remove_prefix(name.size());
  } while (!rest.empty());
  return std::chrono::duration<double>{seconds};
}

int parse_number(std::string_view option, std::string_view text, int most) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 0 || number > most)
    throw UsageError{fmt::format("{} '{}' is no whole number from 0 to {}", option, text, most)};
  return number;
}

bool colored(Color choice) {
  if (choice != Color::automatic) return choice == Color::always;
  const char* const refused = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  return !(refused && *refused) && terminal && std::strcmp(terminal, "dumb") != 0 && ::isatty(STDOUT_FILENO);
}

}  // namespace sherlock::cli
