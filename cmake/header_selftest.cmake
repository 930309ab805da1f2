# Compiles every header of the given folders alone: a header includes what it needs. Highway's
# *-inl.h are parts of a file that is compiled once per instruction set, not headers.
function(ds4_header_selftest target)
  set(sources)
  foreach(folder ${ARGN})
    file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/${folder}/*.h)
    list(FILTER headers EXCLUDE REGEX "-inl\\.h$")
    foreach(header ${headers})
      string(MAKE_C_IDENTIFIER ${header} id)
      set(file ${CMAKE_CURRENT_BINARY_DIR}/selftest/${id}.cpp)
      file(GENERATE OUTPUT ${file} CONTENT "#include \"${header}\"  // IWYU pragma: keep\n")
      list(APPEND sources ${file})
    endforeach()
  endforeach()
  add_library(${target} OBJECT ${sources})
  target_link_libraries(${target} PRIVATE ds4_compiler)
  target_compile_options(${target} PRIVATE -O0)  # nothing to optimise
endfunction()
