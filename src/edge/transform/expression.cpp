#include "edge/transform/expression.h"

#include <muParserDLL.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "edge/transform/step.h"

namespace wb::transform {

namespace {
// What muParser would accept and we do not, with a reason a person can act on.
std::string refuse(const std::string& text) {
  if (text.empty()) return "the expression is empty";
  if (text.size() > kExpressionBytesMax)
    return "the expression is longer than " + std::to_string(kExpressionBytesMax) + " bytes";
  if (text.find_first_of("\"'") != std::string::npos)
    return "expressions work on numbers; text in quotes cannot be compared";
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '=') continue;
    const char before = i > 0 ? text[i - 1] : ' ';
    const char after = i + 1 < text.size() ? text[i + 1] : ' ';
    if (after == '=')
      ++i;
    else if (before != '<' && before != '>' && before != '!')
      return "a single '=' would assign; write '==' to compare";
  }
  return "";
}

std::string error_of(muParserHandle_t parser) {
  std::string message = mupGetErrorMsg(parser);
  mupErrorReset(parser);
  return message;
}
}  // namespace

Expression::~Expression() {
  if (parser_ != nullptr) mupRelease(parser_);
}

// Gives every name in the expression its column. "" or what is wrong.
std::string Expression::bind(const Schema& in, Position at, const std::string& where, Problems& problems) {
  const int count = mupGetExprVarNum(parser_);
  if (mupError(parser_)) return error_of(parser_);
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) {
    const muChar_t* name = nullptr;
    muFloat_t* unused = nullptr;
    mupGetExprVar(parser_, static_cast<unsigned>(i), &name, &unused);
    if (mupError(parser_)) return error_of(parser_);
    names.emplace_back(name);
  }
  for (const std::string& name : names) {
    const int index = number_column_named(in, name, at, where, problems);
    if (index < 0) continue;
    variables_.push_back(std::make_unique<Variable>(Variable{static_cast<size_t>(index), 1}));
    mupDefineVar(parser_, name.c_str(), &variables_.back()->value);
    if (mupError(parser_)) return error_of(parser_);
  }
  if (!problems.empty()) return "";
  int results = 0;
  mupEvalMulti(parser_, &results);
  if (mupError(parser_)) return error_of(parser_);
  return results == 1 ? "" : "expected one value, got " + std::to_string(results) + " (a ',' outside of a function?)";
}

std::unique_ptr<Expression> Expression::compile(const std::string& text, const Schema& in, Position at,
                                                const std::string& where, Problems& problems) {
  std::string fault = refuse(text);
  std::unique_ptr<Expression> out(new Expression());
  Problems found;
  if (fault.empty()) {
    out->parser_ = mupCreate(muBASETYPE_FLOAT);
    WB_ASSERT(out->parser_ != nullptr);
    mupSetExpr(out->parser_, text.c_str());
    fault = mupError(out->parser_) ? error_of(out->parser_) : out->bind(in, at, where, found);
  }
  if (!fault.empty()) found.add(at, where + ": '" + text.substr(0, 60) + "': " + fault);
  for (const Problem& problem : found.items()) problems.add(problem.at, problem.text);
  return found.empty() ? std::move(out) : nullptr;
}

void Expression::evaluate(const Batch& batch, std::vector<double>& out) {
  out.resize(batch.rows_count());
  for (size_t row = 0; row < out.size(); ++row) {
    for (const auto& variable : variables_) variable->value = batch.columns[variable->column].numbers[row];
    out[row] = mupEval(parser_);
  }
  WB_ASSERT(!mupError(parser_));  // it compiled; arithmetic faults are NaN or infinity
}

}  // namespace wb::transform
