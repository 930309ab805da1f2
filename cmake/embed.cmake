# ds4_embed_text(TARGET NAMESPACE name FILE): compiles a text file into TARGET as
# `extern const std::string_view NAMESPACE::name` (declare it where it is used).
function(ds4_embed_text target namespace name file)
  get_filename_component(path ${file} ABSOLUTE)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/embed_${name}.cpp)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DIN=${path} -DOUT=${out} -DNS=${namespace} -DNAME=${name}
            -P ${PROJECT_SOURCE_DIR}/cmake/embed_text.cmake
    DEPENDS ${path} ${PROJECT_SOURCE_DIR}/cmake/embed_text.cmake)
  target_sources(${target} PRIVATE ${out})
endfunction()
