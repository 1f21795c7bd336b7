// SPDX-License-Identifier: MIT
// What the server does in one step, as SQL: a statement a verb. Each may be asked again when its answer was lost, and says the same.
//
// A row per lock:
//   key        the lock
//   fence      of the last grant. Each is the server's clock in nanoseconds, or one more than the last where that is not larger: so it grows though the table
//              comes back from a backup, or a standby without the last rows takes over, as long as the clock goes on
//   owner      of the last grant
//   released   the last hold was released. Not held is who was released or has expired
//   done       owner of the hold that was released last, which may be one before: whoever asks again has its answer
//   abandoned  whether the last grant followed a hold that was not released
//   expires    when the lease ends, by the server's clock; infinity with `never`
//   since      of the last grant
//   note       who the owner is, for people: JSON in UTF-8, as bytes, since a database may be of another encoding
// No index is on what changes, and pages have room: updates stay within a page.
//
// A waiter holds a shared advisory lock of the key's hash for as long as it listens. So whoever releases sees whether anybody waits (NOTIFY makes all commits
// that use it queue), holder() can count them, and a waiter that dies is gone.
#pragma once

#include <array>
#include <cstddef>
#include <string>

namespace sherlock::addons::postgres {

enum class Verb { acquire, take, release, renew, locked, look, page, last };
inline constexpr std::size_t kVerbs = 8;

// In each, {T} is the table.
inline constexpr std::array<const char*, kVerbs> kStatements{
    // $1 key, $2 owner, $3 lease in ms or null, $4 note. A row {fence, abandoned, null}; or {null, null, ms until the holder's lease ends or -1}; or none, where
    // somebody was quicker. What is seen to be held is not written to: a row that is only locked costs a commit as well.
    R"(WITH held AS (SELECT expires FROM {T} WHERE key = $1 AND NOT released AND expires > clock_timestamp() AND owner <> $2),
won AS (INSERT INTO {T} AS had (key, fence, owner, released, done, abandoned, expires, since, note)
  SELECT $1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000, $2, false, '', false,
    coalesce(clock_timestamp() + $3::bigint * interval '1 millisecond', 'infinity'), clock_timestamp(), $4::bytea WHERE NOT EXISTS (SELECT FROM held)
  ON CONFLICT (key) DO UPDATE SET fence = CASE WHEN had.owner = excluded.owner THEN had.fence ELSE greatest(had.fence + 1, excluded.fence) END,
    owner = excluded.owner, released = false, done = CASE WHEN had.done = excluded.owner THEN '' ELSE had.done END,
    abandoned = CASE WHEN had.owner = excluded.owner THEN had.abandoned ELSE NOT had.released END, expires = excluded.expires, since = excluded.since,
    note = excluded.note WHERE had.released OR had.expires <= clock_timestamp() OR had.owner = excluded.owner
  RETURNING fence, abandoned)
SELECT fence, abandoned::int, null::bigint FROM won
UNION ALL SELECT null, null, CASE WHEN isfinite(expires) THEN ceil(extract(epoch FROM expires - clock_timestamp()) * 1000)::bigint ELSE -1 END FROM held)",

    // As acquire, by a waiter that was told of a release: it knows that there is a row, and not yet who has it. A row {fence, abandoned}; or none, and acquire
    // says why. It is apart because a hand-off is mostly what the server's processes do with cold caches: this takes two thirds of what acquire takes.
    R"(UPDATE {T} SET fence = greatest(fence + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000), owner = $2, released = false,
  abandoned = NOT released, expires = coalesce(clock_timestamp() + $3::bigint * interval '1 millisecond', 'infinity'), since = clock_timestamp(), note = $4::bytea
WHERE key = $1 AND owner <> $2 AND (released OR expires <= clock_timestamp()) RETURNING fence, abandoned::int)",

    // $1 key, $2 owner, $3 hash, $4 channel. A row where it was the owner's, and is released now or was before, even if somebody else has it by now: then what
    // is written is what was there.
    R"(UPDATE {T} SET released = released OR owner = $2, done = $2 WHERE key = $1 AND (owner = $2 AND (released OR expires > clock_timestamp()) OR done = $2)
RETURNING CASE WHEN owner = $2 AND NOT pg_try_advisory_xact_lock($3::bigint) THEN pg_notify($4, '')::text END)",

    // $1 key, $2 owner, $3 lease in ms or null. A row where it is the owner's.
    R"(UPDATE {T} SET expires = coalesce(clock_timestamp() + $3::bigint * interval '1 millisecond', 'infinity')
WHERE key = $1 AND owner = $2 AND NOT released AND expires > clock_timestamp() RETURNING 1)",

    // $1 key. A row where somebody holds it.
    R"(SELECT 1 FROM {T} WHERE key = $1 AND NOT released AND expires > clock_timestamp())",

    // $1 key, $2 and $3: the halves of the hash. {key, held, fence, note, since in ms, ms until the lease ends or -1, waiting}, or no row.
    R"(SELECT key, (NOT released AND expires > clock_timestamp())::int, fence, note, floor(extract(epoch FROM since) * 1000)::bigint,
  CASE WHEN isfinite(expires) THEN ceil(extract(epoch FROM expires - clock_timestamp()) * 1000)::bigint ELSE -1 END,
  (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted AND objsubid = 1 AND classid = $2::bigint::oid
    AND objid = $3::bigint::oid AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
FROM {T} WHERE key = $1)",

    // $1 key. The next rows after that one, as above, without the waiting.
    R"(SELECT key, (NOT released AND expires > clock_timestamp())::int, fence, note, floor(extract(epoch FROM since) * 1000)::bigint,
  CASE WHEN isfinite(expires) THEN ceil(extract(epoch FROM expires - clock_timestamp()) * 1000)::bigint ELSE -1 END, null::bigint
FROM {T} WHERE key > $1 ORDER BY key LIMIT 200)",

    // $1 key. {fence, abandoned} of the last grant, or no row.
    R"(SELECT fence, abandoned::int FROM {T} WHERE key = $1)",
};

// Two processes may find the table missing at once: one makes it. {L} is a number that both know.
inline constexpr const char* kCreate = R"(SELECT pg_advisory_xact_lock({L});
CREATE TABLE IF NOT EXISTS {T} (key text COLLATE "C" PRIMARY KEY, fence bigint NOT NULL, owner text NOT NULL, released boolean NOT NULL, done text NOT NULL,
  abandoned boolean NOT NULL, expires timestamptz NOT NULL, since timestamptz NOT NULL, note bytea NOT NULL) WITH (fillfactor = 50))";

// An acquire that found no row has drawn a first fence, and one that ends meanwhile may have drawn a greater one: no row goes while anybody is at it.
// Everybody waits behind whoever waits for a table, so not for long where somebody's transaction is at it; autovacuum gives way after a second.
inline constexpr const char* kClean = R"(SET LOCAL lock_timeout TO 2000;
LOCK TABLE {T} IN SHARE ROW EXCLUSIVE MODE;
WITH gone AS (DELETE FROM {T} WHERE released OR expires < clock_timestamp() - interval '7 days' RETURNING 1) SELECT count(*) FROM gone)";

}  // namespace sherlock::addons::postgres
