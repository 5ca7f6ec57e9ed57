#pragma once
// Writing C: text with $WORDS to be filled in, and const tables whose bytes are counted.

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/export_layout.h"

namespace wb::engine {

using Words = std::vector<std::pair<std::string_view, std::string>>;
// $WORD → its text; where two begin alike, the longer is meant.
std::string filled(std::string_view text, const Words& words);

class CText {
 public:
  // `name`: of the model, before its functions in C; a header has a namespace of that name.
  CText(bool cpp_header, std::string name) : cpp_header_(cpp_header), name_(std::move(name)) {}
  // Knows $STATIC (a function of this file), $PUBLIC and $PREFIX (of one that is called from outside), $NAME.
  void add(std::string_view text, const Words& words = {});
  // Of unsigned numbers, in the smallest type that holds them.
  void table(std::string_view name, const std::vector<uint32_t>& values);
  void table(std::string_view name, const std::vector<uint8_t>& values);
  void keys(std::string_view name, const std::vector<int64_t>& values, bool wide);
  // Hexadecimal, so that no compiler rounds.
  void numbers(std::string_view name, std::span<const double> values, bool wide);

  const std::string& text() const { return text_; }
  size_t tables_bytes() const { return tables_bytes_; }

 private:
  void write_table(std::string_view type, std::string_view name, const std::vector<std::string>& values);

  bool cpp_header_;
  std::string name_;
  std::string text_;
  size_t tables_bytes_ = 0;
};

std::string literal(double value, bool wide);  // 0x1.8p+1f; value finite
// Printable ASCII that can neither end a comment nor hide in one; what is not is \xNN.
std::string comment_text(std::string_view text);

// Groups of libgcc's floating-point functions, each linked as one, that a part without an FPU calls.
inline constexpr unsigned kF32Add = 1;
inline constexpr unsigned kF32Times = 2;  // and divides
inline constexpr unsigned kF32Compare = 4;
inline constexpr unsigned kF64Add = 8;  // and what widens to f64
inline constexpr unsigned kF64Times = 16;
inline constexpr unsigned kF64Compare = 32;
inline constexpr unsigned kF64Narrows = 64;
inline constexpr unsigned kWhole = 128;  // to integers
size_t library_bytes(unsigned groups);

// The parts of a source, each in a file of its own. They add what the model needs and nothing else.
struct PartSizes {
  size_t code = 0;  // without what it calls
  size_t stack = 0;
  unsigned library = 0;
};
PartSizes write_steps(const Description& model, const Layout& layout, bool f64_rows, CText& out);
PartSizes write_answers(const Description& model, CText& out);
bool answers_are_margins(const Description& model);

}  // namespace wb::engine
