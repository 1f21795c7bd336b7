// SPDX-License-Identifier: MIT
// Who has a lock file? Looking disturbs nobody: the gate word answers where its owner lives, else an announced look at the file itself.
#pragma once

#include <optional>
#include <string>

#include <sherlock/holder.hpp>

#include "backends/file/file_store.hpp"
#include "local/table.hpp"

namespace sherlock::file {

// `found` may be empty: no user of this library ever had it. Throws what LockFile throws.
bool held(FileStore& store, const std::string& file_name, const local::Found& found);
// Empty when free; without facts when the holder is no user of this library.
std::optional<Holder> holder_of(FileStore& store, const std::string& file_name, const local::Found& found);

}  // namespace sherlock::file
