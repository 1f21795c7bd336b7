// SPDX-License-Identifier: MIT
// Python's locks are measured by Python (peers.py), which is asked for a repetition at a time, so that it takes its turn among the others.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

#include "contender.hpp"

namespace bench {

// filelock, fasteners and portalocker as Debian has them, those of them that are installed. The others are named in `missing`.
std::vector<Kind> python_kinds(const std::string& programs, std::vector<std::string>& missing);

// The Python that the distribution's packages are for.
std::string python_program();

// One process of Python, which answers a line with a line of numbers.
class Python {
 public:
  explicit Python(const std::string& programs);
  ~Python();
  Python(const Python&) = delete;
  Python& operator=(const Python&) = delete;
  // Throws where there is no answer.
  std::vector<double> ask(const std::string& question);

 private:
  pid_t pid_;
  std::FILE *to_, *from_;
};

}  // namespace bench
