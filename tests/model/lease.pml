/* SPDX-License-Identifier: MIT */
/* Leases: grant, renewal, expiry, take-over and late release of shm (src/backends/shm/acquire.cpp and release.cpp), with the expiry record as
 * arbiter between a renewal and a take-over. Waiting is only that a refused process tries again once it would not be refused; how it
 * learns of that is in waiting.pml.
 *
 * The clock (CLOCK_BOOTTIME) is a few ticks that come at any time; whoever reads it may act on that much later. Looked for: two who at one
 * moment both have reason to believe that they hold the lock, a renewal that said true being such a reason; and nobody refused for ever.
 *
 * Mutants, each found broken by check.py: NO_MARK_OVER, RENEW_BLINDLY, RELEASE_BLINDLY, RECORD_WITHOUT_TAG, GENERATIONS=2.
 */
#include "process.pml"

#ifndef ROUNDS
#define ROUNDS 1
#endif
#define FIRST_TICK 2
#ifndef LAST_TICK
#define LAST_TICK 5
#endif
#define LENGTH 2 /* of every lease */

byte boottime = FIRST_TICK;

/* Entry::expiry: ends | tag 4. Ends: 0 never, OVER since ever. */
byte expiry;
#define OVER 1
#define ENDS(record) ((record) >> 4)
#define RECORD(ends, tag) ((ends) << 4 | (tag))
#ifdef RECORD_WITHOUT_TAG
#define OF_HOLD(record, w) true
#else
#define OF_HOLD(record, w) ((((record) - TAG(w)) & 15) <= 1)
#endif
#define EXPIRED(record, w, now) (OF_HOLD(record, w) && ENDS(record) != 0 && (now) >= ENDS(record))

/* Until when a process has reason to believe that it holds the lock: BaseLock's lease_ends_. 0: it has none. */
#define FOR_EVER 255
byte until[PROCS];
#define BELIEVES(i) (until[i] > boottime)

inline believe(that_long) {
  until[me] = that_long;
  assert(!BELIEVES(me) || ((me == 0 || !BELIEVES(0)) && (me == 1 || !BELIEVES(1))
#if PROCS > 2
    && (me == 2 || !BELIEVES(2))
#endif
    ))
}

proctype process(byte me) {
  byte my_generation, round;
  short w, mine;
  byte now, record, ends;
  bool lease, abandoned, renewed;

verb:
  if :: lease = false :: lease = true fi;

  /* ------------------------------------------------------------------------------------------- ShmLock::Impl::take() */
acquire: /* Claim::now(): of a lease before the store is asked, else when it is needed; once */
  atomic { if :: lease -> mortal; now = boottime :: else -> now = 0 fi }
take:
  atomic { mortal; w = word; if :: STATE(w) == FREE -> abandoned = false; goto swap :: else fi }
  atomic { /* local::judge() */
    if :: IS_ME(w) -> goto refused :: else fi;
    mortal;
    if :: SAME_GENERATION(w) :: else -> abandoned = true; goto swap fi
  }
  atomic { mortal; if :: PRESENT(w) :: else -> abandoned = true; goto swap fi }
  atomic {
    mortal;
    record = expiry;
    if :: ENDS(record) == 0 -> record = 0; goto refused :: else fi;
    if :: now == 0 -> now = boottime :: else fi;
    if :: EXPIRED(record, w, now) :: else -> record = 0; goto refused fi
  }
#ifndef NO_MARK_OVER
  atomic { mortal; record = expiry; if :: EXPIRED(record, w, now) :: else -> record = 0; goto take fi } /* mark_over() */
  atomic { mortal; if :: expiry == record -> expiry = RECORD(OVER, record & 15); record = 0 :: else -> record = 0; goto take fi }
#endif
  abandoned = true;
swap:
  atomic {
    mortal;
    if
    :: word == w ->
       mine = WORD(HELD, me, my_generation, TAG(w) + 1);
       word = mine;
       w = 0;
       record = 0;
       assert(!orphan || abandoned);
       orphan = false;
       abandoned = false;
       ends = (lease -> now + LENGTH : FOR_EVER);
       now = 0;
       believe(ends)
    :: else -> abandoned = false; goto take
    fi
  }
  atomic { mortal; if :: lease :: else -> ends = 0 fi; expiry = RECORD(ends, TAG(mine)); ends = 0 } /* record() */

  /* --------------------------------------------------------------------------------------------------- the hold */
in_possession:
  if
  :: atomic { lease && !renewed -> renewed = true; now = boottime; if :: now < until[me] -> ends = now + LENGTH; goto renew :: else -> now = 0; goto lost fi }
  :: goto release
  :: atomic { lease && until[me] <= LAST_TICK -> goto end_stopped } /* for ever; its successor takes over */
  fi;

  /* ------------------------------------------------------------------------------------------ ShmLock::Impl::renew() */
renew:
  atomic { mortal; record = expiry }
  atomic {
    mortal;
    if
    :: word != mine || (record & 15) != TAG(mine) || EXPIRED(record, mine, now) -> now = 0; record = 0; ends = 0; goto lost
    :: else ->
       if :: ENDS(record) >= ends -> now = 0; record = 0; goto prolonged :: else fi
    fi
  }
  atomic {
    mortal;
#ifdef RENEW_BLINDLY
    expiry = RECORD(ends, TAG(mine))
#else
    if :: expiry == record -> expiry = RECORD(ends, TAG(mine)) :: else -> record = 0; goto renew fi
#endif
  }
  atomic { mortal; now = 0; record = 0; if :: word == mine :: else -> ends = 0; goto lost fi }
prolonged:
  atomic { believe(ends); ends = 0; goto in_possession }
lost: /* BaseLock::clean_up() */
  until[me] = 0;

  /* ---------------------------------------------------------------------------------------------- local::pass_on() */
release:
  atomic {
    until[me] = 0;
    mortal;
#ifdef RELEASE_BLINDLY
    word = FREED(mine);
#else
    if :: word == mine -> word = FREED(mine) :: else fi;
#endif
    mine = 0; renewed = false; lease = false;
    round++;
    if :: round < ROUNDS -> goto verb :: else -> round = 0; goto finished fi
  }

refused: /* until it would be worth another try */
  atomic { w = 0; (STATE(word) == FREE || (!IS_ME(word) && (!SAME_GENERATION(word) || !PRESENT(word) || EXPIRED(expiry, word, boottime)))) -> goto acquire }

#if CRASHES > 0
died:
  atomic {
    until[me] = 0;
    if :: mine != 0 && word == mine -> orphan = true :: else fi;
    w = 0; mine = 0; now = 0; record = 0; ends = 0; round = 0; lease = false; abandoned = false; renewed = false
  }
  atomic { present[me] = false }
  atomic { generation[me] = (generation[me] + 1) % GENERATIONS; my_generation = generation[me] }
  atomic { present[me] = true; if :: me < COMPETE -> goto verb :: else -> goto finished fi }
#endif

end_stopped: /* for ever; not stuck, but an end */
  false;
finished:
  skip
}

active proctype kernel() {
  do
  :: boottime < LAST_TICK -> boottime++
  :: else -> break
  od
}

init {
  atomic {
    present[0] = true; run process(0);
    present[1] = true; run process(1);
#if PROCS > 2
    present[2] = true; run process(2);
#endif
  }
}
