#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Mutants of the steps of a file lock: a step left out, or swapped with its neighbour. Each is compiled in the place of its source file
and must be found broken by steps_file, in the scene and at the point that are named here. How it is called: ../mutate.py.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.dont_write_bytecode = True
import mutate  # noqa: E402
from mutate import left_out  # noqa: E402


class Mutant(mutate.Mutant):
    def __init__(self, name, source, wrong, scene, how, at, *edits):
        arguments = ['--scene', scene, '--how', how, '--expect', wrong, '--tries', '8'] + (['--at', at] if at else [])
        super().__init__(name, {source: edits}, ';'.join(arguments))


GRANT, RELEASE, FILE, LOOK = ('backends/file/' + name for name in ('acquire.cpp', 'release.cpp', 'lock_file.cpp', 'look.cpp'))
PARKING, TABLE, PRESENCE, COMPANION = ('local/' + name for name in ('parking.cpp', 'table.cpp', 'presence.cpp', 'companion.cpp'))

MUTANTS = [
    # ---- grant
    Mutant('grant-without-flock', GRANT, 'overlap', 'free', 'kill', 'gate: read',
           ('if (file_.lock_exclusive(entry, t.at->presence())) {', 'if (true) {')),
    # Without the look at the path, too: that is made now and then, and on a slow machine would come in this one's place.
    Mutant('grant-without-fstat', GRANT, 'overlap', 'removed', 'hold', 'grant: the file is open',
           left_out('  if (!file_.linked()) return false;\n'), ('return !t.look || file_.at_path(*t.at->store);', 'return true;')),
    Mutant('grant-without-a-look-at-the-path', GRANT, 'overlap', 'moved', 'hold', 'grant: the file is open',
           ('return !t.look || file_.at_path(*t.at->store);', 'return true;')),
    Mutant('grant-without-reading-the-stamp', GRANT, 'fence', 'replaced', 'hold', 'gate: taken',
           ('file_.stamp() != epoch) {', 'file_.stamp() == epoch + 1) {')),
    Mutant('grant-leaves-the-stamp-of-an-older-companion', FILE, 'fence', 'replaced by another user', 'hold', 'gate: taken',
           left_out('    posix::syscalls().futimens(file_.get(), nullptr);\n'), ('else  // whoever', '// whoever')),
    Mutant('grant-shared-in-an-old-companion', GRANT, 'overlap', 'replaced, late', 'hold', 'gate: taken',
           ('if (shared && !t.at->store->current()) {', 'if (shared && !t.at) {')),
    Mutant('grant-held-before-the-record', GRANT, 'stuck', 'short lease', 'stop', 'grant: held',
           left_out('  entry.expiry.store(expiry);\n'),
           ('  t.at->store->companion().presence().rearm();\n  if (t.waits()) foreign_.reset();',
            '  entry.expiry.store(held_expiry_.load());\n  t.at->store->companion().presence().rearm();\n  if (t.waits()) foreign_.reset();')),
    Mutant('grant-held-before-the-fence', GRANT, 'fence', 'short lease', 'hold', 'grant: held',
           left_out('  entry.fence.store(t.grant.fence);\n'),
           ('  SHERLOCK_STEP("grant: held");\n', '  SHERLOCK_STEP("grant: held");\n  entry.fence.store(t.grant.fence);\n')),
    Mutant('grant-of-a-lease-not-shared', GRANT, 'stuck', 'take-over', 'kill', 'gate: read',
           ('if (!t.lease() || shared || file_.lock_shared()) break;', 'break;')),
    Mutant('grant-not-marked-as-abandoned', GRANT, 'abandoned', 'free', 'kill', 'renew: looked',
           left_out('    if (from == Taking::dead || from == Taking::expired) entry.marks.fetch_or(local::kAbandoned);\n')),
    Mutant('grant-marked-for-ever', GRANT, 'abandoned', 'dead holder', 'kill', 'gate: read',
           left_out('  if (t.grant.abandoned) entry.marks.store(0);\n')),
    Mutant('grant-keeps-the-gate-from-others-beside-a-foreigner', GRANT, 'stuck', 'foreign, stopped', 'stop', 'grant: waits for a foreigner',
           ('gate::with(mine, GateState::foreign);', 'gate::with(mine, GateState::acquiring);')),
    Mutant('grant-without-the-gate-after-a-foreigner', GRANT, 'failed', 'foreign', 'none', '',
           left_out('        if (!entry.word.compare_exchange_strong(word, mine | gate::flags(word))) continue;\n')),
    # ---- take-over
    Mutant('straggler-not-counted', GRANT, 'stuck', 'take-over', 'kill', 'gate: read',
           ('from == Taking::expired ? local::stragglers::count(entry) : 0;', '0;')),
    Mutant('straggler-counted-after-the-gate', GRANT, 'stuck', 'take-over', 'kill', 'gate: taken',
           ('from == Taking::expired ? local::stragglers::count(entry) : 0;', '0;'),
           ('    SHERLOCK_STEP("gate: taken");\n', '    SHERLOCK_STEP("gate: taken");\n'
            '    if (from == Taking::expired) local::stragglers::count(entry);\n')),
    Mutant('straggler-of-a-failed-take-over-not-taken-back', GRANT, 'overlap', 'take-over', 'stop', 'gate: the straggler is counted',
           left_out('      if (from == Taking::expired) local::stragglers::take_back(entry, counted_in);\n')),
    Mutant('stragglers-counted-for-ever', GRANT, 'overlap', 'take-over', 'kill', 'gate: the straggler is counted',
           left_out('      local::stragglers::none(entry);\n')),
    Mutant('grant-of-an-entry-given-away', GRANT, 'table', 'given away', 'hold', '',
           left_out('    if (!t.at->found.current()) return Outcome::moved;\n    SHERLOCK_STEP("gate: judged");\n'),
           left_out('    if (!t.at->found.current()) {\n      local::pass_on(entry, mine);\n      return Outcome::moved;\n    }\n')),
    # ---- release
    Mutant('release-leaves-the-gate-open', RELEASE, 'overlap', 'short lease', 'hold', 'release: looked',
           ('  if (lease) {\n    std::uint64_t word', '  if (lease && entry.word.load() == 0) {\n    std::uint64_t word')),
    Mutant('release-gate-before-the-file', RELEASE, 'overlap', 'threads', 'hold', 'release: the straggler is counted out',
           ('unlocked = (there || file_.intact()) && file_.unlock();',
            'if (ours) ours = local::pass_on(entry, mine);\n    SHERLOCK_STEP("release: the straggler is counted out");\n'
            '    unlocked = (there || file_.intact()) && file_.unlock();'),
           ('  if (ours) ours = local::pass_on(entry, mine, heir);\n  return', '  return')),
    Mutant('release-straggler-not-taken-back', RELEASE, 'overlap', 'take-over', 'none', '',
           ('  if (!ours) local::stragglers::take_back(entry, counted_in);', '  (void)counted_in;')),
    Mutant('release-straggler-taken-back-before-the-file', RELEASE, 'stuck', 'late', 'stop', 'release: looked',
           ('      counted_in = local::stragglers::round(entry);\n', '      local::stragglers::take_back(entry, local::stragglers::round(entry));\n'),
           ('  if (!ours) local::stragglers::take_back(entry, counted_in);', '  (void)counted_in;')),
    Mutant('release-straggler-taken-back-in-another-round', RELEASE, 'stuck', 'late', 'hold', 'release: the file is unlocked',
           ('take_back(entry, counted_in);', 'take_back(entry, local::stragglers::round(entry));')),
    Mutant('release-of-a-hold-let-go-already', RELEASE, 'overlap', 'threads, late', 'hold', 'release: called',
           ('  if (!held_fence_.compare_exchange_strong(fence, 0)) return false;', '  (void)fence, held_fence_.store(0);')),
    Mutant('release-beside-another-thread', RELEASE, 'overlap', 'threads, taken over', 'hold', 'release: looked',
           ('  if (lease) guard.lock();\n  std::uint64_t fence', '  std::uint64_t fence')),
    Mutant('release-calls-an-heir-that-nobody-wakes', PARKING, 'slow', 'hand-over', 'none', '',
           left_out('  wake_heir(entry);\n  SHERLOCK_STEP("call: the heir is on its way");\n')),
    # ---- renew
    Mutant('renew-word-before-the-record', RELEASE, 'stuck', 'short lease', 'stop', 'renew: recorded',
           left_out('  if (!entry.expiry.compare_exchange_strong(before, expiry)) return false;\n  SHERLOCK_STEP("renew: recorded");\n'),
           ('  SHERLOCK_STEP("renew: done");\n',
            '  SHERLOCK_STEP("renew: recorded");\n  if (!entry.expiry.compare_exchange_strong(before, expiry)) return false;\n')),
    Mutant('renew-records-blindly', RELEASE, 'overlap', 'renew', 'hold', 'renew: looked',
           ('  if (!entry.expiry.compare_exchange_strong(before, expiry)) return false;\n', '  (void)before, entry.expiry.store(expiry);\n')),
    Mutant('renew-writes-the-word-blindly', RELEASE, 'lost', 'renew', 'hold', 'renew: recorded',
           left_out('    if (gate::core(word) != held) return false;\n')),
    # ---- looks
    Mutant('look-not-announced', FILE, 'refused', 'looks', 'hold', 'look: the file is locked',
           ('        if (entry->probe.compare_exchange_strong(before, mine)) break;\n', '        break;\n')),
    Mutant('look-announced-for-ever', FILE, 'looks', 'looks', 'none', '',
           left_out('      if (entry) entry->probe.compare_exchange_strong(mine, probe_over(mine));\n')),
    Mutant('look-over-before-the-unlock', FILE, 'refused', 'looks', 'hold', 'look: over',
           left_out('  posix::sys_flock(file.get(), LOCK_UN);\n')),
    Mutant('look-of-the-dead-believed', FILE, 'looks', 'looks', 'kill', 'look: announced',
           ('if (!probed(before) || !presence.alive(prober(before))) {', 'if (!probed(before)) {')),
    Mutant('look-of-the-dead-waited-for', FILE, 'slow', 'looks, then a try', 'kill', 'look: announced',
           ('if (probed(after) && !presence.alive(prober(after)))', 'if (probed(after) && !presence.alive(prober(after)) && !file_)')),
    Mutant('look-takes-a-try-away', FILE, 'refused', 'looks', 'hold', 'look: the file is locked',
           ('if (before == after && !probed(before)) return false;', 'if (before != after + 1) return false;')),
    # ---- clean
    Mutant('clean-without-the-gate', LOOK, 'table', 'clean', 'hold', 'clean: the file is gone',
           left_out('  if (!found.entry->word.compare_exchange_strong(word, mine | local::gate::flags(word))) return false;\n')),
    Mutant('forget-word-before-the-tenure', TABLE, 'table', 'clean', 'hold', 'forget: the word is free',
           left_out('  found.entry->tenure.compare_exchange_strong(tenure, next_tenure(found.tenure, Tenure::empty, companion_.presence().me()));\n'),
           ('  SHERLOCK_STEP("forget: the word is free");\n', '  SHERLOCK_STEP("forget: the word is free");\n'
            '  found.entry->tenure.compare_exchange_strong(tenure, next_tenure(found.tenure, Tenure::empty, companion_.presence().me()));\n')),
    Mutant('forget-without-the-floor', TABLE, 'fence', 'clock set back', 'none', '',
           ('while (floor < fence && !header.floor', 'while (floor > fence && !header.floor')),
    Mutant('forget-floor-after-the-tenure', TABLE, 'fence', 'clock set back', 'kill', 'forget: the tenure is over',
           left_out('  while (floor < fence && !header.floor.compare_exchange_weak(floor, fence)) {\n  }\n'),
           ('  SHERLOCK_STEP("forget: the tenure is over");\n', '  SHERLOCK_STEP("forget: the tenure is over");\n'
            '  while (floor < fence && !header.floor.compare_exchange_weak(floor, fence)) {\n  }\n')),
    Mutant('forget-leaves-the-word', TABLE, 'table', 'recycle', 'stop', 'recycle: the gate is taken',
           ('  while (gate::core(word) == gate::core(mine) &&\n', '  while (word == 0 && gate::core(word) == gate::core(mine) &&\n')),
    # ---- table
    Mutant('recycle-without-the-gate', TABLE, 'table', 'recycle', 'hold', 'recycle: judged',
           left_out('  if (!entry.word.compare_exchange_strong(word, mine | gate::flags(word))) return false;\n')),
    Mutant('claim-from-the-living', TABLE, 'lost', 'new name', 'hold', 'table: claimed',
           ('(state != Tenure::settled && !companion_.presence().alive(tenure_owner(f.tenure)))', 'state != Tenure::settled')),
    Mutant('settle-without-a-look-at-others', TABLE, 'table', 'new name', 'hold', 'fill: the text',
           ('      if (state == Tenure::settled) {\n', '      if (state == Tenure::settled) return false;\n      if (state == Tenure::settled) {\n')),
    Mutant('settled-with-the-fence-of-another-day', TABLE, 'fence', 'outlived', 'hold', 'fill: the text',
           ('    if (mine.entry->fence.load() <= companion_.header().floor.load()) {\n', '    if (mine.entry == nullptr) {\n')),
    Mutant('settled-before-it-is-filled', TABLE, 'table', 'new name', 'hold', 'table: settled',
           left_out('      fill(*mine, hash, ns, name);\n'),
           ('    if (mine.entry->fence.load() <= companion_.header().floor.load()) {\n', '    if (mine.entry == nullptr) {\n'),
           ('      if (const Found published = publish(*mine, hash)) return published;\n',
            '      if (const Found published = publish(*mine, hash)) {\n        fill(*mine, hash, ns, name);\n        return published;\n      }\n')),
    # ---- presence
    Mutant('presence-before-the-generation', PRESENCE, 'stuck', 'place of the dead', 'stop', 'presence: the place is claimed',
           left_out('    if (!lock_byte(file.get(), kPresenceByte + index)) continue;  // cannot be, but for a foreign hand in the file\n'),
           ('    SHERLOCK_STEP("presence: the place is claimed");\n', '    if (!lock_byte(file.get(), kPresenceByte + index)) continue;\n'
            '    SHERLOCK_STEP("presence: the place is claimed");\n')),
    Mutant('presence-without-a-claim', PRESENCE, 'lost', 'place of the dead', 'hold', 'presence: the place is claimed',
           ('if (!lock_byte(file.get(), kClaimByte + index)) continue;', 'if (anybody_else_has(file.get(), kPresenceByte + index, 1)) continue;')),
    # ---- companion
    Mutant('companion-published-before-it-is-written', COMPANION, 'table', 'create', 'hold', 'create: published',
           left_out('  initialise(static_cast<std::byte*>(region->get_address()), 0);\n'),
           ('  SHERLOCK_STEP("create: published");\n',
            '  SHERLOCK_STEP("create: published");\n  initialise(static_cast<std::byte*>(region->get_address()), 0);\n')),
    Mutant('companion-made-by-another-is-an-error', COMPANION, 'failed', 'create', 'hold', 'create: written',
           (' != 0 && errno != EEXIST)', ' != 0)')),
    Mutant('remake-without-keeping-others-out', COMPANION, 'fence', 'another boot', 'hold', 'remake: begun',
           left_out('    lock_init_byte(file_.get(), F_WRLCK, path_);\n')),
    Mutant('remake-forgets-the-floor', COMPANION, 'fence', 'another boot', 'kill', 'remake: cleared',
           left_out('  if (header().format == kFormat) header().floor.store(floor);\n')),
    Mutant('grow-published-before-there-is-room', COMPANION, 'failed', 'grow', 'kill', 'grow: published',
           ('  const SegmentShape shape = segment_shape(segments);\n  if (posix::sys_fallocate',
            '  const SegmentShape shape = segment_shape(segments);\n  header().segments.compare_exchange_strong(segments, segments + 1);\n'
            '  SHERLOCK_STEP("grow: published");\n'
            '  if (posix::sys_fallocate')),
    # ---- waking
    Mutant('release-wakes-nobody', PARKING, 'slow', 'hand-over', 'none', '',
           left_out('  posix::futex_wake_all(entry.heir);  // one, or one more that does not know yet that it lost the seat\n')),
    Mutant('queue-never-woken', PARKING, 'slow', 'hand-over in a queue', 'none', '',
           ('  return posix::futex_wake(entry.queue);', '  return 1;')),
    Mutant('took-promotes-nobody', PARKING, 'slow', 'hand-over in a queue', 'none', '',
           (' && (word_before & gate::kQueue) ? Sleeper::queue : Sleeper::none;', ' && (word_before & gate::kQueue) ? Sleeper::none : Sleeper::none;')),
    Mutant('pass-on-promotes-nobody', PARKING, 'table', 'queue', 'none', '',
           left_out('    if ((word & gate::kQueue) && !(word & gate::kHeir)) return Sleeper::queue;\n')),
    Mutant('seat-not-signed', PARKING, 'table', 'contended', 'none', '',
           left_out('  entry.heir_id.store(id_);\n  SHERLOCK_STEP("seat: signed");\n')),
    Mutant('leave-keeps-the-seat', PARKING, 'table', 'create', 'stop', 'gate: taken',
           ('    while (has_seat(entry, word)) {', '    while (has_seat(entry, word) && !heir_) {')),
]

# Left out or swapped by hand, and nothing was found broken in any scene. What they are for:
#   to be quick: the gate that is closed when an heir is called (which lets others run then, instead of falling asleep again), presence().rearm() after
#     a grant (waiters are woken by a death), the 30 ms of tries at a dead holder's file, set_stamp() (without it every grant looks at the companion's
#     path), pass_on() in give_up_place() (a watcher that went is doubted after a while), promote() in leave() and its second look, the clearing of
#     heir_id in took(). A wake that is lost costs a slice.
#   one of two that stand in for each other: Found::current() before the gate is taken and after it (both left out: caught, above); current() in find(),
#     publish() and forget_unused(), behind each of which a compare-and-swap on the same word, or a look by the caller, fails just as well; the look at
#     the path when a companion was opened, for an acquirer looks again.
#   not shown: the shared init byte while a companion is opened, which keeps out a remaker of another version; the mark of abandonment that is cleared
#     before the word says held; the look at the path in remove_file(). Each needs one more process at one more exact place than a scene has.


if __name__ == '__main__':
    mutate.main(MUTANTS)
