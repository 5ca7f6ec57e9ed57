#pragma once
// Every limit of the protocol. Both sides enforce them before they allocate.

#include <cstddef>
#include <cstdint>

namespace wb::limits {

inline constexpr uint32_t kProtocol = 1;

inline constexpr size_t kExchangeRequestBytesMax = 4U << 20;
inline constexpr size_t kExchangeResponseBytesMax = 256U << 10;
inline constexpr size_t kEnrolRequestBytesMax = 16U << 10;
inline constexpr size_t kRecordBytesMax = 64U << 10;  // one encoded RecordUp
inline constexpr size_t kRecordsPerExchangeMax = 16'384;
inline constexpr size_t kSchemasPerExchangeMax = 64;
inline constexpr size_t kStreamsMax = 4;                     // one per lane
inline constexpr size_t kExchangePartBytesMax = 256U << 10;  // of the report, the counters, each schema, each label
inline constexpr size_t kLabelsMax = 64;
inline constexpr size_t kLabelBytesMax = 128;  // key, and value
inline constexpr size_t kQuarantinedMax = 32;
inline constexpr size_t kReleaseBytesMax = 64U << 20;
inline constexpr size_t kBlobsMax = 64;
inline constexpr size_t kSelfTestRowsMax = 1'024;
inline constexpr size_t kDeadLetterRawBytesMax = 1'024;
inline constexpr size_t kFetchRangeBytesMax = 256U << 10;
inline constexpr size_t kManifestBytesMax = 8U << 20;  // of a release
inline constexpr size_t kFeaturesMax = 1'024;
inline constexpr size_t kClassesMax = 256;
inline constexpr size_t kBinsMax = 64;   // of a score sketch
inline constexpr size_t kRulesMax = 64;  // counted in Counters
inline constexpr size_t kReleaseKeysMax = 1'024;

static_assert(kRecordBytesMax * 8 <= kExchangeRequestBytesMax);
static_assert(kDeadLetterRawBytesMax < kRecordBytesMax);

}  // namespace wb::limits
