# bulkhead_embed(out.inc text-file): the file as a C++ raw string literal, for #include.
function(bulkhead_embed out file)
  add_custom_command(
    OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${out}
    COMMAND ${CMAKE_COMMAND} -DIN=${file} -DOUT=${CMAKE_CURRENT_BINARY_DIR}/${out} -P
            ${PROJECT_SOURCE_DIR}/cmake/embed_text.cmake
    DEPENDS ${file} ${PROJECT_SOURCE_DIR}/cmake/embed_text.cmake
    VERBATIM)
endfunction()
