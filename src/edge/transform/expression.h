#pragma once
// Expression: arithmetic over number columns, compiled once, evaluated per row. The grammar is muParser's: + - * / ^,
// comparisons, && ||, ?:, and sin cos tan asin acos atan sqrt abs exp ln log2 log10 min max sum avg rint sign; _pi and
// _e.
//
// muParser's bulk mode is not used: Debian builds it with OpenMP, which would start threads inside a pure core.

#include <memory>
#include <string>
#include <vector>

#include "base/document.h"
#include "record/record.h"

namespace wb::transform {

class Expression {
 public:
  // Null after a problem was added at `at`.
  static std::unique_ptr<Expression> compile(const std::string& text, const Schema& in, Position at,
                                             const std::string& where, Problems& problems);
  ~Expression();
  Expression(const Expression&) = delete;
  Expression& operator=(const Expression&) = delete;

  // f64[rows]; NaN where an input is missing, as arithmetic has it.
  void evaluate(const Batch& batch, std::vector<double>& out);

 private:
  Expression() = default;
  std::string bind(const Schema& in, Position at, const std::string& where, Problems& problems);

  struct Variable {
    size_t column;
    double value;
  };
  void* parser_ = nullptr;
  std::vector<std::unique_ptr<Variable>> variables_;  // the parser holds their addresses
};

}  // namespace wb::transform
