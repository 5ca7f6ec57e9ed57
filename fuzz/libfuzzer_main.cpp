// One libFuzzer program per target: WB_FUZZ_NAME says which.
#include <cstddef>

#include "fuzz/fuzz.h"

#define WB_FUZZ_JOIN_INNER(a, b) a##b
#define WB_FUZZ_JOIN(a, b) WB_FUZZ_JOIN_INNER(a, b)

void WB_FUZZ_JOIN(fuzz_target_, WB_FUZZ_NAME)(std::string_view bytes);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);  // NOLINT: libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A null pointer is a valid empty input to libFuzzer and none to memcmp.
  WB_FUZZ_JOIN(fuzz_target_, WB_FUZZ_NAME)
  (size == 0 ? std::string_view("") : std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
