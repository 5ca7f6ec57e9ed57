#pragma once
// planted: mistakes made on purpose, so that every checker can be seen red. Each is one that a developer could make in
// the place where it stands. They exist only in a build with WB_PLANTED (preset `planted`): there `waybill sim --plant
// NAME` switches one on. In every other build planted() is a constant false, its branch is gone, and neither names nor
// stories are in the binary (tests/gates/planted_test.py).
//
// tools/planted runs each bug until a checker sees it and writes docs/operations/planted-bugs.md. A bug nobody catches
// fails that gate: the checker is mended, or deleted.
//
// This table is the only one: BUG(enumerator, name on the command line, promises it must break, story). A name is not
// used again for another bug.

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
  /* outbox and sync */                                                                                               \
  BUG(kRecoveryDropsLast, "recovery-drops-last", "Q1 Q5",                                                             \
      "at a start the last row of each lane is left out: a loop that ends one too early")                             \
  BUG(kEvictionsForgotten, "evictions-forgotten", "Q4 Q5",                                                            \
      "at a start the count of evicted records begins at nothing")                                                    \
  BUG(kBudgetPerBoot, "budget-per-boot", "B2", "the day's budget of bytes begins anew with every start")              \
  BUG(kBudgetGivenBack, "budget-given-back", "B2",                                                                    \
      "bytes of an exchange that timed out are given back to the budget though they were on the air")                 \
  BUG(kNoBackoff, "no-backoff", "L2", "the pause after a failed exchange does not grow")                              \
  BUG(kRetryAfterIgnored, "retry-after-ignored", "L3", "the node comes back before the time that a busy hub named")   \
  BUG(kTimerAdded, "timer-added", "T1",                                                                               \
      "a new timer of the deploy machine is added to the old one instead of replacing it")                            \
  BUG(kShadowSends, "shadow-sends", "Q3",                                                                             \
      "a candidate in its shadow sends the records that it selects, beside the release that serves")                  \
  /* deploy */                                                                                                        \
  BUG(kCommitOnReach, "commit-on-reach", "U3",                                                                        \
      "a candidate is committed as soon as the hub was reached, without a verdict")                                   \
  BUG(kProbationWithoutData, "probation-without-data", "U3 F4",                                                       \
      "when its time is up, a candidate passes probation though it scored nothing")                                   \
  BUG(kGenerationGoesBack, "generation-goes-back", "U5 F2", "an assignment older than the accepted one is applied")   \
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
  BUG(kGenerationsForgotten, "generations-forgotten", "U9",                                                           \
      "a hub from a backup names generations that its nodes have passed already")                                     \
  BUG(kTokenUsedTwice, "token-used-twice", "I6", "enrolment does not mark its token as used")                         \
  BUG(kRevokedServed, "revoked-served", "I4", "a revoked node is served like any other")                              \
  BUG(kAuditSkipped, "audit-skipped", "H4", "commands to a rollout leave no audit entry")                             \
  BUG(kPausedAdmits, "paused-admits", "F1", "a paused rollout goes on admitting nodes")                               \
  BUG(kWaveRoundsUp, "wave-rounds-up", "F1", "a wave takes one node more than its share")                             \
  BUG(kDarkCountsAsFailed, "dark-counts-as-failed", "F3", "a node that went dark before it decided counts as failed") \
  BUG(kEmptyGatePasses, "empty-gate-passes", "F4", "a gate passes though no node has reported")                       \
  BUG(kOldestRolloutWins, "oldest-rollout-wins", "U9",                                                                \
      "a node is given the oldest rollout that names it instead of the newest")

namespace wb {

#define WB_PLANTED_ENUMERATOR(enumerator, name, promises, story) enumerator,
enum class Bug : uint8_t { kNone, WB_PLANTED_BUGS(WB_PLANTED_ENUMERATOR) };
#undef WB_PLANTED_ENUMERATOR

#ifdef WB_PLANTED

struct PlantedBug {
  Bug bug;
  std::string_view name, promises, story;
};
#define WB_PLANTED_ROW(enumerator, name, promises, story) {Bug::enumerator, name, promises, story},
inline constexpr PlantedBug kPlantedBugs[] = {WB_PLANTED_BUGS(WB_PLANTED_ROW)};
#undef WB_PLANTED_ROW

inline Bug planted_bug = Bug::kNone;  // set once, before any thread starts
inline bool planted(Bug bug) { return planted_bug == bug; }

#else

constexpr bool planted(Bug) { return false; }

#endif

}  // namespace wb
