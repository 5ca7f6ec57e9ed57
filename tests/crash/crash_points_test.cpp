// The harness of crash points, shown to work: it holds on the real stores, and it turns red when the shim lies, when an
// acknowledgement comes too early, and when a row is altered behind the store's back.
#include "tests/crash/crash_points.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/crash/recording_vfs.h"
#include "tests/crash/workloads.h"

namespace wb::crash {
namespace {

const Progress kSilent = [](const std::string&, const Tally&) {};

class CrashPoints : public testing::Test {
 protected:
  void SetUp() override { install_recording_vfs(); }
  static std::unique_ptr<Subject> named(const std::string& part) {
    for (auto& subject : named_subjects())
      if (subject->name().find(part) != std::string::npos) return std::move(subject);
    ADD_FAILURE() << "no workload is named like " << part;
    return nullptr;
  }
};

// Says "durable" when the write is only asked for: what a store does that acknowledges before its commit.
class EarlyAck final : public Subject {
 public:
  explicit EarlyAck(std::unique_ptr<Subject> real) : Subject("early: " + real->name()), real_(std::move(real)) {}
  std::string run(Medium& medium, MemoryDisk* start) override { return real_->run(medium, start); }
  std::string_view promises() const override { return real_->promises(); }
  std::string check(Medium& medium, const Bounds& bounds, bool go_on) override {
    return real_->check(medium, {bounds.asked, bounds.asked}, go_on);
  }

 private:
  std::unique_ptr<Subject> real_;
};

// Alters what a start finds, as a store would that does not check its rows.
class Alteration final : public Subject {
 public:
  explicit Alteration(std::unique_ptr<Subject> real) : Subject("altered: " + real->name()), real_(std::move(real)) {}
  std::string run(Medium& medium, MemoryDisk* start) override { return real_->run(medium, start); }
  std::string_view promises() const override { return real_->promises(); }
  std::string check(Medium& medium, const Bounds& bounds, bool go_on) override {
    const std::string name = std::string(kRoot) + "/node/outbox.db";
    if (const auto file = medium.disk.find(name); file && medium.disk.bytes(*file).size() > 6 * 4'096U) {
      std::string bytes = medium.disk.bytes(*file);
      const size_t at = bytes.find_last_not_of('\0') - 4;  // what lies behind is space that is held
      bytes[at] = static_cast<char>(bytes[at] ^ 1);
      medium.disk.set_bytes(name, std::move(bytes));
    }
    return real_->check(medium, bounds, go_on);
  }

 private:
  std::unique_ptr<Subject> real_;
};

TEST_F(CrashPoints, ThereAreWorkloadsEnoughAndTheirNamesDiffer) {
  std::set<std::string> names;
  for (const auto& subject : named_subjects()) names.insert(subject->name());
  EXPECT_EQ(names.size(), named_subjects().size());
  EXPECT_GE(names.size(), 50U);
}

TEST_F(CrashPoints, TheNodesStoreHoldsAtEveryOperation) {  // Q1 Q2 Q5 Q6
  const Tally tally = cut_power(*named("taken, sent, acked"), {}, kSilent);
  EXPECT_GT(tally.points, 1'000U);
  EXPECT_GT(tally.nested_points, 50U);
  EXPECT_EQ(tally.violations, 0U) << tally.first.front();
}

TEST_F(CrashPoints, TheHubsRowsHoldAtEveryOperation) {  // H1
  const Tally tally = cut_power(*named("batches of 5 records"), {}, kSilent);
  EXPECT_GT(tally.points, 1'000U);
  EXPECT_EQ(tally.violations, 0U) << tally.first.front();
}

TEST_F(CrashPoints, FilesAndSlotsHoldAtEveryOperation) {  // S1 U7
  for (const char* name : {"files:", "slots:"}) {
    const Tally tally = cut_power(*named(name), {.variants = 32}, kSilent);
    EXPECT_GT(tally.points, 300U);
    EXPECT_EQ(tally.violations, 0U) << tally.first.front();
  }
}

TEST_F(CrashPoints, AShimThatSwallowsSyncsIsCaught) {
  for (const char* name : {"taken, sent, acked", "batches of 5 records", "files:", "slots:"})
    EXPECT_GT(cut_power(*named(name), {.swallow_syncs = true}, kSilent).violations, 0U) << name;
}

TEST_F(CrashPoints, AnAckBeforeTheCommitIsCaught) {
  for (const char* name : {"taken, sent, acked", "batches of 5 records"}) {
    EarlyAck subject(named(name));
    EXPECT_GT(cut_power(subject, {.variants = 2, .nested_every = 0}, kSilent).violations, 0U) << name;
  }
}

TEST_F(CrashPoints, AnAlteredRowIsCaught) {
  Alteration subject(named("a backlog of 600 records drained"));
  EXPECT_GT(cut_power(subject, {.variants = 1, .stride = 7, .nested_every = 0}, kSilent).violations, 0U);
}

TEST_F(CrashPoints, FailingCallsAreMetWithoutLoss) {  // Q7
  for (const char* name : {"a restart after every third ticket", "every table in one transaction"}) {
    const Tally tally = fail_calls(*named(name), {.stride = 101}, kSilent);
    EXPECT_GT(tally.points, 20U);
    EXPECT_EQ(tally.violations, 0U) << tally.first.front();
  }
}

}  // namespace
}  // namespace wb::crash
