// SPDX-License-Identifier: MIT
#include "mutants.hpp"

#include <functional>
#include <utility>

#include <sherlock/registry.hpp>

#include "../../docs/examples/memory_lock.hpp"
#include "mutants_of_holds.hpp"
#include "mutants_of_waits.hpp"
#include "mutants_of_words.hpp"

namespace reference {
namespace {

using sherlock::Backend, sherlock::Descriptor, sherlock::Traits;

constexpr Traits kWhole = ReferenceLock::traits;

constexpr Traits without_wakes() {
  Traits traits = kWhole;
  traits.wakes = traits.fair = false;
  return traits;
}

// Everything happens within one process, as far as the suite knows.
constexpr Traits in_process() {
  Traits traits = kWhole;
  traits.scope = sherlock::Scope::process;
  return traits;
}

struct Mutant {
  int clause;
  Backend backend;
};

template <class L>
Mutant mutant(int clause, const std::string& name, Traits traits = kWhole) {
  return {clause, sherlock::backend<LetsGo<L>>({.name = "mutant-" + std::to_string(clause) + "-" + name, .traits = traits})};
}

const std::vector<Mutant>& all() {
  static const std::vector<Mutant> mutants{
      mutant<GrantsEveryTry>(1, "grants-every-try"),
      mutant<GrantsEveryTry>(1, "grants-every-try-in-process", in_process()),
      mutant<LooksThenTakes>(2, "looks-then-takes"),
      mutant<LooksThenTakes>(2, "looks-then-takes-in-process", in_process()),
      mutant<Reentrant>(3, "reentrant"),
      mutant<IgnoresNamespaces>(4, "ignores-namespaces"),
      mutant<WaitsAtTheOnlyDoor>(5, "waits-at-the-only-door"),

      mutant<DestructorFrees>(6, "destructor-frees"),
      mutant<ReleasesAgain>(7, "releases-again"),
      mutant<ReleasesAgain>(7, "releases-again-in-process", in_process()),
      mutant<OwnedByThreads>(8, "owned-by-threads"),
      mutant<OwnedByProcesses>(9, "owned-by-processes"),
      mutant<HoldsFromTheStart>(10, "holds-from-the-start"),
      mutant<UsedOnce>(11, "used-once"),

      mutant<WaitsAtFirst>(12, "waits-at-first", without_wakes()),
      mutant<TriesForLong>(13, "tries-for-long"),
      mutant<WaitsTooLong>(14, "waits-too-long"),
      mutant<HearsNoRelease>(15, "hears-no-release"),
      mutant<HearsNoRelease>(15, "hears-no-release-in-process", in_process()),
      mutant<CountsTries>(16, "counts-tries"),
      mutant<CountsTries>(16, "counts-tries-in-process", in_process()),
      mutant<CannotBeStopped>(17, "cannot-be-stopped"),
      mutant<NoLastTry>(18, "no-last-try", without_wakes()),
      mutant<KeptForItsLast>(19, "kept-for-its-last"),

      mutant<LeasesNeverEnd>(20, "leases-never-end"),
      mutant<LeasesEndEarly>(20, "leases-end-early"),
      mutant<NeverIsAnHour>(21, "never-is-an-hour"),
      mutant<RenewsNothing>(22, "renews-nothing"),
      mutant<TakesOverEarly>(23, "takes-over-early"),
      mutant<LateReleaseIsAnError>(24, "late-release-is-an-error"),
      mutant<RefusesItsOwnAfterExpiry>(25, "refuses-its-own-after-expiry"),
      mutant<LeasesOutliveDeath>(26, "leases-outlive-death"),

      mutant<FenceStandsStill>(27, "fence-stands-still"),
      mutant<ShowsTheNextFence>(28, "shows-the-next-fence"),

      mutant<SeesNoDeath>(29, "sees-no-death"),
      mutant<TheDeadQueue>(29, "the-dead-queue"),
      mutant<TellsNobody>(30, "tells-nobody"),
      mutant<TellsNobody>(30, "tells-nobody-in-process", in_process()),
      mutant<TheStoppedAreDead>(31, "the-stopped-are-dead"),

      mutant<ChildrenRemember>(32, "children-remember"),
      mutant<ChildrenCleanUp>(33, "children-clean-up"),
      mutant<LivesOnInChildren>(34, "lives-on-in-children"),
      mutant<LivesOnThroughExec>(35, "lives-on-through-exec"),

      mutant<FoldsCase>(36, "folds-case"),
      mutant<EndsAtZero>(37, "ends-at-zero"),
      mutant<CutsLongNames>(37, "cuts-long-names"),
      mutant<JoinsNsAndName>(38, "joins-ns-and-name"),
      mutant<CutsSuffixes>(39, "cuts-suffixes"),
      mutant<NamesTheNameless>(40, "names-the-nameless"),

      mutant<FailureIsBusy>(41, "failure-is-busy"),
      mutant<FailureIsAHang>(41, "failure-is-a-hang"),
      mutant<FailsForEver>(42, "fails-for-ever"),

      mutant<LooksByTaking>(43, "looks-by-taking"),
      mutant<SeesItselfOnly>(43, "sees-itself-only"),
      mutant<KeepsTheFirstLabel>(44, "keeps-the-first-label"),

      {45, sherlock::backend<ForgetsToLetGo>({.name = "mutant-45-forgets-to-let-go"})},
      mutant<MindsExceptions>(46, "minds-exceptions"),
      mutant<DropsOnLost>(47, "drops-on-lost"),
      mutant<TellsTwice>(47, "tells-twice"),
  };
  return mutants;
}

}  // namespace

const std::vector<MutantName>& mutants() {
  static const std::vector<MutantName> names = [] {
    std::vector<MutantName> list;
    for (const Mutant& mutant : all()) list.push_back({mutant.clause, mutant.backend.name()});
    return list;
  }();
  return names;
}

void register_all() {
  sherlock::Registry& registry = sherlock::registry();
  for (const Mutant& mutant : all()) registry.add(mutant.backend);
  registry.add(sherlock::backend<LetsGo<ReferenceLock>>({.name = "reference"}));
  registry.add(sherlock::backend<LetsGo<WeakLock>>({.name = "weak"}));
  registry.add(sherlock::backend<LetsGo<Crashes>>({.name = "crashes"}));
  registry.add(sherlock::backend<LetsGo<Hangs>>({.name = "hangs"}));
  registry.add(sherlock::backend<example::MemoryLock>({.name = "memory", .default_client = "default"}));
}

}  // namespace reference
