/* SPDX-License-Identifier: MIT */
/* Waiting: heir, queue, elders, hand-off and wakes (src/local/parking.cpp), with the acquire, take-over from the dead and release of shm
 * (ShmLock::Impl::take, local::pass_on). Holds never expire here; leases are in lease.pml.
 *
 * Time is choice: whoever may have waited for long enough to do something may do it at once. What sleeps is woken, or its slice ends: with
 * SLICES=1 when nothing else in the world can move, with SLICES=2 also at any time before. Somebody must be granted within MOST_LAPSES slices that
 * end in such a silence: from every state that deaths can lead to, waiters find out of it in a few slices. With SLICES=0 sleeps end by wakes alone;
 * with SLICES=3 slices end at any time, always, and what is looked for is a world that goes round and round without an end (liveness).
 *
 * Mutants, each found broken by check.py: DROP_WAKE, DROP_PROMOTE, ONE_BUMP, ONE_WOKEN, LATE_FUTEX, OWNER_LATER, TRUST_RESERVATION, GENERATIONS=2.
 */
#include "process.pml"

#ifndef SLICES
#define SLICES 0
#endif
#ifndef TWICE
#define TWICE 0 /* of how many slots the process comes a second time after its release */
#endif
#ifndef LEAVERS
#define LEAVERS 0 /* how many give up waiting, at most */
#endif
#define MOST_LAPSES (4 * PROCS)

/* Futexes. `looking` are those between reading the words and sleeping on them: whoever is there when a word moves will not fall asleep. */
mtype = { nowhere, as_heir, in_queue, among_elders, /* beds */ holds, left, released /* who called promote() */ };
#define ME (1 << me)
byte looking, heir_moved, queue_moved, elders_moved;
mtype bed[PROCS] = nowhere;
byte watches[PROCS];  /* whose life word the heir sleeps on as well: slot + 1 */
bool life[PROCS];     /* Presence::watched() */

byte heir_id;         /* Entry::heir_id */
#define ID (IDENTITY(me, my_generation) | (round & 1) << 7)
byte elder_count;     /* Entry::elder_count */
byte leavers = LEAVERS;

bool calm;            /* sleepers die no more, and their slices end last of all */
byte lapses;          /* slices that ended since, without a grant or a death */

#define SLEEP(where) bed[me] = where
#define LOOK_AWAY \
  looking = looking & ~ME; heir_moved = heir_moved & ~ME; queue_moved = queue_moved & ~ME; elders_moved = elders_moved & ~ME
#define FORGET waits = false; heir = false; slept = false; may_break = false; empties = false; dead = false; seen = 0; w = 0

#if CRASHES > 0
#define DIES_ASLEEP :: atomic { bed[me] != nowhere && !calm && crashes > 0 -> crashes--; goto died }
#else
#define DIES_ASLEEP
#endif
#if SLICES == 1
#define EARLY
#elif SLICES == 2
#define EARLY || !calm
#else
#define EARLY || true
#endif
#if SLICES > 0
#define SLICE_ENDS(then) :: atomic { bed[me] != nowhere && ((timeout && calm) EARLY) -> mortal; bed[me] = nowhere; watches[me] = 0; \
                                     lapses = lapses + calm; assert(lapses <= MOST_LAPSES); then }
#else
#define SLICE_ENDS(then)
#endif

inline wake_all(where) {
  d_step {
    i = 0;
    do
    :: i < PROCS -> if :: bed[i] == where -> bed[i] = nowhere; watches[i] = 0 :: else fi; i++
    :: else -> i = 0; break
    od
  }
}

/* The kernel takes anybody here, where it would take the one who has slept longest. */
inline wake_one(where) {
  if
  :: bed[0] == where -> bed[0] = nowhere; woke = true
  :: bed[1] == where -> bed[1] = nowhere; woke = true
#if PROCS > 2
  :: bed[2] == where -> bed[2] = nowhere; woke = true
#endif
  :: else
  fi
}

proctype process(byte me) {
  byte my_generation, round, i, other;
  short w, mine, seen;
  bool once;           /* Attempt::once: ignores reservations, never waits */
  bool waits, judging; /* Attempt::waiting; judge() was called by wait() */
  bool heir, slept, may_break, empties, dead, look_only, woke, elder, called, handed;
  mtype after;         /* who called promote() */

verb:
#ifdef TRIES
  if :: once = false :: once = true fi;
#endif

  /* ------------------------------------------------------------------------------------------- ShmLock::Impl::take() */
take:
  atomic { mortal; w = word; judging = false; goto judge }
may_not:
  atomic {
    if
    :: judging -> goto look_on
    :: else ->
       if
       :: once -> goto round_over
       :: !once && waits && leavers > 0 -> leavers--; goto leave
       :: !once -> waits = true; goto wait
       fi
    fi
  }
may: /* it is free, reserved for us, or a dead one's */
  atomic {
    if
    :: judging -> LOOK_AWAY; w = 0; goto take
    :: else /* Waiter::flags_after_taking() */
    fi;
    mortal;
    empties = waits && ((heir && (w & HEIR) && heir_id == ID) || (may_break && STATE(w) == RESERVED))
  }
  atomic { /* swap(): the owner is in it */
    mortal;
    mine = WORD(HELD, me, my_generation, TAG(w) + 1);
    if
    :: word == w ->
#ifdef OWNER_LATER
       word = WORD(HELD, 0, 0, TAG(w) + 1) | (empties -> (w & QUEUE) : FLAGS(w));
       goto owner_later
#else
       word = mine | (empties -> (w & QUEUE) : FLAGS(w));
       inside++;
       assert(inside == 1);
       assert(orphan == dead); /* `abandoned` is told to the successor of who died holding, to no other */
       orphan = false;
       lapses = 0
#endif
    :: else -> mine = 0; goto take
    fi
  }
#ifdef OWNER_LATER
owner_later:
  atomic { mortal; word = mine | FLAGS(word); inside++; assert(inside == 1); lapses = 0 }
#endif
  if
  :: atomic { waits -> /* Waiter::took() */
       mortal;
       if :: heir_id == ID -> heir_id = 0 :: else fi;
       if :: empties && (w & QUEUE) -> after = holds; goto promote :: else fi
     }
  :: else
  fi;

  /* ---------------------------------------------------------------------------------------------- local::pass_on() */
in_possession:
  atomic { FORGET; mortal; inside--; w = word; assert(CORE(w) == mine) }
#ifdef CALLS
  /* local::call_heir(), which those use who have something else to let go of first */
call:
  atomic {
    mortal;
    if
    :: word != w -> w = word; goto call
    :: word == w && !(w & ASLEEP) -> goto let_go
    :: word == w && (w & ASLEEP) -> w = w & ~ASLEEP; word = w; called = true
    fi
  }
#ifndef DROP_CALL
  atomic { mortal; heir_moved = heir_moved | looking }
  atomic { mortal; wake_all(as_heir) }
#endif
#endif
let_go:
  atomic {
    mortal;
    if
    :: word != w -> w = word; goto let_go
    :: word == w && ((w & ASLEEP) || (called && (w & HEIR))) -> word = (FREED(w) | RESERVED) & ~ASLEEP; handed = true /* it has waited long */
    :: word == w -> word = FREED(w) & ~ASLEEP; handed = false
    fi;
    mine = 0; called = false;
    if
    :: w & ASLEEP -> after = released; goto wake_heir
    :: !(w & ASLEEP) && handed -> goto round_over
#ifndef DROP_PROMOTE
    :: !(w & ASLEEP) && !handed && (w & QUEUE) && !(w & HEIR) -> after = released; goto promote
#endif
    :: else -> goto round_over
    fi
  }
wake_heir:
#ifdef DROP_WAKE
  goto round_over;
#endif
  atomic { mortal; heir_moved = heir_moved | looking }
  atomic { mortal; wake_all(as_heir) }
round_over:
  atomic { w = 0; round++; if :: round == 1 && me < TWICE -> goto verb :: else -> round = 0; goto finished fi }

  /* ------------------------------------------------------------------------------------------------ local::judge() */
judge:
  atomic {
    if
    :: STATE(w) == FREE -> dead = false; goto may
    :: STATE(w) == RESERVED ->
       if
       :: (once && !waits) || (waits && may_break) -> dead = false; goto may
       :: else ->
          if :: waits && heir && (w & HEIR) -> mortal :: else -> goto may_not fi;
          if :: heir_id == ID -> dead = false; goto may :: else -> goto may_not fi
       fi
    :: STATE(w) == HELD ->
       may_break = false;
       if :: IS_ME(w) -> goto may_not :: else fi;
#if CRASHES > 0
       mortal;
       if :: SAME_GENERATION(w) :: else -> dead = true; goto may fi
#else
       goto may_not
#endif
    fi
  }
#if CRASHES > 0
  atomic { mortal; if :: PRESENT(w) -> goto may_not :: else -> dead = true; goto may fi }
#endif

  /* ----------------------------------------------------------------------------------------------- Waiter::wait() */
wait:
#ifdef LATE_FUTEX
  atomic { mortal; w = word; judging = true }
  atomic { mortal; LOOK_AWAY; looking = looking | ME; goto judge }
#else
  atomic { LOOK_AWAY; looking = looking | ME; mortal }
  atomic { mortal; w = word; judging = true; goto judge }
#endif
look_on:
  atomic {
    if
    :: heir -> /* has_seat() */
       if :: w & HEIR -> mortal :: else fi;
       if :: (w & HEIR) && heir_id == ID -> goto sleep_as_heir :: else -> heir = false; w = 0; goto wait fi
    :: !heir && !(w & HEIR) && (!(w & QUEUE) || slept) -> /* sit_down() */
       mortal;
       if :: word == w -> word = (w | HEIR) & ~ASLEEP; w = 0; goto sign :: else -> w = 0; goto wait fi
    :: !heir && (w & HEIR) && slept -> mortal; other = heir_id; goto dead_heir
    :: else -> goto line_up
    fi
  }
sign:
  atomic { mortal; heir_id = ID; heir = true; goto wait }
dead_heir:
  atomic {
    if
    :: other == 0
    :: other != 0 && (other & 127) == IDENTITY(me, my_generation) -> goto line_up
    :: other != 0 && (other & 127) != IDENTITY(me, my_generation) ->
       mortal;
       if :: SAME_GENERATION(other) && PRESENT(other) -> goto line_up :: else fi /* in one: as in judge(), and it decides less */
    fi
  }
  atomic { mortal; if :: heir_id == other -> heir_id = ID; heir = true; other = 0; w = 0; goto wait :: else -> goto line_up fi }
line_up:
  atomic {
    other = 0;
#ifndef TRUST_RESERVATION
    if /* unchanged_for(kReservation) */
    :: STATE(w) == RESERVED && seen == CORE(w) -> may_break = true; seen = 0; LOOK_AWAY; w = 0; goto take
    :: STATE(w) != RESERVED || seen != CORE(w) || (!calm && SLICES != 3) -> if :: STATE(w) == RESERVED -> seen = CORE(w) :: else fi
    fi;
#endif
    if
    :: w & QUEUE
    :: else -> mortal; if :: word == w -> word = w | QUEUE :: else -> w = 0; goto wait fi
    fi;
    look_only = STATE(w) == RESERVED; /* a mere look does not count as having slept */
    w = 0
  }

  /* ------------------------------------------------------------------------------------- Waiter::sleep_in_queue() */
#ifdef ELDERS
  if
  :: elder = false
  :: atomic { slept -> mortal; elder = true; elder_count++ }
  fi;
#endif
  atomic {
    mortal;
    if
    :: elder && !(elders_moved & ME) -> SLEEP(among_elders)
    :: !elder && !(queue_moved & ME) -> SLEEP(in_queue)
    :: else -> look_only = true /* EAGAIN */
    fi;
    LOOK_AWAY
  }
  if
  :: atomic { bed[me] == nowhere -> slept = slept || !look_only }
  SLICE_ENDS(slept = slept || !look_only)
  DIES_ASLEEP
  fi;
  look_only = false;
#ifdef ELDERS
  atomic { if :: elder -> mortal; elder_count--; elder = false :: else fi }
#endif
  goto take;

  /* -------------------------------------------------------------------------------------- Waiter::sleep_as_heir() */
sleep_as_heir:
  atomic {
    mortal;
    if
    :: word != w -> LOOK_AWAY; w = 0; goto take
    :: word == w -> w = w | ASLEEP
    fi;
    word = w
  }
  atomic {
    mortal;
    if
    :: heir_moved & ME /* EAGAIN */
    :: else ->
       SLEEP(as_heir);
       if :: STATE(w) == HELD && life[SLOT(w)] -> watches[me] = SLOT(w) + 1 :: else fi /* ask_to_be_woken(): of whoever has the slot by now */
    fi;
    LOOK_AWAY;
    w = 0
  }
  if
  :: bed[me] == nowhere
  SLICE_ENDS(skip)
  DIES_ASLEEP
  fi;
  atomic { slept = true; goto take }

  /* --------------------------------------------------------------------------------------------- local::promote() */
promote:
  atomic { w = 0; mortal; elders_moved = elders_moved | looking; queue_moved = queue_moved | looking }
#ifdef ELDERS
  if
  :: atomic { elder_count != 0 -> mortal; wake_one(among_elders) }
  :: else
  fi;
#endif
  atomic {
    if :: woke :: else -> mortal; wake_one(in_queue) fi;
    if :: woke -> goto promoted :: else fi
  }
  atomic { mortal; w = word; if :: !(w & QUEUE) || (w & HEIR) -> goto promoted :: else fi }
  atomic {
    mortal;
    if
    :: word == w -> word = w & ~QUEUE
    :: else -> goto promoted
    fi
  }
#ifndef ONE_BUMP
  atomic { mortal; elders_moved = elders_moved | looking; queue_moved = queue_moved | looking }
#ifdef ONE_WOKEN
  atomic { mortal; wake_one(in_queue) }
#else
#ifdef ELDERS
  if
  :: atomic { elder_count != 0 -> mortal; wake_all(among_elders) }
  :: else
  fi;
#endif
  atomic { mortal; wake_all(in_queue) }
#endif
#endif
promoted:
  atomic {
    w = 0;
    woke = false;
    if :: after == holds -> after = 0; goto in_possession :: else -> after = 0; goto round_over fi
  }

  /* ---------------------------------------------------------------------------------------------- Waiter::leave() */
#if LEAVERS > 0
leave:
  atomic { mortal; w = word }
leaving:
  if
  :: atomic { heir && (w & HEIR) -> mortal; if :: heir_id == ID :: else -> goto gone fi }
     atomic {
       mortal;
       if
       :: word == w -> word = (STATE(w) == RESERVED -> FREED(w) : w) & ~(HEIR | ASLEEP)
       :: else -> w = word; goto leaving
       fi
     }
     atomic { mortal; if :: heir_id == ID -> heir_id = 0 :: else fi }
  :: else
  fi;
gone:
  atomic { FORGET; mortal; w = word; if :: (w & QUEUE) && !(w & HEIR) -> after = left; goto promote :: else -> goto round_over fi }
#else
leave:
#endif

  /* ------------------------------------------------------------------------------------------------------ death */
#if CRASHES > 0
died:
  atomic { /* the kernel: the life word is marked, and who sleeps on it woken */
    if
    :: mine != 0 && CORE(word) == mine -> orphan = true; if :: inside > 0 -> inside-- :: else fi
    :: else
    fi;
    life[me] = false;
    do
    :: i < PROCS -> if :: watches[i] == me + 1 -> bed[i] = nowhere; watches[i] = 0 :: else fi; i++
    :: else -> i = 0; break
    od;
    LOOK_AWAY;
    bed[me] = nowhere;
    watches[me] = 0;
    lapses = 0;
    FORGET;
    mine = 0; other = 0; round = 0; after = 0;
    once = false; judging = false; look_only = false; woke = false; elder = false
  }
  atomic { present[me] = false } /* and the byte comes free */
  atomic { /* Presence::Presence(): the generation before the byte */
    generation[me] = (generation[me] + 1) % GENERATIONS;
    my_generation = generation[me]
  }
  atomic {
    present[me] = true;
    life[me] = true;
    if :: me < COMPETE -> goto verb :: else -> goto finished fi
  }
#endif

finished:
  atomic { other = 0; judging = false; once = false }
}

init {
  atomic {
    present[0] = true; life[0] = true; run process(0);
    present[1] = true; life[1] = true; run process(1);
#if PROCS > 2
    present[2] = true; life[2] = true; run process(2);
#endif
  }
#if SLICES == 1 || SLICES == 2
  calm = true
#endif
}
