#pragma once
// What a message would cost to parse, from its bytes. Two bytes on the wire can ask for two hundred in memory, so what
// repeats is counted before anything is allocated. Whether the bytes are a message at all is left to the parser. Inside
// wire/ only.

#include <string_view>

#include "base/result.h"

namespace wb::wire {

Status check_exchange_shape(std::string_view bytes);  // of an ExchangeRequest, at most kExchangeRequestBytesMax bytes
Status check_release_shape(std::string_view bytes);   // of a ReleaseArtifact, at most kReleaseBytesMax bytes

}  // namespace wb::wire
