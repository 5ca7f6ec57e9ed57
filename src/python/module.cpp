// waybill._engine: what the Python package needs of the engine, the importers and the trainers. Nothing here is for
// people; sdk/python/waybill is.
#include "python/package.h"

NB_MODULE(_engine, module) {
  nanobind::exception<wb::python::Refusal>(module, "Refused", PyExc_ValueError);
  wb::python::bind_package(module);
  wb::python::bind_builder(module);
  wb::python::bind_fit(module);
}
