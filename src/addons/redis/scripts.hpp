// SPDX-License-Identifier: MIT
// What the server does in one step, as Lua: a script a verb. Each may be asked again when its answer was lost, and says the same.
//
// KEYS[1] is the lock: there while somebody holds it, its value is the owner, its time to live the lease. KEYS[2] is what is remembered of it, a hash:
//   fence      of the last grant
//   last       owner of the last grant
//   done       owner of the last hold that was released; abandoned is who takes the lock while the two differ
//   abandoned  whether the last grant was such a one
//   began      fence of the first grant that is remembered
//   left       fence of the last hold that was abandoned: whatever was granted after it, since `began` and before the last, was released
//   note       who the last owner is (JSON, for people), and `since` when, in milliseconds
// A fence is the server's clock in nanoseconds, or one more than the last where that is not behind it: so a server that knows an older state than it did
// (a snapshot, a replica that had not heard everything) still goes on above what it granted. They are strings: Lua's numbers have 53 bits only.
#pragma once

#include <string_view>

#include "addons/redis/sha1.hpp"

namespace sherlock::addons::redis {

struct Script {
  std::string_view text;
  Sha1 name;  // by which the server knows it

  consteval Script(const char* lua) : text{lua}, name{sha1(text)} {}
};

// ARGV: owner, lease in ms or '', note, since, how long to remember in ms or ''; and, only where the owner knows that it was released already, 'again':
// without that, a request that comes so late that its hold is over would make one that nobody has. {1, fence, abandoned}, or {0, ms until the holder's lease
// ends or -1}. (A server lets nobody who has not given a password yet say more than ten words, so the sixth is not always there.)
inline constexpr Script kAcquire{R"(
local known = redis.call('HMGET', KEYS[2], 'last', 'done', 'fence', 'abandoned')
if known[2] == ARGV[1] and not ARGV[6] then return {0, -1} end
local taken
if ARGV[2] == '' then
  taken = redis.call('SET', KEYS[1], ARGV[1], 'NX')
else
  taken = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
end
if not taken then
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0, redis.call('PTTL', KEYS[1])} end
  if ARGV[2] == '' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
  if known[1] == ARGV[1] then return {1, known[3], tonumber(known[4])} end
end
local abandoned = 0
if known[1] and known[1] ~= known[2] then
  abandoned = 1
  redis.call('HSET', KEYS[2], 'left', known[3] or '')
end
local time, past = redis.call('TIME'), known[3] or ''
local fence = time[1] .. string.format('%06d', time[2]) .. '000'
if #past > #fence or (#past == #fence and past >= fence) then
  redis.call('HINCRBY', KEYS[2], 'fence', 1)
  fence = redis.call('HGET', KEYS[2], 'fence')
end
if not known[1] then redis.call('HSET', KEYS[2], 'began', fence) end
redis.call('HSET', KEYS[2], 'fence', fence, 'last', ARGV[1], 'abandoned', abandoned, 'note', ARGV[3], 'since', ARGV[4])
if ARGV[5] == '' then redis.call('PERSIST', KEYS[2]) else redis.call('PEXPIRE', KEYS[2], ARGV[5]) end
return {1, fence, abandoned}
)"};

// ARGV: owner, channel, how long to remember in ms, and the hold's fence where a release of it had no answer, or ''. 1, or 0 where it is not the owner's: or
// was, in such a release, after which others had the lock. Whoever may not publish, and a server that is full, still release.
inline constexpr Script kRelease{R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  local known = redis.call('HMGET', KEYS[2], 'done', 'fence', 'left', 'began')
  if known[1] == ARGV[1] then return 1 end
  if ARGV[4] == '' or not known[4] then return 0 end
  local function later(a, b) return #a > #b or (#a == #b and a > b) end
  if later(known[2], ARGV[4]) and later(ARGV[4], known[3] or '') and not later(known[4], ARGV[4]) then return 1 end
  return 0
end
redis.call('DEL', KEYS[1])
redis.pcall('HSET', KEYS[2], 'done', ARGV[1])
redis.pcall('PEXPIRE', KEYS[2], ARGV[3])
redis.pcall('PUBLISH', ARGV[2], '')
return 1
)"};

// ARGV: owner, lease in ms or '', how long to remember in ms or ''. 1, or 0 where it is not the owner's.
inline constexpr Script kRenew{R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if ARGV[3] == '' then redis.call('PERSIST', KEYS[2]) else redis.call('PEXPIRE', KEYS[2], ARGV[3]) end
return 1
)"};

// ARGV: channel. {held, ms until the lease ends or -1, fence, note, since, waiting, name of what is remembered}; the middle three are '' where the
// holder is not the one that is remembered (somebody else's program may hold a key of keys=python).
inline constexpr Script kLook{R"(
local owner = redis.call('GET', KEYS[1])
local known = redis.call('HMGET', KEYS[2], 'last', 'fence', 'note', 'since')
local waiting = redis.pcall('PUBSUB', 'NUMSUB', ARGV[1])
local note = known[3] and string.sub(known[3], 1, 16384) or ''
if not owner then return {0, 0, '', '', '', 0, note} end
waiting = waiting.err and -1 or waiting[2]
if owner ~= known[1] then return {1, redis.call('PTTL', KEYS[1]), '', '', '', waiting, ''} end
return {1, redis.call('PTTL', KEYS[1]), known[2] or '', note, known[4] or '', waiting, note}
)"};

// 1 where what is remembered of a free lock, which its last holder released, was forgotten.
inline constexpr Script kForget{R"(
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local known = redis.call('HMGET', KEYS[2], 'last', 'done')
if known[1] ~= known[2] then return 0 end
return redis.call('DEL', KEYS[2])
)"};

}  // namespace sherlock::addons::redis
