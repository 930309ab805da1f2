# ds4_embed_text(TARGET NAMESPACE name FILE): the bytes of FILE in TARGET as
# `extern const std::string_view NAMESPACE::name` (declare it where it is used).
function(ds4_embed_text target namespace name file)
  get_filename_component(path ${file} ABSOLUTE)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/embed_${name}.cpp)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/embed.cpp.in ${out} @ONLY)
  set_source_files_properties(${out} PROPERTIES OBJECT_DEPENDS ${path} SKIP_PRECOMPILE_HEADERS ON)
  target_sources(${target} PRIVATE ${out})
endfunction()
