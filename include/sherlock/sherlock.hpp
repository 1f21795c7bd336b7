// SPDX-License-Identifier: MIT
// Everything most programs need: the contract, the configuration, the built-in locks.
#pragma once

#include <sherlock/base_lock.hpp>
#include <sherlock/clock.hpp>
#include <sherlock/config.hpp>
#include <sherlock/error.hpp>
#include <sherlock/file_lock.hpp>
#include <sherlock/keeper.hpp>
#include <sherlock/lock.hpp>
#include <sherlock/options.hpp>
#include <sherlock/registry.hpp>
#include <sherlock/shm_lock.hpp>
#include <sherlock/sqlite_lock.hpp>
#include <sherlock/version.hpp>
