// The table of formats: how each is recognised, and who reads it. The first that recognises the bytes reads them.
#include "import/import.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/utf8.h"
#include "import/formats.h"
#include "import/onnx_proto.h"

namespace wb::imports {
namespace {

bool is_json_object(std::string_view bytes) {
  const size_t start = std::min(bytes.find_first_not_of(" \t\r\n"), bytes.size());
  const std::string_view rest = bytes.substr(start);
  const size_t next = rest.find_first_not_of(" \t\r\n", 1);
  return rest.starts_with('{') && next != std::string_view::npos && (rest[next] == '"' || rest[next] == '}');
}

bool is_xgboost_json(std::string_view bytes) { return is_json_object(bytes) && json_has_key(bytes, "learner"); }
// An object that begins with the length of its first key, or with its count.
bool is_ubjson(std::string_view bytes) {
  return bytes.size() >= 2 && bytes[0] == '{' && std::string_view("iUIlL#$").find(bytes[1]) != std::string_view::npos;
}
bool is_lightgbm(std::string_view bytes) { return bytes.starts_with("tree\n") || bytes.starts_with("tree\r\n"); }

bool is_catboost_json(std::string_view bytes) {
  return is_json_object(bytes) && json_has_key(bytes, "features_info") && json_has_key(bytes, "model_info");
}

struct Reader {
  Format format;
  std::string_view name;
  std::string_view what;  // for a person
  bool (*recognises)(std::string_view bytes);
  Result<engine::PlainModel> (*read)(std::string_view bytes, const Options& options);
};
constexpr Reader kReaders[] = {
    {Format::kXgboostJson, "xgboost-json", "XGBoost's JSON", is_xgboost_json, read_xgboost_json},
    {Format::kXgboostUbjson, "xgboost-ubjson", "XGBoost's UBJSON", is_ubjson, read_xgboost_ubjson},
    {Format::kLightgbmText, "lightgbm", "LightGBM's text", is_lightgbm, read_lightgbm},
    {Format::kCatboostJson, "catboost-json", "CatBoost's JSON", is_catboost_json, read_catboost},
    {Format::kOnnx, "onnx", "ONNX", onnx::looks_like_model, read_onnx},
};

// What is not read, but known, with what to do instead.
struct Stranger {
  std::string_view begins;
  std::string_view advice;
};
constexpr Stranger kStrangers[] = {
    {"\x80\x02", "a Python pickle, which runs code when it is opened; save the model in its library's own format"},
    {"\x80\x03", "a Python pickle, which runs code when it is opened; save the model in its library's own format"},
    {"\x80\x04", "a Python pickle, which runs code when it is opened; save the model in its library's own format"},
    {"\x80\x05", "a Python pickle, which runs code when it is opened; save the model in its library's own format"},
    {"binf", "XGBoost's old binary format; load it in XGBoost and save it as .json or .ubj"},
    {"CBM1", "CatBoost's own binary format; save it with format='json'"},
    {"WBM\x1a", "a model package already; there is nothing to import"},
    {"PK\x03\x04", "a zip archive; unpack it, and import the model inside"},
};

const Reader* reader_of(Format format) {
  for (const Reader& reader : kReaders) {
    if (reader.format == format) return &reader;
  }
  return nullptr;
}

Result<const Reader*> recognise(std::string_view bytes) {
  for (const Reader& reader : kReaders) {
    if (reader.recognises(bytes)) return &reader;
  }
  for (const Stranger& stranger : kStrangers) {
    if (bytes.starts_with(stranger.begins)) return fail(Code::kUnsupported, "this is ", stranger.advice);
  }
  std::string known;
  for (const Reader& reader : kReaders) known += (known.empty() ? "" : ", ") + std::string(reader.what);
  return fail(Code::kInvalid, "this is no model of a known format; it begins with '", valid_text(bytes, 16),
              "', and these are read: ", known);
}

// Labels of a person's own instead of class numbers.
Status set_labels(const Options& options, engine::Description& model) {
  if (options.labels.empty()) return ok_status();
  if (options.labels.size() != model.labels.size())
    return fail(Code::kInvalid, std::to_string(options.labels.size()), " labels were given, and the model has ",
                std::to_string(model.labels.size()));
  model.labels = options.labels;
  return ok_status();
}

// One leaf alone needs no cover, so some libraries write 0 there or nothing.
Status settle_covers(engine::Description& model) {
  WB_CHECK(engine::Explainer::serves(model));
  if (model.linear && model.linear->means.empty())
    return fail(Code::kUnsupported, "the file does not hold the means of the columns, against which a linear model is ",
                "explained; import it without covers");
  for (size_t i = 0; i < model.trees.size(); ++i) {
    engine::Tree& tree = model.trees[i];
    if (tree.nodes.size() == 1) tree.covers.assign(1, 1);
    if (tree.covers.empty())
      return fail(
          Code::kUnsupported, "tree ", std::to_string(i),
          ": the file does not hold how many rows reached each leaf, of which contributions are made; import it ",
          "without covers");
  }
  return ok_status();
}

}  // namespace

Result<engine::PlainModel> import_model(std::string_view bytes, const Options& options) {
  if (bytes.size() > limits::kFileBytesMax)
    return fail(Code::kInvalid, "larger than ", format_size_bytes(limits::kFileBytesMax));
  const Reader* reader = options.format ? reader_of(*options.format) : nullptr;
  if (reader == nullptr) {
    WB_TRY(reader, recognise(bytes));
  }
  auto imported = reader->read(bytes, options);
  if (!imported.ok()) return imported.error().within(reader->what);
  WB_CHECK(set_labels(options, *imported));
  const Status covered = options.covers ? settle_covers(*imported) : ok_status();
  if (!covered.ok()) return covered.error().within(reader->what);
  const Status sound = engine::check_description(*imported);
  if (!sound.ok()) return sound.error().within(reader->what);
  imported->missing_allowed = true;  // the libraries answer such rows, so nobody refuses them
  imported->reference_scores.label_counts.assign(imported->labels.size(), 0);
  return imported;
}

std::string_view format_name(Format format) {
  const Reader* reader = reader_of(format);
  return reader == nullptr ? "unknown" : reader->name;
}

std::optional<Format> format_by_name(std::string_view name) {
  for (const Reader& reader : kReaders) {
    if (reader.name == name) return reader.format;
  }
  return std::nullopt;
}

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const Reader& reader : kReaders) names.emplace_back(reader.name);
  return names;
}

}  // namespace wb::imports
