# Where drivers are put in the build tree: the same shape as installed, beside the programs' folder.
set(BULKHEAD_DRIVER_ROOT ${PROJECT_BINARY_DIR}/lib/bulkhead/drivers)
set(BULKHEAD_DRIVER_SUFFIX ${CMAKE_SHARED_LIBRARY_SUFFIX})

# bulkhead_add_driver(qemu ID org.bulkhead.qemu VERSION 0.1.0 SOURCES ... SCHEMA config.schema.json LINK ...)
# Builds ID/VERSION/{driver.so, driver.json, config.schema.json}: hidden symbols, one export, the schema embedded as
# "config_schema.inc", the manifest written by the agent from the compiled descriptor.
function(bulkhead_add_driver name)
  cmake_parse_arguments(arg "" "ID;VERSION;SCHEMA;ROOT" "SOURCES;LINK" ${ARGN})
  if(NOT arg_ROOT)
    set(arg_ROOT ${BULKHEAD_DRIVER_ROOT})
  endif()
  set(folder ${arg_ROOT}/${arg_ID}/${arg_VERSION})
  set(schema ${CMAKE_CURRENT_SOURCE_DIR}/${arg_SCHEMA})
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/${name}_driver)
  add_custom_command(
    OUTPUT ${generated}/config_schema.inc
    COMMAND ${CMAKE_COMMAND} -DIN=${schema} -DOUT=${generated}/config_schema.inc -P
            ${PROJECT_SOURCE_DIR}/cmake/embed_text.cmake
    DEPENDS ${schema} ${PROJECT_SOURCE_DIR}/cmake/embed_text.cmake
    VERBATIM)
  bulkhead_platform_sources(sources ${arg_SOURCES})
  add_library(${name}_driver MODULE ${sources} ${generated}/config_schema.inc)
  set_target_properties(${name}_driver PROPERTIES PREFIX "" SUFFIX "${BULKHEAD_DRIVER_SUFFIX}" OUTPUT_NAME driver
                                                  LIBRARY_OUTPUT_DIRECTORY ${folder})
  target_include_directories(${name}_driver PRIVATE ${generated} ${PROJECT_SOURCE_DIR}/plugins)
  target_link_libraries(${name}_driver PRIVATE bulkhead::sdk bulkhead::json bulkhead::warnings ${arg_LINK})
  if(UNIX AND NOT APPLE)
    # Hidden visibility leaks std's weak symbols, and a unique symbol would be shared with the host's copy.
    if(NOT BULKHEAD_TIDY) # which reads our command lines with clang, and does not know the option
      target_compile_options(${name}_driver PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>)
    endif()
    target_link_options(${name}_driver PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/sdk/cmake/driver.map -Wl,-z,nodelete)
    if(NOT BULKHEAD_SANITIZE)
      target_link_options(${name}_driver PRIVATE -Wl,-z,defs)
    endif()
  endif()
  if(CMAKE_CROSSCOMPILING)
    return()
  endif()
  add_custom_command(
    TARGET ${name}_driver
    POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E copy_if_different ${schema} ${folder}/config.schema.json
    COMMAND $<TARGET_FILE:bulkhead-agent> --describe $<TARGET_FILE:${name}_driver> --write ${folder}/driver.json
    VERBATIM)
  add_dependencies(${name}_driver bulkhead-agent)
  if(arg_ROOT STREQUAL BULKHEAD_DRIVER_ROOT)
    install(DIRECTORY ${folder} DESTINATION lib/bulkhead/drivers/${arg_ID} USE_SOURCE_PERMISSIONS)
  endif()
endfunction()
