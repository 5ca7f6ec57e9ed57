#pragma once
// Bytes are std::string: what protobuf, SQLite and files already speak. Text helpers that more than one module needs.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace wb {

using Bytes = std::string;

std::string hex_encode(std::string_view bytes);
Result<Bytes> hex_decode(std::string_view text);

// Big-endian, so that keys made of numbers sort as the numbers do.
void append_u64_be(Bytes& out, uint64_t value);
uint64_t read_u64_be(std::string_view bytes);  // asserts bytes.size() >= 8
std::string key_u64(uint64_t value);           // 8 bytes, big-endian

// The candidate with the smallest edit distance to `word`, if it is near enough to be a likely misspelling.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);
// "; did you mean 'x'?" or "; one of: a, b, c".
std::string suggestion(std::string_view word, std::span<const std::string> candidates);

// "250ms", "5s", "2m", "1h", "7d" → milliseconds. "0" is allowed. Refuses signs, fractions, overflow.
Result<int64_t> parse_duration_ms(std::string_view text);
// "512", "64KiB", "1MiB", "2GiB" → bytes.
Result<int64_t> parse_size_bytes(std::string_view text);
std::string format_duration_ms(int64_t ms);    // "3 h", "12 s", "2 d": for ages
std::string format_size_bytes(int64_t bytes);  // "9.9 KB"

// Shortest decimal that reads back as the same double; "nan", "inf", "-inf" for what JSON cannot say.
std::string shortest(double value);
std::string shortest(float value);
// Whole-text parse; nullopt for anything left over. Accepts nan and inf in any case.
std::optional<double> parse_double(std::string_view text);
std::optional<int64_t> parse_int(std::string_view text);

std::vector<std::string_view> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);

}  // namespace wb
