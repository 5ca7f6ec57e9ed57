# Compiler flags that hold for every target. -ffp-contract=off keeps x86 and Arm, g++ and clang++ bit-equal.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(WB_SANITIZE "" CACHE STRING "comma-separated sanitizers")
option(WB_FUZZ "build the libFuzzer targets" OFF)
option(WB_CLANG_TIDY "run clang-tidy on every module while it builds (preset strict)" OFF)
option(WB_PLANTED "build with the planted bugs of src/base/planted.h" OFF)
option(WB_PYTHON "build the Python package alone (sdk/python)" OFF)
option(WB_SKIP_APPS "build only what the determinism gate needs" OFF)

add_compile_options(-ffp-contract=off -Wall -Wextra -Wpedantic -Werror -Wshadow -Wnon-virtual-dtor
  -ffile-prefix-map=${CMAKE_SOURCE_DIR}=. -fstack-protector-strong -ffunction-sections -fdata-sections)
add_compile_definitions(_FORTIFY_SOURCE=2)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # clang++ 14 decides `if consteval` behind a function at compile time, so that std::allocator of libstdc++ 12 takes its
  # way for constant evaluation at run time: one without alignment, which kernels.h needs. The older builtin is right.
  add_compile_options(-U__cpp_if_consteval)
endif()
if(WB_PLANTED)
  add_compile_definitions(WB_PLANTED)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_options(-U_FORTIFY_SOURCE)
  remove_definitions(-D_FORTIFY_SOURCE=2)
endif()
add_link_options(-Wl,--as-needed -Wl,--gc-sections -Wl,-z,relro,-z,now)
find_program(WB_MOLD mold)
if(WB_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
if(WB_SANITIZE)
  add_compile_options(-fsanitize=${WB_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${WB_SANITIZE})
  if(WB_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan)  # it does not see Boost.Asio's fences; each handover takes a lock as well
  endif()
endif()
find_program(WB_CCACHE ccache)
if(WB_CCACHE)
  # Same sources in another checkout hit the same cache entries.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=time_macros,include_file_mtime,include_file_ctime ${WB_CCACHE})
endif()
if(WB_CLANG_TIDY)  # with clang++ only: clang-tidy reads the compiler's own flags
  find_program(WB_TIDY clang-tidy REQUIRED)
endif()
