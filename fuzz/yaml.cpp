// Configuration text. Whatever it says, the tree that comes out is inside its limits, and so is the memory for it.
#include "world/yaml.h"

#include "fuzz/fuzz.h"

namespace {

struct Extent {
  size_t nodes = 0, depth = 0, bytes = 0;
};

void measure(const wb::Document& document, size_t depth, Extent& out) {
  ++out.nodes;
  out.depth = std::max(out.depth, depth);
  out.bytes += document.text.size();
  for (const wb::Document& item : document.items) measure(item, depth + 1, out);
  for (const wb::Document::Entry& entry : document.entries) {
    out.bytes += entry.key.size();
    measure(entry.value, depth + 1, out);
  }
}

}  // namespace

WB_FUZZ_TARGET(yaml) {
  const auto env = [](const std::string& name) -> std::optional<std::string> {
    if (name == "EMPTY") return "";
    if (name == "BROKEN") return "\xff";
    if (name == "LONG") return std::string(1'000, 'x');
    return std::nullopt;
  };
  const auto document = wb::world::parse_yaml(bytes, "f.yaml", env);
  if (!document.ok()) {
    WB_HOLDS(document.error().text.starts_with("f.yaml"), document.error().text);
    return;
  }
  Extent extent;
  measure(*document, 1, extent);
  WB_HOLDS(extent.depth <= wb::world::kYamlDepthMax + 1, "too deep");
  WB_HOLDS(extent.nodes <= 2 * wb::world::kYamlNodesMax, "too many nodes");
  WB_HOLDS(extent.bytes <= wb::world::kYamlTextBytesMax, "too much text: " + std::to_string(extent.bytes));
}

WB_FUZZ_SEEDS(yaml) {
  for (const char* text : {"name: pump\nschema:\n  - {name: x, type: number}\n", "a: &x [1, 2]\nb: *x\nc: {<<: *x}\n",
                           "- |\n  text\n- >-\n  folded\n", "x: ${EMPTY:1}\ny: ${LONG}\nz: $${q}\n",
                           "'q': \"\\u00e9\\n\"\n? a\n: b\n", "[[[[[[[[[[]]]]]]]]]]", "!!binary x\n---\n...\n",
                           "a: &a [x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\nd: [*c, *c, *c]\n"})
    put(text);
}
