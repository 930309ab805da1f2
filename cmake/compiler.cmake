# Warnings, sanitizers and compiler cache for every target of the project.
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(ds4_compiler INTERFACE)
target_include_directories(ds4_compiler INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(ds4_compiler INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  # GCC 12 reports impossible overlaps inside std::string (GCC bug 105329).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  # nvcc's own -Werror takes an argument.
  $<$<AND:$<BOOL:${DS4_WERROR}>,$<COMPILE_LANGUAGE:CXX>>:-Werror>)
if(DS4_SANITIZE)
  target_compile_options(ds4_compiler INTERFACE -fsanitize=${DS4_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all
    # GCC 12 takes std::regex for uninitialised once it is instrumented (GCC bug 105562).
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(ds4_compiler INTERFACE -fsanitize=${DS4_SANITIZE})
endif()

# ds4_cold(TARGET [TOGETHER]): compiles in half the time of -O3. For code that waits for disks, sockets
# and the engine, and has no loop of its own to win anything in. TOGETHER as of ds4_precompile().
function(ds4_cold name)
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  ds4_precompile(${name} ${ARGN})
endfunction()

# ds4_library(NAME [COLD] SOURCES... [PUBLIC deps...] [PRIVATE deps...]): a static library of the
# project.
function(ds4_library name)
  cmake_parse_arguments(arg "COLD" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  if(arg_COLD)
    ds4_cold(${name})
  endif()
  target_link_libraries(${name} PUBLIC ds4_compiler ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
endfunction()
