bulkhead_third_party(catch2)
if(CMAKE_CROSSCOMPILING)
  include(/usr/lib/cmake/Catch2/Catch.cmake)
else()
  find_package(Catch2 REQUIRED)
  target_link_libraries(bulkhead_catch2 INTERFACE Catch2::Catch2)
  include(Catch)
endif()

# Catch2 2 lists a program's cases when it is built. Through an emulator that is done by ctest, so that a build never starts it.
function(bulkhead_discover_under_emulator name)
  cmake_parse_arguments(arg "" "TEST_PREFIX" "LABELS;PROPERTIES" ${ARGN})
  set(list ${CMAKE_CURRENT_BINARY_DIR}/${name}_cases.cmake)
  file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${name}_discover.cmake CONTENT "
if(NOT EXISTS \"$<TARGET_FILE:${name}>\")
  add_test([==[${name} is not built]==] ${name}_NOT_BUILT)
  return()
endif()
if(NOT EXISTS \"${list}\" OR \"$<TARGET_FILE:${name}>\" IS_NEWER_THAN \"${list}\")
  execute_process(
    COMMAND \"${CMAKE_COMMAND}\" \"-DTEST_EXECUTABLE=$<TARGET_FILE:${name}>\" \"-DTEST_EXECUTOR=${CMAKE_CROSSCOMPILING_EMULATOR}\"
            \"-DTEST_WORKING_DIR=${CMAKE_CURRENT_BINARY_DIR}\" \"-DTEST_PROPERTIES=${arg_PROPERTIES}\"
            \"-DTEST_PREFIX=${arg_TEST_PREFIX}\" -DTEST_LIST=cases \"-DCTEST_FILE=${list}\"
            -P \"${_CATCH_DISCOVER_TESTS_SCRIPT}\"
    COMMAND_ERROR_IS_FATAL ANY)
  file(READ \"${list}\" text)
  string(REPLACE \"\\r\" \"\" text \"\${text}\")
  if(NOT text MATCHES \"add_test\")
    file(REMOVE \"${list}\")
    message(FATAL_ERROR \"${name} lists no test cases\")
  endif()
  file(WRITE \"${list}\" \"\${text}\")
endif()
include(\"${list}\")
set_tests_properties(\${cases} PROPERTIES LABELS \"${arg_LABELS}\")
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}_discover.cmake)
endfunction()

# bulkhead_test(name LABELS unit SOURCES ... LINK ... [PROPERTIES ...]): one program, each of its cases a CTest test.
function(bulkhead_test name)
  cmake_parse_arguments(arg "" "" "LABELS;SOURCES;LINK;PROPERTIES" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE test_support bulkhead::warnings ${arg_LINK})
  set(labels ${arg_LABELS})
  if(CMAKE_CROSSCOMPILING)
    bulkhead_discover_under_emulator(${name} TEST_PREFIX "${name}: " LABELS ${labels} wine
                                     PROPERTIES TIMEOUT 120 FIXTURES_REQUIRED wine ${arg_PROPERTIES})
    return()
  endif()
  catch_discover_tests(${name} TEST_PREFIX "${name}: " DISCOVERY_MODE PRE_TEST
                       PROPERTIES TIMEOUT 120 SKIP_RETURN_CODE 4 ${arg_PROPERTIES})
  # Of a list among those properties Catch2 2 would make several properties.
  set(file ${CMAKE_CURRENT_BINARY_DIR}/${name}_labels.cmake)
  file(WRITE ${file} "
if(DEFINED ${name}_TESTS)
  set_tests_properties(\${${name}_TESTS} PROPERTIES LABELS \"${labels}\")
endif()
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${file})
endfunction()

# bulkhead_faults(USER BACKEND COMMAND... -- PART...): the test faults.USER.BACKEND.COMMAND (support/faults.sh).
function(bulkhead_faults user backend command)
  string(REGEX REPLACE "^\\$<TARGET_FILE:(.*)>$" "\\1" name ${command})
  get_filename_component(name ${name} NAME_WE)
  add_test(NAME faults.${user}.${backend}.${name}
           COMMAND ${PROJECT_SOURCE_DIR}/tests/support/faults.sh ${user} ${backend} ${PROJECT_BINARY_DIR} ${command} ${ARGN})
  set_tests_properties(faults.${user}.${backend}.${name} PROPERTIES LABELS "faults;matrix" TIMEOUT 300 SKIP_RETURN_CODE 77 COST 50)
endfunction()
