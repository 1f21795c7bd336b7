/* SPDX-License-Identifier: MIT */
/* What both models share: the word of a key (src/local/word.hpp), who is present (src/local/presence.cpp), and death.
 *
 * Each atomic { mortal; ... } is one access to shared memory or one system call of the library; a process may be killed instead of it, so deaths are
 * tried at every instruction that others can tell from its neighbours. What is between two accesses is the process's own and needs no step. A
 * dead process's slot is taken by a new one, of the next generation.
 */

#ifndef PROCS
#define PROCS 3
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef GENERATIONS
#define GENERATIONS 4 /* more than one slot has lives here; the word has 2^18 */
#endif
#ifndef COMPETE
#define COMPETE PROCS /* of how many slots the dead one's successor wants the lock too; in the others it is only there */
#endif

/* state 2 | slot 2 | generation 2 | tag 4 | flags 4, from the bottom. `acquiring` and `foreign` are not used by shm's locks. */
#define FREE 0
#define HELD 1
#define RESERVED 2
#define QUEUE 1024
#define HEIR 2048
#define ASLEEP 4096
#define STATE(w) ((w) & 3)
#define SLOT(w) (((w) >> 2) & 3)
#define GENERATION(w) (((w) >> 4) & 3)
#define TAG(w) (((w) >> 6) & 15)
#define CORE(w) ((w) & 1023)
#define FLAGS(w) ((w) & 15360)
#define FREED(w) ((w) & 16320) /* the code leaves the owner in a free word; nobody looks at it there */
#define WORD(state, slot, generation, tag) ((state) | (slot) << 2 | (generation) << 4 | ((tag) & 15) << 6)

/* Identity: of (slot, generation), never 0 */
#define IDENTITY(slot, generation) (64 | (slot) << 2 | (generation) << 4)

short word;               /* Entry::word */
byte generation[PROCS];   /* Slot::generation */
bool present[PROCS];      /* whether the presence byte is locked */
byte crashes = CRASHES;   /* still to come, at most */

#if CRASHES > 0
#define mortal if :: true :: crashes > 0 -> crashes--; goto died fi
#else
#define mortal skip
#endif

/* Presence::alive(), in two steps: the generation, then the byte. `who` is a word or an identity; IS_ME() is its short way. */
#define IS_ME(who) (SLOT(who) == me && GENERATION(who) == my_generation)
#define SAME_GENERATION(who) (generation[SLOT(who)] == GENERATION(who))
#define PRESENT(who) present[SLOT(who)]

/* For judging: what those who wrote the protocol cannot see. */
byte inside;  /* how many have been granted the lock and have not begun to let it go */
bool orphan;  /* the last holder died as one, and nobody has been told */
