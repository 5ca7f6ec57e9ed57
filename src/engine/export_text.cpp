// Filling in words, and tables of numbers as C reads them.
#include "engine/export_text.h"

#include <array>
#include <charconv>
#include <cmath>

namespace wb::engine {

std::string filled(std::string_view text, const Words& words) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const std::pair<std::string_view, std::string>* word = nullptr;
    for (const auto& candidate : words) {
      if (text[i] != '$' || !text.substr(i + 1).starts_with(candidate.first)) continue;
      if (word == nullptr || word->first.size() < candidate.first.size()) word = &candidate;
    }
    if (word != nullptr) {
      out += word->second;
      i += 1 + word->first.size();
    } else {
      out += text[i++];
    }
  }
  return out;
}

void CText::add(std::string_view text, const Words& words) {
  Words all = words;
  all.emplace_back("STATIC", cpp_header_ ? "inline" : "static");
  all.emplace_back("PUBLIC", cpp_header_ ? "inline " : "");
  all.emplace_back("PREFIX", cpp_header_ ? "" : name_ + "_");
  all.emplace_back("NAME", name_);
  text_ += filled(text, all);
}

void CText::table(std::string_view name, const std::vector<uint32_t>& values) {
  const size_t bytes = bytes_for(largest_of(values));
  std::vector<std::string> written;
  for (const uint32_t value : values) written.push_back(std::to_string(value));
  write_table(bytes == 1 ? "uint8_t" : bytes == 2 ? "uint16_t" : "uint32_t", name, written);
  tables_bytes_ += bytes * values.size();
}

void CText::table(std::string_view name, const std::vector<uint8_t>& values) {
  table(name, std::vector<uint32_t>(values.begin(), values.end()));
}

void CText::keys(std::string_view name, const std::vector<int64_t>& values, bool wide) {
  std::vector<std::string> written;
  for (const int64_t value : values) written.push_back(std::to_string(value) + (wide ? "LL" : ""));
  write_table(wide ? "int64_t" : "int32_t", name, written);
  tables_bytes_ += (wide ? 8 : 4) * values.size();
}

void CText::numbers(std::string_view name, std::span<const double> values, bool wide) {
  std::vector<std::string> written;
  for (const double value : values) written.push_back(literal(value, wide));
  write_table(wide ? "double" : "float", name, written);
  tables_bytes_ += (wide ? 8 : 4) * values.size();
}

void CText::write_table(std::string_view type, std::string_view name, const std::vector<std::string>& values) {
  constexpr size_t kWidth = 110;
  text_ += std::string(cpp_header_ ? "inline constexpr " : "static const ") + std::string(type) + " " +
           std::string(name) + "[" + std::to_string(values.size()) + "] = {";
  size_t column = kWidth;
  for (size_t i = 0; i < values.size(); ++i) {
    if (column + values[i].size() + 2 > kWidth) {
      text_ += "\n ";
      column = 1;
    }
    text_ += ' ' + values[i] + (i + 1 < values.size() ? "," : "");
    column += values[i].size() + 2;
  }
  text_ += "\n};\n";
}

std::string literal(double value, bool wide) {
  std::array<char, 64> digits;
  const double magnitude = std::fabs(value);
  const auto end = wide ? std::to_chars(digits.data(), digits.data() + digits.size(), magnitude, std::chars_format::hex)
                        : std::to_chars(digits.data(), digits.data() + digits.size(), static_cast<float>(magnitude),
                                        std::chars_format::hex);
  return std::string(std::signbit(value) ? "-0x" : "0x") + std::string(digits.data(), end.ptr) + (wide ? "" : "f");
}

size_t library_bytes(unsigned groups) {
  constexpr std::array<size_t, 8> kBytes = {544, 676, 240, 888, 1'060, 272, 160, 144};  // gcc 12, thumb/v7e-m/nofp
  size_t bytes = 0;
  for (size_t i = 0; i < kBytes.size(); ++i) {
    if ((groups >> i & 1U) != 0) bytes += kBytes[i];
  }
  return bytes;
}

std::string comment_text(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F && c != '*' && c != '/' && c != '\\' && c != '?') {
      out += c;
    } else {
      out += std::string("\\x") + kHex[byte >> 4U] + kHex[byte & 15U];
    }
  }
  return out;
}

}  // namespace wb::engine
