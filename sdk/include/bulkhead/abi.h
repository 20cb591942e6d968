/* bulkhead/abi.h: calling convention and export of the driver ABI. */
#ifndef BULKHEAD_ABI_H
#define BULKHEAD_ABI_H

#if defined(_WIN32)
#define BULKHEAD_CALL __cdecl
#ifdef __GNUC__
#define BULKHEAD_EXPORT __attribute__((dllexport))
#else
#define BULKHEAD_EXPORT __declspec(dllexport)
#endif
#else
#define BULKHEAD_CALL
#define BULKHEAD_EXPORT __attribute__((visibility("default")))
#endif

#endif
