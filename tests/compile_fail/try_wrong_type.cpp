// What WB_TRY binds is the value's own type, never the Result or the Error.
// refused: conversion from|no viable conversion
#include <string>

#include "base/result.h"

wb::Result<std::string> parse();

wb::Result<int> caller() {
#ifdef WB_MISUSE
  WB_TRY(wb::Error text, parse());
  return static_cast<int>(text.text.size());
#else
  WB_TRY(std::string text, parse());
  return static_cast<int>(text.size());
#endif
}
