// The one main() of every GoogleTest binary: a run that executed nothing is a failure, not a success. With planted bugs
// in the build, WAYBILL_PLANT switches one on.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "base/planted.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
#ifdef WB_PLANTED
  if (const char* bug = std::getenv("WAYBILL_PLANT"); bug != nullptr && !wb::plant(bug)) return 2;
#endif
  const int result = RUN_ALL_TESTS();
  if (testing::UnitTest::GetInstance()->test_to_run_count() == 0) {
    std::fputs("no test was run\n", stderr);
    return 1;
  }
  return result;
}
