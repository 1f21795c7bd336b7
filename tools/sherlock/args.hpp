// SPDX-License-Identifier: MIT
// The command line, read by getopt_long: options that every command knows, and those of the command.
#pragma once

#include <getopt.h>

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sherlock/config.hpp>
#include <sherlock/duration.hpp>

namespace sherlock::cli {

// The command line makes no sense. The text names the words that do not.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class Color { automatic, always, never };

// What may stand before and after the command. Only these words say which lock is meant, never the environment.
struct Common {
  std::string backend = "file";
  AnyClient client{};
  std::optional<std::string> ns{};
  Color color = Color::automatic;
  bool json = false, quiet = false, help = false, version = false;
};

class Args {
 public:
  // What a command does with an option of its own; `value` is empty where it takes none.
  using Own = std::function<void(int letter, const char* value)>;

  Args(int argc, char** argv) : argc_{argc}, argv_{argv} {}

  // Reads options up to the first word that is none (which stays), or up to "--" (which goes). True: there was a "--".
  bool read_leading(Common& common, const std::string& letters = {}, const std::vector<option>& own = {}, const Own& take = {});
  // Reads options wherever they stand; the other words stay.
  void read_all(Common& common, const std::string& letters = {}, const std::vector<option>& own = {}, const Own& take = {});

  bool empty() const { return next_ >= argc_; }
  const char* peek() const { return argv_[next_]; }
  // The next word; UsageError "... is missing" without one.
  const char* take(std::string_view what);
  // All the words left, null-terminated as exec wants them.
  char** rest() const { return argv_ + next_; }
  // UsageError if words are left.
  void finish() const;

 private:
  bool read(const char* mode, Common& common, const std::string& letters, const std::vector<option>& own, const Own& take);
  [[noreturn]] void refuse_option(int why, std::string_view known) const;

  int argc_;
  char** argv_;
  int next_ = 1;  // argv_[next_ - 1] is the program or the command, which getopt passes over
};

// "5" and "0.5" are seconds, "250ms", "5m", "1h", "2d", "1h30m"; "inf", "never", "forever" have no end. The same in every locale.
Duration parse_duration(std::string_view option, std::string_view text);

// A whole number from 0 to `most`.
int parse_number(std::string_view option, std::string_view text, int most);

// Whether results on stdout are to be coloured.
bool colored(Color choice);

}  // namespace sherlock::cli
