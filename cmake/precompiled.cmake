# The standard library, JSON and GoogleTest are parsed once per set of flags instead of in each of
# some six hundred files; docs/perf/ci.md has what that saves. With ccache it is off: the cache saves
# more, and the bytes of a precompiled header, which differ from folder to folder, would be part of its
# keys. Those builds are also who finds an #include that a file forgot.
if(CCACHE OR NOT CMAKE_BUILD_TYPE STREQUAL "Release")
  set(precompile OFF)
else()
  set(precompile ON)
endif()
option(DS4_PRECOMPILE "Precompile library headers (default: in Release without ccache)" ${precompile})

if(DS4_PRECOMPILE)
  # For all that is cold, with JSON's own code compiled here once instead of in every user.
  add_library(ds4_precompiled STATIC ${PROJECT_SOURCE_DIR}/cmake/precompiled/json.cpp)
  target_precompile_headers(ds4_precompiled PRIVATE ${PROJECT_SOURCE_DIR}/cmake/precompiled/json.h)
  target_link_libraries(ds4_precompiled PRIVATE ds4_compiler)
  target_compile_options(ds4_precompiled PRIVATE -O1)
  if(DS4_TESTS)
    add_library(ds4_precompiled_tests OBJECT ${PROJECT_SOURCE_DIR}/cmake/precompiled/tests.cpp)
    target_precompile_headers(ds4_precompiled_tests PRIVATE ${PROJECT_SOURCE_DIR}/cmake/precompiled/tests.h)
    target_link_libraries(ds4_precompiled_tests PRIVATE ds4_compiler GTest::gtest GTest::gmock)
    target_compile_options(ds4_precompiled_tests PRIVATE -O0)
  endif()
endif()

# ds4_is_precompiled(FILE result): whether FILE is compiled behind others' includes: those of a header that
# is worth its 0.6 s of loading, or of the files it is compiled together with.
function(ds4_is_precompiled file result)
  set(found "")
  if(DS4_PRECOMPILE AND EXISTS ${file})
    file(STRINGS ${file} found LIMIT_COUNT 1 REGEX "^#include <(nlohmann/json\\.hpp|gtest/|gmock/)")
    get_property(together GLOBAL PROPERTY ds4_together)
    get_filename_component(folder ${file} DIRECTORY)
    if(folder IN_LIST together)
      set(found ${folder})
    endif()
  endif()
  set(${result} "${found}" PARENT_SCOPE)
endfunction()

# ds4_precompile(TARGET [FROM OTHER | TOGETHER]): those files of TARGET that gain by it begin with the header
# that OTHER has, ds4_precompiled if none is named. GCC 12 takes a header of another -O and crashes: a file
# with its own -O sets SKIP_PRECOMPILE_HEADERS. TOGETHER: ten files of TARGET's folder are compiled as one
# instead, for a library whose every user compiles most of it again (CLI11).
function(ds4_precompile name)
  cmake_parse_arguments(arg "TOGETHER" "FROM" "" ${ARGN})
  if(NOT DS4_PRECOMPILE)
    return()
  endif()
  target_link_libraries(${name} PRIVATE ds4_precompiled)
  if(arg_TOGETHER)
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 10)
    set_property(GLOBAL APPEND PROPERTY ds4_together ${CMAKE_CURRENT_SOURCE_DIR})
    return()
  endif()
  if(NOT arg_FROM)
    set(arg_FROM ds4_precompiled)
  endif()
  target_precompile_headers(${name} REUSE_FROM ${arg_FROM})
  get_target_property(sources ${name} SOURCES)
  foreach(source ${sources})
    get_filename_component(path ${source} ABSOLUTE)
    ds4_is_precompiled(${path} precompiled)
    if(NOT precompiled)
      set_source_files_properties(${source} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endforeach()
endfunction()
