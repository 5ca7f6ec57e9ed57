#pragma once
// What a message would cost to parse, from its bytes. Two bytes on the wire can ask for two hundred in memory, so what
// repeats is counted before anything is allocated. Whether the bytes are a message at all is left to the parser. Inside
// wire/ only.

#include <string_view>

#include "base/result.h"

namespace wb::wire {

// Each at most as long as limits.h lets it be.
Status check_exchange_request_shape(std::string_view bytes);
Status check_exchange_response_shape(std::string_view bytes);
Status check_enrol_request_shape(std::string_view bytes);
Status check_enrol_response_shape(std::string_view bytes);
Status check_release_shape(std::string_view bytes);  // of the artifact, its manifest included

}  // namespace wb::wire
