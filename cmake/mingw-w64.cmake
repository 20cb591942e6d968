# Cross toolchain: Debian's g++-mingw-w64-x86-64-posix, Windows x86-64; tests run under Wine.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_VERSION 10.0)
set(CMAKE_SYSTEM_PROCESSOR x86_64)

set(target x86_64-w64-mingw32)
set(CMAKE_C_COMPILER ${target}-gcc-posix)
set(CMAKE_CXX_COMPILER ${target}-g++-posix)
set(CMAKE_RC_COMPILER ${target}-windres)

set(CMAKE_FIND_ROOT_PATH /usr/${target})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# UNICODE stays undefined: Catch2's main would become wmain. Our code calls the W functions by name.
set(windows_baseline "-D_WIN32_WINNT=0x0A00 -DWINVER=0x0A00 -DWIN32_LEAN_AND_MEAN -DNOMINMAX")
set(CMAKE_C_FLAGS_INIT "${windows_baseline}")
set(CMAKE_CXX_FLAGS_INIT "${windows_baseline} -Wa,-mbig-obj")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-static")
set(CMAKE_MODULE_LINKER_FLAGS_INIT "-static")

# try_compile reads this file again with another CMAKE_BINARY_DIR: the cache keeps the first.
set(BULKHEAD_STAGED_INCLUDE ${CMAKE_BINARY_DIR}/staged/include CACHE PATH "Header-only dependencies, by symlink")
set(CMAKE_CROSSCOMPILING_EMULATOR ${CMAKE_BINARY_DIR}/wine-run CACHE FILEPATH "Runs a Windows program under Wine")
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES BULKHEAD_STAGED_INCLUDE)
file(MAKE_DIRECTORY ${BULKHEAD_STAGED_INCLUDE})
foreach(library boost nlohmann valijson spdlog fmt CLI catch2)
  if(EXISTS /usr/include/${library} AND NOT EXISTS ${BULKHEAD_STAGED_INCLUDE}/${library})
    file(CREATE_LINK /usr/include/${library} ${BULKHEAD_STAGED_INCLUDE}/${library} SYMBOLIC)
  endif()
endforeach()
