// SPDX-License-Identifier: MIT
// All SQL that decides about locks. One statement each, which is one transaction; what it decides stands in its WHERE. None of them opens a transaction
// that outlives the call, and none makes a row longer or shorter on the way to being free: letting go needs no room on the disk.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include "local/table.hpp"
#include "local/word.hpp"

namespace sherlock::sqlite {

// Numbers that come and go in a row start here, so that all of them take eight bytes of the record.
inline constexpr std::int64_t kBase = 1ll << 62;

// Who has the row: one of these, or owner_of() of a process.
inline constexpr std::int64_t kFree = kBase;
inline constexpr std::int64_t kAbandoned = kBase + 1;  // free, and the next holder is to be told that the last one did not let go
inline constexpr std::int64_t kAbout = kBase + 2;      // no lock: the row that tells about the table, see schema.cpp
inline constexpr std::int64_t kFirstOwner = kBase + (1ll << 30);
inline constexpr std::int64_t kNever = kBase;  // as `expires` and `ends`

inline std::int64_t owner_of(local::Identity who) { return kBase + who.packed(); }
inline bool is_owner(std::int64_t owner) { return owner >= kFirstOwner && owner < kFirstOwner + (1ll << 30); }
inline local::Identity identity_of(std::int64_t owner) { return local::Identity::unpack(static_cast<std::uint32_t>(owner - kBase)); }

struct RowKey {
  std::int64_t id, hash;  // never 0 in the first: that is the row about the table
  static RowKey of(std::string_view key) {
    const local::KeyHash hash = local::KeyHash::of(key);
    return {static_cast<std::int64_t>(hash.half[0]), static_cast<std::int64_t>(hash.half[1])};
  }
};

struct Row {
  std::int64_t hash, owner, epoch, fence;
  std::int64_t expires;  // kBase + microseconds of CLOCK_BOOTTIME
  std::int64_t since, ends;  // wall clock in nanoseconds, for people
};

// What a grant writes, beside who we are.
struct Terms {
  std::int64_t expires, since, ends;
  std::string_view label;
};

struct Text {
  std::string label, ns, name;
};

class Rows {
 public:
  // Prepares everything. `holder` is what people are shown of us.
  Rows(SQLite::Database& database, const std::string& table, local::Identity me, std::int64_t epoch, std::string holder);

  // A row whose last hold had `fence`: granted with the one after it. Whoever takes a row knows what its fence was: to ask for it with RETURNING would cost
  // a third of the statement.
  bool take_free(RowKey key, std::uint64_t fence, const Terms& terms);
  // From exactly the row that was judged; with the fence after its.
  bool take_from(RowKey key, const Row& judged, const Terms& terms);
  // Makes the row. False: there is one.
  bool add(RowKey key, const Terms& terms, std::uint64_t first_fence, std::string_view ns, std::string_view name);

  bool let_go(RowKey key, std::uint64_t fence);
  // `now` as Row::expires.
  bool renew(RowKey key, std::uint64_t fence, std::int64_t now, std::int64_t expires, std::int64_t ends);
  bool ours(RowKey key, std::uint64_t fence);
  // Its owner did not live to let it go.
  void abandon(RowKey key, const Row& judged);

  std::optional<Row> look(RowKey key, Text* text = nullptr);
  // The first `count` rows behind `id`, in order of their ids.
  struct Listed {
    RowKey key;
    Row row;
    Text text;
  };
  std::vector<Listed> list(std::int64_t behind, int count);

  // Among the first `count` rows behind `behind`: removes those that nobody has, was to be told of, or has had since `before`. `note` hears their
  // fences while they are still there.
  struct Swept {
    std::int64_t removed = 0, last = 0;  // last: the id to go on from
    bool more = false;
  };
  Swept sweep(std::int64_t behind, int count, std::int64_t before, const std::function<void(std::uint64_t fence)>& note);
  // Of the whole database, what is in use.
  std::int64_t bytes();

 private:
  void bind(SQLite::Statement& statement, RowKey key, const Terms& terms);
  static Row row_of(SQLite::Statement& statement);
  bool changed(SQLite::Statement& statement);

  SQLite::Database& database_;
  const std::string holder_;
  const std::int64_t me_, epoch_;
  SQLite::Statement take_free_, take_from_, add_, let_go_, renew_, abandon_, look_, list_, last_, sweep_, pages_;
};

}  // namespace sherlock::sqlite
