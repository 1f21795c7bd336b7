// SPDX-License-Identifier: MIT
// The two ways out: results go to stdout and must arrive, everything else goes to stderr and may not.
#pragma once

#include <stdexcept>
#include <string_view>

namespace sherlock::cli {

class OutputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Call first of all. A stream that was closed becomes /dev/null: the first descriptors we open would take its number otherwise, and
// whoever writes to "stdout" would write into a lock file.
void open_closed_streams();

// Throws OutputError: a full disk, or a stdout that was closed when the program was started.
void print(std::string_view result);

// One line, "sherlock: ...". Control characters are escaped.
void complain(std::string_view text);

// Exactly these bytes, to stderr.
void write_to_stderr(std::string_view bytes);

}  // namespace sherlock::cli
