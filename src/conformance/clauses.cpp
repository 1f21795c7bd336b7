// SPDX-License-Identifier: MIT
// The list. A number is never given to another clause; a new clause gets the next free one. docs/contract.md ends with the same
// list, and a test compares them.
#include "conformance/clauses.hpp"

#include "conformance/groups.hpp"

namespace sherlock::conformance {
namespace {

struct Entry {
  Clause clause;
  void (*judge)(Stage&);
};

const std::vector<Entry>& entries() {
  static const std::vector<Entry> all{
      {{1, "of two claims one is granted", "exclusion"}, one_of_two_claims},
      {{2, "processes and threads never overlap", "exclusion"}, many_never_overlap},
      {{3, "threads sharing one object exclude each other", "exclusion"}, sharing_threads_exclude},
      {{4, "different names, and different namespaces, do not disturb each other", "exclusion"}, names_do_not_disturb},
      {{5, "locks on two backends can be held at once", "exclusion"}, two_backends_at_once},

      {{6, "only the owner releases", "ownership"}, only_owner_releases},
      {{7, "a second release is an error and touches nothing", "ownership"}, second_release},
      {{8, "another thread than the one that acquired can release", "ownership"}, release_by_another_thread},
      {{9, "a late release leaves the successor alone, in the same process too", "ownership"}, late_release_spares_successor},
      {{10, "renew before acquire is an error", "ownership"}, renew_before_acquire},
      {{11, "a lock object can be used again after release", "ownership"}, used_again},

      {{12, "a free lock is granted without waiting", "waiting"}, free_is_granted_at_once},
      {{13, "a timeout of 0 is one try", "waiting"}, timeout_of_zero},
      {{14, "a timeout is kept", "waiting"}, timeout_is_kept},
      {{15, "a release wakes a waiter well before its retry_interval", "waiting", {Need::wakes}}, release_wakes},
      {{16, "a slow store does not stretch the timeout", "waiting"}, slow_store_keeps_timeout},
      {{17, "a stop_token cancels a wait", "waiting"}, stop_token_cancels},
      {{18, "the last try is made", "waiting"}, last_try_is_made},
      {{19, "nobody starves", "waiting", {Need::fair}}, nobody_starves},

      {{20, "a lease ends", "expiry"}, lease_ends},
      {{21, "never means never", "expiry", {Need::never}}, never_means_never},
      {{22, "renew prolongs, and after expiry it is false", "expiry"}, renew_prolongs},
      {{23, "renew after somebody took the lock is false", "expiry"}, renew_after_takeover},
      {{24, "an expired holder's release is reported and leaves the successor alone", "expiry"}, expired_release_is_reported},
      {{25, "the same object acquires again after expiry", "expiry"}, acquires_after_expiry},
      {{26, "a lease is also freed by death", "expiry", {Need::processes}}, death_ends_lease},

      {{27, "fences strictly increase, over releases, deaths, expiries and processes", "fence", {Need::fences}}, fences_increase},
      {{28, "the holder sees its own fence", "fence", {Need::fences}}, holder_sees_its_fence},

      {{29, "a killed holder's lock comes free", "death", {Need::processes}}, killed_holder_frees},
      {{30, "the successor is told that the lock was abandoned", "death"}, successor_is_told},
      {{31, "a stopped holder without expiry keeps the lock", "death", {Need::never, Need::processes}}, stopped_holder_keeps},

      {{32, "a forked child does not own its parent's lock", "fork and exec", {Need::processes}}, child_does_not_own},
      {{33, "the child's exit and destructors leave the lock alone", "fork and exec", {Need::processes}}, child_leaves_it_alone},
      {{34, "the parent's death frees the lock though the child lives", "fork and exec", {Need::processes}}, parents_death_frees},
      {{35, "a lock does not leak through exec", "fork and exec", {Need::processes}}, no_leak_through_exec},

      {{36, "names that differ in case are two locks", "names"}, case_matters},
      {{37, "a name is any bytes: ../x, NUL, 1024 of them", "names"}, any_bytes},
      {{38, "(a, b_c) is not (a_b, c)", "names"}, ns_and_name_do_not_meet},
      {{39, "job.1 is not job.2", "names"}, suffix_matters},
      {{40, "empty and oversized names are refused", "names"}, refused_names},

      {{41, "a dead or full store is a BackendException, never false and never a hang", "errors", {Need::processes}}, dead_store_is_told},
      {{42, "what failed can be tried again", "errors", {Need::processes}}, failed_is_tried_again},

      {{43, "locked() tells what the store says, and never makes a try fail", "looking"}, locked_tells},
      {{44, "holder() names the holder and its label", "looking"}, holder_is_named},

      {{45, "destruction releases", "RAII"}, destruction_releases},
      {{46, "a scope left by an exception releases, and the exception survives", "RAII"}, exception_releases},
      {{47, "a lost hold is told to on_lost once", "RAII"}, lost_is_told_once},
  };
  return all;
}

bool has(const Traits& traits, Need need) {
  switch (need) {
    case Need::fences: return traits.fences;
    case Need::wakes: return traits.wakes;
    case Need::fair: return traits.fair;
    case Need::never: return traits.never;
    case Need::processes: return traits.scope != Scope::process;
  }
  return true;
}

std::string text(Need need, bool declared) {
  const char* const value = declared ? " = true" : " = false";
  switch (need) {
    case Need::fences: return std::string{"fences"} + value;
    case Need::wakes: return std::string{"wakes"} + value;
    case Need::fair: return std::string{"fair"} + value;
    case Need::never: return std::string{"never"} + value;
    case Need::processes: return declared ? "scope = host or network" : "scope = process";
  }
  return {};
}

}  // namespace

const std::vector<Clause>& clauses() {
  static const std::vector<Clause> all = [] {
    std::vector<Clause> list;
    for (const Entry& entry : entries()) list.push_back(entry.clause);
    return list;
  }();
  return all;
}

void (*judge_of(int number))(Stage&) {
  for (const Entry& entry : entries())
    if (entry.clause.number == number) return entry.judge;
  return nullptr;
}

std::string missing_trait(const Clause& clause, const Traits& traits) {
  for (const Need need : clause.needs)
    if (!has(traits, need)) return text(need, false);
  return {};
}

std::string text(Need need) { return text(need, true); }

}  // namespace sherlock::conformance
