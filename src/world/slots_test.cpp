#include "world/slots.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "world/files.h"
#include "world/test_folder.h"

namespace wb::world {
namespace {

const std::string kDigest(64, 'a');

class SlotsTest : public testing::Test {
 protected:
  TestFolder folder;
  Slots slots = *Slots::open(folder.path("slots"), 1'000);
  std::string file(const std::string& suffix = "") { return folder.path("slots/" + kDigest + suffix); }
};

TEST_F(SlotsTest, WhatIsWrittenInRangesIsSealedAndRead) {
  EXPECT_EQ(*slots.write(kDigest, 0, "hello "), 6U);
  EXPECT_EQ(*slots.write(kDigest, 6, "world"), 11U);
  EXPECT_EQ(slots.read(kDigest).error().code, Code::kNotFound) << "not sealed yet";
  auto listed = *slots.list();
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0].bytes, 11U);
  EXPECT_FALSE(listed[0].sealed);
  ASSERT_TRUE(slots.seal(kDigest).ok());
  EXPECT_TRUE(slots.seal(kDigest).ok()) << "sealing again is fine";
  EXPECT_EQ(*slots.read(kDigest), "hello world");
  EXPECT_TRUE((*slots.list())[0].sealed);
  struct stat info {};
  ASSERT_EQ(::stat(file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

// U7: bytes behind the durable length are not resumed from, and a hole cannot be made.
TEST_F(SlotsTest, AResumeCutsWhatWasNeverReported) {
  ASSERT_TRUE(slots.write(kDigest, 0, "good-torn").ok());
  EXPECT_EQ(*slots.write(kDigest, 4, "!"), 5U);
  ASSERT_TRUE(slots.seal(kDigest).ok());
  EXPECT_EQ(*slots.read(kDigest), "good!");
  EXPECT_EQ(slots.write(std::string(64, 'b'), 7, "x").error().code, Code::kInvalid);
}

TEST_F(SlotsTest, ASlotIsBoundedAndNamedByADigestOnly) {
  EXPECT_FALSE(slots.write(kDigest, 0, std::string(1'001, 'x')).ok());
  EXPECT_FALSE(slots.write(kDigest, ~uint64_t{0}, "x").ok());
  EXPECT_EQ(slots.write("../../etc/passwd", 0, "x").error().code, Code::kInvalid);
  EXPECT_EQ(slots.read(std::string(64, 'A')).error().code, Code::kInvalid);
  EXPECT_FALSE(file_exists(folder.path("etc")));
}

TEST_F(SlotsTest, RemoveTakesBothFormsAndForeignFilesAreNotListed) {
  ASSERT_TRUE(slots.write(kDigest, 0, "old").ok());
  ASSERT_TRUE(slots.seal(kDigest).ok());
  ASSERT_TRUE(slots.write(kDigest, 0, "new").ok());
  ASSERT_TRUE(write_file_atomic(folder.path("slots/notes.txt"), "mine", 0600).ok());
  auto listed = *slots.list();
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_TRUE(listed[0].sealed);
  ASSERT_TRUE(slots.remove(kDigest).ok());
  EXPECT_TRUE(slots.remove(kDigest).ok());
  EXPECT_TRUE(slots.list()->empty());
  EXPECT_TRUE(file_exists(folder.path("slots/notes.txt")));
}

}  // namespace
}  // namespace wb::world
