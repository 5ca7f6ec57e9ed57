#include "world/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "world/test_folder.h"

namespace wb::world {
namespace {

// S1, I1: the mode is right, so that a key is its owner's alone, and no temporary is left behind.
TEST(Files, WritesAtomically) {
  const TestFolder folder;
  const std::string path = folder.path("key.pem");
  ASSERT_TRUE(write_file_atomic(path, "old", kPublicMode).ok());
  ASSERT_TRUE(write_file_atomic(path, "secret", kSecretMode).ok());
  EXPECT_EQ(read_file(path, 100).value(), "secret");
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  size_t files_count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path(""))) files_count += entry.is_regular_file();
  EXPECT_EQ(files_count, 1U);
}

TEST(Files, AFailedWriteLeavesTheOldFile) {
  const TestFolder folder;
  ASSERT_TRUE(make_folders(folder.path("target/inside")).ok());
  const Status written = write_file_atomic(folder.path("target"), "bytes", kPublicMode);  // rename over a folder fails
  ASSERT_FALSE(written.ok());
  EXPECT_TRUE(file_exists(folder.path("target/inside")));
  size_t entries_count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path(""))) entries_count += entry.exists();
  EXPECT_EQ(entries_count, 1U);
}

// R1: neither needs a new block or inode for what is there already.
TEST(Files, OverwritesInPlaceAndKeepsWhatIsTheSame) {
  const TestFolder folder;
  const std::string path = folder.path("url");
  EXPECT_EQ(overwrite_file(path, "x").error().code, Code::kNotFound);
  ASSERT_TRUE(keep_file(path, "http://127.0.0.1:40001", kPublicMode).ok());
  struct stat first {};
  struct stat second {};
  ASSERT_EQ(::stat(path.c_str(), &first), 0);
  ASSERT_TRUE(keep_file(path, "http://127.0.0.1:40001", kPublicMode).ok());
  ASSERT_TRUE(overwrite_file(path, "http://[::1]:4").ok());
  ASSERT_EQ(::stat(path.c_str(), &second), 0);
  EXPECT_EQ(first.st_ino, second.st_ino);
  EXPECT_EQ(read_file(path, 100).value(), "http://[::1]:4");
  ASSERT_TRUE(keep_file(path, "http://[::1]:5", kPublicMode).ok());
  EXPECT_EQ(read_file(path, 100).value(), "http://[::1]:5");
}

TEST(Files, RefusesWhatIsTooLongOrMissing) {
  const TestFolder folder;
  ASSERT_TRUE(write_file_atomic(folder.path("f"), "12345", kPublicMode).ok());
  EXPECT_EQ(read_file(folder.path("f"), 4).error().code, Code::kFull);
  EXPECT_EQ(read_file(folder.path("g"), 4).error().code, Code::kNotFound);
}

TEST(Files, OneProcessPerFolder) {
  const TestFolder folder;
  {
    const auto lock = FolderLock::take(folder.path(""), "hub");
    ASSERT_TRUE(lock.ok());
    const auto second = FolderLock::take(folder.path(""), "hub");
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().code, Code::kExists);
    EXPECT_NE(second.error().text.find("hub (process " + std::to_string(::getpid()) + ")"), std::string::npos)
        << second.error().text;
  }
  EXPECT_TRUE(FolderLock::take(folder.path(""), "hub").ok());
}

// S1 R1: the spare takes the place of the file, and the old one becomes the spare; no file is made on the way.
TEST(Files, AReplacedFileAndItsSpareChangePlaces) {
  const TestFolder folder;
  const std::string path = folder.path("identity");
  ASSERT_TRUE(replace_file(path, "first", kSecretMode).ok());  // nothing there yet
  ASSERT_TRUE(keep_spare(path).ok());
  struct stat old_file {
  }, spare{};
  ASSERT_EQ(::stat(path.c_str(), &old_file), 0);
  ASSERT_EQ(::stat((path + ".spare").c_str(), &spare), 0);
  EXPECT_GE(spare.st_blocks * 512, 16 << 10);
  const std::string second(3'000, 's');
  ASSERT_TRUE(replace_file(path, second, kSecretMode).ok());
  EXPECT_EQ(*read_file(path, 10'000), second);
  struct stat now {
  }, now_spare{};
  ASSERT_EQ(::stat(path.c_str(), &now), 0);
  ASSERT_EQ(::stat((path + ".spare").c_str(), &now_spare), 0);
  EXPECT_EQ(now.st_ino, spare.st_ino);
  EXPECT_EQ(now_spare.st_ino, old_file.st_ino);
  EXPECT_GE(now_spare.st_blocks * 512, 16 << 10);
  ASSERT_TRUE(replace_file(path, "third", kPublicMode).ok());  // shorter: nothing of the older ones is left behind
  EXPECT_EQ(*read_file(path, 10'000), "third");
}

}  // namespace
}  // namespace wb::world
