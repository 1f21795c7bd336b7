// SPDX-License-Identifier: MIT
// A database for locks only is never flushed, so a power cut can leave it unreadable; it must not stay so. What may be set aside is only what the companion
// knows, from before and on the disk, to be of our own making, and only while nobody else uses it. Nothing is ever deleted.
#pragma once

#include <sys/stat.h>

#include <string>

#include "local/companion.hpp"
#include "local/table.hpp"

namespace sherlock::sqlite {

// Notes in the companion, and flushes it, that `file` is ours to remake.
void record_as_made(const struct stat& file, local::Companion& companion, int directory);

// Renames the damaged database and its log to NAME.damaged-N. False: it is not known to be ours, or somebody else is there.
bool set_aside(const std::string& name, const struct stat& file, local::Companion& companion, const local::Table& table, int directory);

}  // namespace sherlock::sqlite
