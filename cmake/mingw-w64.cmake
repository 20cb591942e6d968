# Cross toolchain: Debian's g++-mingw-w64-x86-64-posix, Windows x86-64; tests run under Wine.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_VERSION 10.0)
set(CMAKE_SYSTEM_PROCESSOR x86_64)

set(target x86_64-w64-mingw32)
find_program(BULKHEAD_MINGW_CC ${target}-gcc-posix)
find_program(BULKHEAD_MINGW_CXX ${target}-g++-posix)
find_program(BULKHEAD_MINGW_RC ${target}-windres)
# Not the `wine` of the PATH: that wrapper complains when there is no 32-bit Wine.
find_program(BULKHEAD_WINE NAMES wine64 PATHS /usr/lib/wine /usr/lib64/wine /opt/wine-stable/bin)
find_program(BULKHEAD_WINESERVER NAMES wineserver wineserver64 PATHS /usr/lib/wine /opt/wine-stable/bin)
set(missing_packages "")
if(NOT BULKHEAD_MINGW_CC OR NOT BULKHEAD_MINGW_CXX OR NOT BULKHEAD_MINGW_RC)
  string(APPEND missing_packages " g++-mingw-w64-x86-64-posix")
endif()
if(NOT BULKHEAD_WINE OR NOT BULKHEAD_WINESERVER)
  string(APPEND missing_packages " wine64")
endif()
if(missing_packages)
  message(FATAL_ERROR "The Windows build needs packages that are not installed. On Debian: apt install${missing_packages}")
endif()
set(CMAKE_C_COMPILER ${BULKHEAD_MINGW_CC})
set(CMAKE_CXX_COMPILER ${BULKHEAD_MINGW_CXX})
set(CMAKE_RC_COMPILER ${BULKHEAD_MINGW_RC})

set(CMAKE_FIND_ROOT_PATH /usr/${target})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# UNICODE stays undefined: Catch2's main would become wmain. Our code calls the W functions by name.
set(windows_baseline "-D_WIN32_WINNT=0x0A00 -DWINVER=0x0A00 -DWIN32_LEAN_AND_MEAN -DNOMINMAX")
set(CMAKE_C_FLAGS_INIT "${windows_baseline}")
set(CMAKE_CXX_FLAGS_INIT "${windows_baseline} -Wa,-mbig-obj")
# GCC 12.2: in C++23 each object has type_info::operator== inline, and libstdc++.a has it once more, as a strong symbol
# (GCC bug 110572). Both are the same function.
set(static_link "-static -Wl,--allow-multiple-definition")
set(CMAKE_EXE_LINKER_FLAGS_INIT "${static_link}")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "${static_link}")
set(CMAKE_MODULE_LINKER_FLAGS_INIT "${static_link}")

# try_compile reads this file again with another CMAKE_BINARY_DIR: the cache keeps the first.
set(BULKHEAD_WINDOWS_DIR ${CMAKE_BINARY_DIR}/windows CACHE PATH "Staged headers, Wine prefix and the script that runs programs")
set(BULKHEAD_STAGED_INCLUDE ${BULKHEAD_WINDOWS_DIR}/include)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES BULKHEAD_WINDOWS_DIR)

# Header-only dependencies by symlink: /usr/include itself would bring in the build machine's C library.
file(MAKE_DIRECTORY ${BULKHEAD_STAGED_INCLUDE})
foreach(library boost nlohmann valijson spdlog fmt CLI catch2)
  if(EXISTS /usr/include/${library} AND NOT EXISTS ${BULKHEAD_STAGED_INCLUDE}/${library})
    file(CREATE_LINK /usr/include/${library} ${BULKHEAD_STAGED_INCLUDE}/${library} SYMBOLIC)
  endif()
endforeach()

configure_file(${CMAKE_CURRENT_LIST_DIR}/wine-run.sh.in ${BULKHEAD_WINDOWS_DIR}/wine-run @ONLY
               FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
set(CMAKE_CROSSCOMPILING_EMULATOR ${BULKHEAD_WINDOWS_DIR}/wine-run)
