#pragma once
// What every verb that holds a model against rows shares: the package from its file, its rows from a table, its answers
// as text.

#include <string>
#include <vector>

#include "apps/waybill/csv.h"
#include "engine/engine.h"

namespace wb::cli {

// Loads the package and runs its self-test. Throws Exit.
engine::Model load_model(const std::string& path);

// A column of texts by their numbers (engine::text_number): f64[rows].
std::vector<double> text_numbers(const CsvTable& table, size_t column, std::span<const std::string> texts);
// The model's features, found by name in the table; other columns are ignored: f64[rows, features]. Refuses a missing
// value unless `allow_missing`, and what is finite but no f32 if the model compares in f32. A text that the model does
// not know is engine::kUnknownText.
Result<std::vector<double>> feature_rows(const CsvTable& table, const engine::Model& model, bool allow_missing);

// A margin or an answer in the shortest decimal that reads back as the same number of the precision that the model sums
// in.
std::string number_text(const engine::Model& model, double value);
// The margins of rows, f64[n, outputs], as number_text() prints them.
std::vector<double> margins_of(const engine::Model& model, const std::vector<double>& rows);
// Their answers, f64[n, answers], rounded to f32 if the model sums in f32.
std::vector<double> answers_of(const engine::Model& model, const std::vector<double>& margins);

}  // namespace wb::cli
