#pragma once
// What the pipeline file format is, generated from the components' own Specs: never written by hand, so never stale.

#include <string>

namespace wb {
class Pipeline;
}

namespace wb::cli {

std::string json_schema();     // draft 2020-12
std::string reference_page();  // Markdown
// "9 fields → one of 7 classes → 1 local action, at most 65.5 KB a day upstream": one line for a person.
std::string summary_of(const Pipeline& pipeline);

}  // namespace wb::cli
