#pragma once
// What Python holds of a model: a loaded package, asked over NumPy's own memory, with the interpreter's lock released
// while it computes. Everything a person may get wrong (shapes, names, types) is said in Python (sdk/python/waybill);
// here what does not fit is a bug and refused by nanobind.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "base/result.h"
#include "engine/engine.h"

namespace wb::python {

template <class Number>
using Rows = nanobind::ndarray<const Number, nanobind::ndim<2>, nanobind::c_contig, nanobind::device::cpu>;
template <class Number>
using Into = nanobind::ndarray<Number, nanobind::ndim<2>, nanobind::c_contig, nanobind::device::cpu>;

// Becomes waybill.Refused.
struct Refusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class T>
T or_throw(Result<T> result) {
  if (!result.ok()) throw Refusal(result.error().text);
  return std::move(result).value();
}

// Packs, loads and runs the self-test.
engine::Model loaded(const engine::PlainModel& plain);

// Package, and the functions that make one of bytes.
void bind_package(nanobind::module_& module);
// Builder: a model from arrays (builder.cpp).
void bind_builder(nanobind::module_& module);
// fit(): the simplest model that is good enough, from arrays (fit.cpp).
void bind_fit(nanobind::module_& module);

}  // namespace wb::python
