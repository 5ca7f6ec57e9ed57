# Every third-party library, found once and named wb_third_<name>. modules.cmake says who may use which.
# Debian 12 packages only; script/setup installs them.
find_package(PkgConfig REQUIRED)
find_package(OpenSSL REQUIRED)

function(wb_third name)
  add_library(wb_third_${name} INTERFACE)
  target_link_libraries(wb_third_${name} INTERFACE ${ARGN})
endfunction()

function(wb_third_pkg name package)
  pkg_check_modules(WB_${name} REQUIRED IMPORTED_TARGET ${package})
  wb_third(${name} PkgConfig::WB_${name})
endfunction()

wb_third(openssl OpenSSL::SSL OpenSSL::Crypto)
wb_third_pkg(highway libhwy)
if(WB_PYTHON)
  return()  # the wheel needs no other, and builds where they are not installed
endif()
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
wb_third(protobuf protobuf::libprotobuf-lite)
wb_third(boost Threads::Threads)  # header-only: asio and beast
target_compile_definitions(wb_third_boost INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ERROR_CODE_HEADER_ONLY)
wb_third_pkg(zstd libzstd)
wb_third_pkg(sqlite sqlite3)
wb_third_pkg(yaml yaml-cpp)
wb_third_pkg(mosquitto libmosquitto)
wb_third_pkg(simdjson simdjson)
wb_third_pkg(muparser muparser)
wb_third(spdlog spdlog fmt)
target_compile_definitions(wb_third_spdlog INTERFACE SPDLOG_SHARED_LIB SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL)
wb_third(cli11)
wb_third(json)
wb_third(xgboost xgboost)
wb_third(gtest gtest Threads::Threads)
wb_third(benchmark benchmark Threads::Threads)
