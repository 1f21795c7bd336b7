// SPDX-License-Identifier: MIT
// The functions behind the clauses. Each takes the stage of its run, and throws Broken, or what a verb throws, where the clause is broken.
#pragma once

#include "conformance/stage.hpp"

namespace sherlock::conformance {

// exclusion.cpp
void one_of_two_claims(Stage& stage);
void many_never_overlap(Stage& stage);
void sharing_threads_exclude(Stage& stage);
void names_do_not_disturb(Stage& stage);
void two_backends_at_once(Stage& stage);

// ownership.cpp
void only_owner_releases(Stage& stage);
void second_release(Stage& stage);
void release_by_another_thread(Stage& stage);
void late_release_spares_successor(Stage& stage);
void renew_before_acquire(Stage& stage);
void used_again(Stage& stage);

// waiting.cpp
void free_is_granted_at_once(Stage& stage);
void timeout_of_zero(Stage& stage);
void timeout_is_kept(Stage& stage);
void release_wakes(Stage& stage);
void slow_store_keeps_timeout(Stage& stage);
void stop_token_cancels(Stage& stage);
void last_try_is_made(Stage& stage);
void nobody_starves(Stage& stage);

// expiry.cpp
void lease_ends(Stage& stage);
void never_means_never(Stage& stage);
void renew_prolongs(Stage& stage);
void renew_after_takeover(Stage& stage);
void expired_release_is_reported(Stage& stage);
void acquires_after_expiry(Stage& stage);
void death_ends_lease(Stage& stage);

// fence.cpp
void fences_increase(Stage& stage);
void holder_sees_its_fence(Stage& stage);

// death.cpp
void killed_holder_frees(Stage& stage);
void successor_is_told(Stage& stage);
void stopped_holder_keeps(Stage& stage);

// fork.cpp
void child_does_not_own(Stage& stage);
void child_leaves_it_alone(Stage& stage);
void parents_death_frees(Stage& stage);
void no_leak_through_exec(Stage& stage);

// names.cpp
void case_matters(Stage& stage);
void any_bytes(Stage& stage);
void ns_and_name_do_not_meet(Stage& stage);
void suffix_matters(Stage& stage);
void refused_names(Stage& stage);

// errors.cpp
void dead_store_is_told(Stage& stage);
void failed_is_tried_again(Stage& stage);

// looking.cpp
void locked_tells(Stage& stage);
void holder_is_named(Stage& stage);

// raii.cpp
void destruction_releases(Stage& stage);
void exception_releases(Stage& stage);
void lost_is_told_once(Stage& stage);

}  // namespace sherlock::conformance
