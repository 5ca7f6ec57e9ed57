#pragma once
// planted: mistakes made on purpose, so that every checker can be seen red. Each is one that a developer could make in
// the place where it stands. They exist only in a build with WB_PLANTED (preset `planted`): there `waybill sim --plant
// NAME` switches one on, or WAYBILL_PLANT=NAME for a test. In every other build planted() is a constant false, its
// branch is gone, and neither names nor stories are in the binary (tests/gates/planted_test.py).
//
// tools/planted runs each bug until a checker sees it and writes docs/operations/planted-bugs.md. A bug nobody catches
// fails that gate: the checker is mended, or deleted.
//
// This table is the only one: BUG(enumerator, name on the command line, promises it must break, story, check). The
// check is who must see it: nothing for the simulator, else a program of tests/ with its arguments, or a test program
// with the tests that must turn red. These take the name of the bug from WAYBILL_PLANT. A name is not used again for
// another bug.

#include <cstdint>
#include <string_view>

#define WB_PLANTED_BUGS(BUG)                                                                                          \
  /* the node's store and its producers */                                                                            \
  BUG(kAckBeforeCommit, "ack-before-commit", "Q1",                                                                    \
      "a producer hears accepted when its records are handed to the store, not when they are durable")                \
  BUG(kFailedStoreCounts, "failed-store-counts", "Q1 Q5 Q7", "a commit that failed is taken for one that held")       \
  BUG(kStoreNotRetried, "store-not-retried", "Q7 T3", "after a failed commit the timer for the next try is not set")  \
  BUG(kWaitsForClock, "waits-for-clock", "T3", "input is refused as long as the wall clock reads the last century")   \
  BUG(kStoreFailureStopsControl, "store-failure-stops-control", "R1",                                                 \
      "while the store takes nothing, the node does not call its hub either")                                         \
  BUG(kPositionAheadOfData, "position-ahead-of-data", "Q1",                                                           \
      "the position in a followed file is stored before the records that were read up to it")                         \
  BUG(kChecksumIgnored, "checksum-ignored", "Q2", "a row is taken as it lies though its checksum does not match",     \
      "wb_crash_points --parts damage --damage-stride 1009")                                                          \
  BUG(kRenameBeforeSync, "rename-before-sync", "S1",                                                                  \
      "a file that is replaced gets its name before its bytes are durable",                                           \
      "wb_crash_points --parts cuts --only files:")                                                                   \
  BUG(kRepairBegunAnew, "repair-begun-anew", "Q6", "a start throws away the copy that a cut repair has left",         \
      "wb_world_disk_test NodeStore.ACrashDuringARepairIsFinishedByTheNextStart")                                     \
  BUG(kLogDamageUnseen, "log-damage-unseen", "Q4 Q5",                                                                 \
      "a start takes the log up to the first damaged frame and drops later commits without a word, as SQLite does",   \
      "wb_crash_points --parts damage --damage-stride 1009")                                                          \
  BUG(kSecretsReadable, "secrets-readable", "I1",                                                                     \
      "a node's private key is written so that everybody on the device can read it", "wb_world_disk_test Files.*")    \
  BUG(kBootNotCounted, "boot-not-counted", "T4", "after its first boot the node counts no further ones")              \
  /* outbox and sync */                                                                                               \
  BUG(kRecoveryDropsLast, "recovery-drops-last", "Q1 Q5",                                                             \
      "at a start the last row of each lane is left out: a loop that ends one too early")                             \
  BUG(kEvictionsForgotten, "evictions-forgotten", "Q4 Q5",                                                            \
      "at a start the count of evicted records begins at nothing")                                                    \
  BUG(kCountersNotSaved, "counters-not-saved", "Q5", "the outbox does not store its counters with its records")       \
  BUG(kLossHidden, "loss-hidden", "Q4", "records lost to a damaged medium are told to the hub as evicted by policy")  \
  BUG(kCriticalGoesFirst, "critical-goes-first", "Q8", "where room must be made, critical records are evicted first", \
      "wb_edge_outbox_test OutboxOverflow.DeadLettersGoFirstCriticalLast")                                            \
  BUG(kOverheadFree, "overhead-free", "Q8",                                                                           \
      "a record is charged for its bytes alone, not for what the file needs around them",                             \
      "outbox_quota_test OutboxQuota.WhatTheOutboxHoldsFitsItsFile")                                                  \
  BUG(kSurvivorsStandForNobody, "survivors-stand-for-nobody", "B4",                                                   \
      "records that survived evictions are sent as if nothing had been evicted",                                      \
      "wb_edge_outbox_test OutboxOverflow.EstimatesStayUnbiased")                                                     \
  BUG(kOldImageIgnored, "old-image-ignored", "L1",                                                                    \
      "the node goes on under its incarnation though the hub says that its store is an old copy")                     \
  BUG(kBudgetPerBoot, "budget-per-boot", "B2", "the day's budget of bytes begins anew with every start")              \
  BUG(kBudgetGivenBack, "budget-given-back", "B2",                                                                    \
      "bytes of an exchange that timed out are given back to the budget though they were on the air")                 \
  BUG(kBudgetByWallClock, "budget-by-wall-clock", "B2",                                                               \
      "the day of the budget follows the device's wall clock, not the hub's")                                         \
  BUG(kRateNeverRises, "rate-never-rises", "L1", "a drain rate that an overloaded hub cut is never raised again")     \
  BUG(kNoBackoff, "no-backoff", "L2", "the pause after a failed exchange does not grow")                              \
  BUG(kRetryAfterIgnored, "retry-after-ignored", "L3", "the node comes back before the time that a busy hub named")   \
  BUG(kTimerAdded, "timer-added", "T1",                                                                               \
      "a new timer of the deploy machine is added to the old one instead of replacing it")                            \
  BUG(kRefusedUntried, "refused-untried", "Q1",                                                                       \
      "a record that the hub refuses alone is given up, though the hub refuses everything",                           \
      "wb_edge_agent_test RefusalTest.*")                                                                             \
  BUG(kLossUncounted, "loss-uncounted", "Q4", "a record that leaves its lane as lost is counted nowhere",             \
      "wb_edge_agent_test RefusalTest.*")                                                                             \
  BUG(kShadowSends, "shadow-sends", "Q3",                                                                             \
      "a candidate in its shadow sends the records that it selects, beside the release that serves")                  \
  BUG(kProbabilityOne, "probability-one", "B1", "a record that a rule drew is sent as if the rule sent every one",    \
      "wb_edge_route_test Route.WeightsEstimateWithoutBias")                                                          \
  BUG(kDrawnByPlace, "drawn-by-place", "B3", "a draw depends on the record's place in its batch, too",                \
      "wb_edge_route_test Route.SelectionDependsOnTheRecordAlone")                                                    \
  /* deploy */                                                                                                        \
  BUG(kCommitOnReach, "commit-on-reach", "U3",                                                                        \
      "a candidate is committed as soon as the hub was reached, without a verdict")                                   \
  BUG(kProbationWithoutData, "probation-without-data", "U3 F4",                                                       \
      "when its time is up, a candidate passes probation though it scored nothing")                                   \
  BUG(kGenerationGoesBack, "generation-goes-back", "U5 F2", "an assignment older than the accepted one is applied")   \
  BUG(kStaleApplied, "stale-applied", "F2", "an old assignment is taken for a new one: its generation is counted up") \
  BUG(kSignatureUnread, "signature-unread", "U1 K2",                                                                  \
      "an artifact that names a trusted key is believed, its signature is not checked",                               \
      "wb_edge_deploy_test DeployTest.WhatIsNotTheReleasedArtifactIsNeverLoaded")                                     \
  BUG(kOtherNameTaken, "other-name-taken", "K3",                                                                      \
      "a signed release is taken under the name of another (mix-and-match)",                                          \
      "wb_edge_deploy_test DeployTest.WhatIsNotTheReleasedArtifactIsNeverLoaded")                                     \
  BUG(kLongRangeTaken, "long-range-taken", "U7", "a range that is longer than what was asked for is written whole")   \
  BUG(kSlotErasedEarly, "slot-erased-early", "U2",                                                                    \
      "the slot of the running release is erased as soon as another is on its way",                                   \
      "wb_edge_deploy_test DeployCrash.*")                                                                            \
  BUG(kSafeModeUnsaid, "safe-mode-unsaid", "U2", "a node with nothing left to run does not say safe mode",            \
      "wb_edge_deploy_test DeployCrash.WithNothingLeftSafeModeIsDeclaredAndLeftAgain")                                \
  BUG(kAssignmentSwitches, "assignment-switches", "U4",                                                               \
      "an assignment of the release before the running one switches to it at once")                                   \
  BUG(kPipelineUngated, "pipeline-ungated", "U6", "a pipeline that does not load is committed all the same")          \
  BUG(kTriesNeverCleared, "tries-never-cleared", "U3",                                                                \
      "a release that ran well keeps its count of tries, and is given up after the third start",                      \
      "wb_edge_deploy_test DeployCrash.*")                                                                            \
  BUG(kTriedBeforeCounted, "tried-before-counted", "U3", "a candidate is loaded before its try is durable",           \
      "wb_edge_deploy_test DeployCrash.*")                                                                            \
  BUG(kRotBlamesRelease, "rot-blames-release", "U9",                                                                  \
      "a release whose stored bytes rotted is put into quarantine instead of being fetched again",                    \
      "wb_edge_deploy_test DeployTest.ADamagedSlotFallsBackAndIsFetchedAgain")                                        \
  BUG(kFetchNotRetried, "fetch-not-retried", "U9", "after a failed fetch nothing starts the next one",                \
      "wb_edge_deploy_test DeployTest.FetchesAreRepeatedNoSoonerThanAsked")                                           \
  BUG(kQuarantineForgotten, "quarantine-forgotten", "U9", "quarantine is kept in memory only")                        \
  BUG(kQuarantineTriedAgain, "quarantine-tried-again", "U9",                                                          \
      "a release in quarantine is taken again while it is still assigned")                                            \
  BUG(kDesiredReportedAsRunning, "desired-reported-as-running", "F6",                                                 \
      "the node reports what it should run as what it runs")                                                          \
  /* hub */                                                                                                           \
  BUG(kCursorAheadOfData, "cursor-ahead-of-data", "Q1",                                                               \
      "ingest moves its cursor over a range before it has stored the records in it")                                  \
  BUG(kIngestedTwice, "ingested-twice", "Q3 Q4", "a record that comes again is counted again")                        \
  BUG(kOldCopyTaken, "old-copy-taken", "Q1",                                                                          \
      "ingest does not notice that a node's store is an old copy, and takes its new records for replays")             \
  BUG(kHubGapHidden, "hub-gap-hidden", "Q4",                                                                          \
      "a hub that came back from a backup does not declare what it has forgotten")                                    \
  BUG(kAckSaysLess, "ack-says-less", "H2",                                                                            \
      "the ack names what was new in this request, so that a retry is acked otherwise")                               \
  BUG(kHubCommitUnsynced, "hub-commit-unsynced", "H1", "the hub answers before its commit is synced",                 \
      "wb_crash_points --parts cuts --stride 5 --only batches")                                                       \
  BUG(kThinningDropped, "thinning-dropped", "B4",                                                                     \
      "the hub keeps the rule's probability and drops that of having survived in the outbox",                         \
      "wb_hub_ingest_test Ingest.ThinningMultipliesTheInclusionProbability")                                          \
  BUG(kInsideUncounted, "inside-uncounted", "H6",                                                                     \
      "what repeats inside a part of a message is not counted before it is allocated", "wb_wire_test Limits.*")       \
  BUG(kGenerationsForgotten, "generations-forgotten", "U9",                                                           \
      "a hub from a backup names generations that its nodes have passed already")                                     \
  BUG(kTokenUsedTwice, "token-used-twice", "I6", "enrolment does not mark its token as used")                         \
  BUG(kOldCertificateRefused, "old-certificate-refused", "I2",                                                        \
      "with the renewal the old certificate is refused, before the new one has served",                               \
      "wb_hub_registry_test Registry.ARenewedCertificateRetiresTheOldOneOnceItIsUsed")                                \
  BUG(kRevokedServed, "revoked-served", "I4", "a revoked node is served like any other")                              \
  BUG(kAuditSkipped, "audit-skipped", "H4", "commands to a rollout leave no audit entry")                             \
  BUG(kPausedAdmits, "paused-admits", "F1", "a paused rollout goes on admitting nodes")                               \
  BUG(kWaveRoundsUp, "wave-rounds-up", "F1", "a wave takes one node more than its share")                             \
  BUG(kDarkCountsAsFailed, "dark-counts-as-failed", "F3", "a node that went dark before it decided counts as failed") \
  BUG(kEmptyGatePasses, "empty-gate-passes", "F4", "a gate passes though no node has reported")                       \
  BUG(kOldestRolloutWins, "oldest-rollout-wins", "U9",                                                                \
      "a node is given the oldest rollout that names it instead of the newest")

namespace wb {

#define WB_PLANTED_ENUMERATOR(enumerator, name, promises, story, ...) enumerator,
enum class Bug : uint8_t { kNone, WB_PLANTED_BUGS(WB_PLANTED_ENUMERATOR) };
#undef WB_PLANTED_ENUMERATOR

#ifdef WB_PLANTED

struct PlantedBug {
  Bug bug;
  std::string_view name, promises, story;
};
#define WB_PLANTED_ROW(enumerator, name, promises, story, ...) {Bug::enumerator, name, promises, story},
inline constexpr PlantedBug kPlantedBugs[] = {WB_PLANTED_BUGS(WB_PLANTED_ROW)};
#undef WB_PLANTED_ROW

inline Bug planted_bug = Bug::kNone;  // set once, before any thread starts
inline bool planted(Bug bug) { return planted_bug == bug; }
inline bool plant(std::string_view name) {  // false: there is no such bug
  for (const PlantedBug& one : kPlantedBugs)
    if (one.name == name) planted_bug = one.bug;
  return planted(Bug::kNone) == name.empty();
}

#else

constexpr bool planted(Bug) { return false; }

#endif

}  // namespace wb
