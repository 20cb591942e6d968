/* bulkhead/driver.h: the driver ABI, major 1 (unreleased: may still change).
 *
 * A driver is a shared library that exports one symbol, the data symbol `bulkhead_driver_v1`. It runs one kind of
 * virtual machine. It declares where its VM lives, which processes belong to it and what stops it
 * (bulkhead_kill_semantics), and the host does the stopping, the proof and the cleaning. A driver never forks, signals,
 * escalates, retries or cleans up on its own: it asks the host.
 *
 * Memory   No memory changes owner across this boundary. A `const char*` argument is UTF-8, NUL-terminated and borrowed
 * for the call. Results leave a driver only through bulkhead_host.op_reply and op_fail, which copy. Errors   No
 * exception, longjmp or FILE* crosses. A failing operation calls op_fail with a message and returns its status. Threads
 * [op]    the one driver thread of this VM: calls never overlap, and may block until op_remaining_ms() is 0. A call
 *                  that is still running after its deadline is a hang: the host goes on without it and ends the agent.
 *          [any]   any thread, may overlap.
 *          [const] immutable data, valid as long as the library is loaded. A driver is never unloaded.
 * Versions Nothing in this header changes layout within a major; `size` is a guard. New abilities are extensions, found
 * by id ("bulkhead.snapshot/1", "org.vendor.thing/1") through get_extension. JSON     crosses as UTF-8 text; the shapes
 * are given at each function. Unknown keys must be ignored.
 */
#ifndef BULKHEAD_DRIVER_H
#define BULKHEAD_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include "bulkhead/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BULKHEAD_ABI_MAJOR 1u
#define BULKHEAD_ABI_MINOR 0u /* which extensions this header knows; never layout */

typedef int32_t bulkhead_status;
enum {
  BULKHEAD_OK = 0,
  /* 1..15: trying again will not help */
  BULKHEAD_INVALID = 1,       /* the caller's mistake: bad argument, call in the wrong state */
  BULKHEAD_UNSUPPORTED = 2,   /* this driver or host cannot do that */
  BULKHEAD_CONFIG = 3,        /* the VM's configuration is wrong; detail carries {"pointer":...} */
  BULKHEAD_STATE_VERSION = 4, /* saved state is too old or too new for this driver */
  /* 16..31: may work later */
  BULKHEAD_UNAVAILABLE = 16,
  BULKHEAD_BUSY = 17,
  BULKHEAD_RESOURCE = 18,
  BULKHEAD_PERMISSION = 19,
  /* 32..63: outcomes */
  BULKHEAD_DEADLINE = 32,
  BULKHEAD_CANCELLED = 33,
  BULKHEAD_GONE = 34,    /* the VM is PROVED absent */
  BULKHEAD_FOREIGN = 35, /* something is there, but it is not ours: it must not be touched */
  BULKHEAD_UNKNOWN = 36, /* cannot tell; never a guess */
  BULKHEAD_INTERNAL = 64 /* a bug */
};

/* ---- declared kill semantics: each field is a claim that `bulkhead driver verify` tries to falsify ---- */

enum { /* process_model: where the VM executes */
       BULKHEAD_MODEL_IN_AGENT = 1,
       BULKHEAD_MODEL_CHILD = 2,
       BULKHEAD_MODEL_EXTERNAL_SERVICE = 3
};
enum { /* process_group: the group of every process of the VM */
       BULKHEAD_GROUP_OWN = 1,
       BULKHEAD_GROUP_AGENT = 2,
       BULKHEAD_GROUP_NONE = 3
};
enum { /* helpers: does anything leave the group (setsid, daemonise)? */
       BULKHEAD_HELPERS_NONE = 1,
       BULKHEAD_HELPERS_IN_GROUP = 2,
       BULKHEAD_HELPERS_ESCAPE = 3
};
enum { /* containment: mask of what the host MUST provide; it refuses to start the VM when it cannot */
       BULKHEAD_CONTAIN_GROUP = 1,
       BULKHEAD_CONTAIN_TREE = 2, /* cgroup v2, job object: nothing leaves */
       BULKHEAD_CONTAIN_DEATH_LINK = 4
};
enum { /* graceful: how the guest is asked; it may ignore it */
       BULKHEAD_GRACEFUL_NONE = 1,
       BULKHEAD_GRACEFUL_GUEST_ACPI = 2,
       BULKHEAD_GRACEFUL_GUEST_AGENT = 3,
       BULKHEAD_GRACEFUL_SIGNAL = 4,
       BULKHEAD_GRACEFUL_API = 5,
       BULKHEAD_GRACEFUL_COMMAND = 6
};
enum { /* forced: what ends the VM whatever the guest and the VMM are doing, frozen included */
       BULKHEAD_FORCED_KILL_GROUP = 1,
       BULKHEAD_FORCED_KILL_TREE = 2,
       BULKHEAD_FORCED_KILL_AGENT = 3,
       BULKHEAD_FORCED_DRIVER_CALL = 4,
       BULKHEAD_FORCED_COMMAND = 5
};
enum { /* forced_blast_radius: what else the forced stop can hit */
       BULKHEAD_RADIUS_PROCESS = 1,
       BULKHEAD_RADIUS_VM = 2,
       BULKHEAD_RADIUS_SERVICE = 3
};
enum { /* on_agent_death */
       BULKHEAD_AGENT_DEATH_VM_DIES = 1,
       BULKHEAD_AGENT_DEATH_VM_SURVIVES = 2
};
enum {                            /* offline_stop: how another process stops the VM after its agent died */
       BULKHEAD_OFFLINE_CORE = 1, /* the ledger and containment suffice; no driver code */
       BULKHEAD_OFFLINE_COMMAND = 2,
       BULKHEAD_OFFLINE_REAP_AGENT = 3,
       BULKHEAD_OFFLINE_IMPOSSIBLE = 4
};
enum { /* recover: what a new agent can do with a running VM */
       BULKHEAD_RECOVER_NONE = 1,
       BULKHEAD_RECOVER_STATUS_ONLY = 2,
       BULKHEAD_RECOVER_FULL = 3
};
enum { /* disk_safety: the disks after a FORCED stop */
       BULKHEAD_DISK_LOSES_CACHE = 1,
       BULKHEAD_DISK_CRASH_CONSISTENT = 2,
       BULKHEAD_DISK_FLUSHED = 3
};

typedef struct bulkhead_kill_semantics {
  uint32_t size;
  uint32_t process_model, process_group, helpers;
  uint32_t containment;
  uint32_t graceful, graceful_timeout_ms;
  uint32_t forced, forced_deadline_ms; /* from the request to PROVED gone */
  uint32_t forced_blast_radius;
  uint32_t on_agent_death, agent_death_grace_ms; /* VM_DIES: proved gone within the grace */
  uint32_t offline_stop, recover, disk_safety;
  uint32_t reserved;
  const char* const* artifact_kinds; /* NULL-terminated; nothing else is ever left behind */
  const char* const* stop_argv; /* for *_COMMAND: template with {vm_id}, {state:/json/pointer}; no shell. Else NULL */
} bulkhead_kill_semantics;

typedef struct bulkhead_descriptor { /* [const] equal to driver.json beside the library */
  uint32_t size, abi_major, abi_minor, abi_minor_min;
  const char* id;   /* reverse DNS: "org.bulkhead.qemu" */
  const char* name; /* for people: "QEMU" */
  const char* vendor;
  const char* version; /* semantic version of the driver */
  const char* url;
  const char* license;                       /* SPDX identifier */
  uint32_t state_version, state_version_min; /* what save_state writes; the oldest that recover understands */
  const char* config_schema;                 /* JSON Schema (draft 7) of the VM spec's "options" object */
  const char* const* extensions;             /* ids that get_extension answers; NULL-terminated */
  const bulkhead_kill_semantics* kill;
} bulkhead_descriptor;

/* ---- operations ---- */

typedef struct bulkhead_op { /* valid for the call */
  uint32_t size, reserved;
  uint64_t id;
  const char* args; /* JSON object */
} bulkhead_op;

typedef uint64_t bulkhead_child; /* opaque; 0 is never valid */
typedef int64_t bulkhead_handle; /* a file descriptor, or a Windows HANDLE */

typedef struct bulkhead_exit {
  uint32_t size;
  int32_t code;   /* exit code; -1 when ended by a signal or when it cannot be known */
  int32_t signal; /* 0 when none */
  uint32_t reserved;
} bulkhead_exit;

enum { BULKHEAD_LOG_DEBUG = 1, BULKHEAD_LOG_INFO = 2, BULKHEAD_LOG_WARNING = 3, BULKHEAD_LOG_ERROR = 4 };

/* What the host offers. Valid until the agent exits. */
typedef struct bulkhead_host {
  uint32_t size, abi_major, abi_minor, reserved;
  void* ctx;           /* the host's own */
  const char* version; /* [const] of the host */
  const char* vm_id;   /* [const] unique name of this VM for this user: [a-z0-9._-]{1,63} */
  const char* run_id;  /* [const] unique for this run of the VM */
  const char* vm_dir;  /* [const] persistent directory of this VM, mode 0700, this driver's alone */

  /* [any] NULL when the host does not know the extension. */
  const void*(BULKHEAD_CALL* get_extension)(const struct bulkhead_host*, const char* id);
  /* [any] `fields`: JSON object or NULL. Messages below the host's log level are dropped. */
  void(BULKHEAD_CALL* log)(const struct bulkhead_host*, int32_t level, const char* message, const char* fields);
  /* [any] An event of the VM. Known: "ready", "guest-shutdown", "guest-panicked", "guest-reset", "paused", "resumed",
   * "warning" {"message"}, "accelerator" {"name","reason"}. Others are passed on as they are. `json`: object or NULL.
   */
  void(BULKHEAD_CALL* emit)(const struct bulkhead_host*, const char* event, const char* json);
  /* [any] 0: give up now (deadline passed or operation cancelled). Poll it at least every 100 ms while blocking. */
  uint32_t(BULKHEAD_CALL* op_remaining_ms)(const struct bulkhead_host*, const bulkhead_op*);
  void(BULKHEAD_CALL* op_progress)(const struct bulkhead_host*, const bulkhead_op*, uint32_t permille,
                                   const char* phase);
  /* [any] The operation's result, JSON object. The last call counts. */
  void(BULKHEAD_CALL* op_reply)(const struct bulkhead_host*, const bulkhead_op*, const char* json);
  /* [any] Records why the operation fails and returns `status`, so that `return host->op_fail(...)` is the idiom.
   * `detail`: JSON object {"pointer","errno","hint"}, each optional, or NULL. */
  bulkhead_status(BULKHEAD_CALL* op_fail)(const struct bulkhead_host*, const bulkhead_op*, bulkhead_status status,
                                          const char* message, const char* detail);

  /* [op] Starts a process of the VM: born inside the VM's containment, and in the ledger before its first instruction.
   * spec: {"role": "leader"|"helper", "argv": [...], "env": {...} added to a minimal environment, "cwd": "...",
   *        "stdout": "null" | "/path", "stderr": likewise, "inherit": [handles, same number in the child]}
   * stdin is the null device. argv[0] is looked up in PATH when it has no slash. One leader per run.
   * CANCELLED: the VM is being stopped, and nothing may be started any more. */
  bulkhead_status(BULKHEAD_CALL* spawn)(const struct bulkhead_host*, const bulkhead_op*, const char* spec,
                                        bulkhead_child*);
  /* [any] Waits up to `ms` for the child's exit. OK: it has exited, *exit is filled. DEADLINE: it runs. */
  bulkhead_status(BULKHEAD_CALL* child_wait)(const struct bulkhead_host*, bulkhead_child, uint32_t ms,
                                             bulkhead_exit* exit);
  /* [any] Signals exactly this process, by identity. GONE: it has exited. */
  bulkhead_status(BULKHEAD_CALL* child_signal)(const struct bulkhead_host*, bulkhead_child, int32_t signal);
  /* [op] Write-ahead: what a driver is about to create (socket, temporary file, ...) is recorded durably first, so that
   * it is removed after the VM is proved gone. Returns the path to use. kind: one of the declared artifact_kinds. name:
   * [a-z0-9-]{1,24}. opts: NULL, or {"persistent": true}: kept when the VM stops (a log), removed with the VM.
   * A path that is not persistent is short enough for a local socket (104 bytes) and does not survive a reboot. */
  bulkhead_status(BULKHEAD_CALL* artifact)(const struct bulkhead_host*, const bulkhead_op*, const char* kind,
                                           const char* name, const char* opts, char* path, size_t capacity);
  /* [op] A kernel lock on the file `path` (a disk image), exclusive unless opts is {"shared": true}. Pass the handle in
   * a spawn's "inherit": the lock then lives exactly as long as its holders, and the kernel releases it. BUSY: another
   * VM holds it; the message names it. */
  bulkhead_status(BULKHEAD_CALL* lock)(const struct bulkhead_host*, const bulkhead_op*, const char* path,
                                       const char* opts, bulkhead_handle* handle);
  /* [op] Saved atomically and durably; handed back to recover. `json`: object with what recover needs, no secrets. */
  bulkhead_status(BULKHEAD_CALL* save_state)(const struct bulkhead_host*, const bulkhead_op*, const char* json);
} bulkhead_host;

/* One VM of a driver. All functions [op]. Every operation except start is idempotent. */
typedef struct bulkhead_driver {
  uint32_t size, reserved;
  void* data; /* the driver's own */
  /* Pure check of the configuration given to open. Reply: {"problems": [{"pointer","reason","hint"}]}. */
  bulkhead_status(BULKHEAD_CALL* validate)(struct bulkhead_driver*, const bulkhead_op*);
  /* Makes what the VM needs for good (a disk overlay, a registration); args as for open. */
  bulkhead_status(BULKHEAD_CALL* create)(struct bulkhead_driver*, const bulkhead_op*);
  /* Starts the VM; BUSY when it runs already. Returns when the VM exists; the guest's readiness is an event.
   * Reply: {"console": {"socket","log"}, "accelerator": "...", ...}, each optional; shown to people. */
  bulkhead_status(BULKHEAD_CALL* start)(struct bulkhead_driver*, const bulkhead_op*);
  /* Asks the guest to shut down and waits. OK: the VM is gone. DEADLINE: the guest ignored it. UNAVAILABLE: it could
   * not be asked. Never escalates. */
  bulkhead_status(BULKHEAD_CALL* stop)(struct bulkhead_driver*, const bulkhead_op*);
  /* Only with forced = driver_call. Works after only open and recover. */
  bulkhead_status(BULKHEAD_CALL* force_stop)(struct bulkhead_driver*, const bulkhead_op*);
  /* Reply: {"state": "running"|"stopped"|"unknown", "evidence": {...}}. Changes nothing. "unknown" rather than a guess.
   */
  bulkhead_status(BULKHEAD_CALL* inspect)(struct bulkhead_driver*, const bulkhead_op*);
  /* In a new agent, for a VM that runs already. args: {"state": as saved, "leader": child or 0}. GONE: proved absent.
   * FOREIGN: the endpoint answers for another VM. Never starts anything. */
  bulkhead_status(BULKHEAD_CALL* recover)(struct bulkhead_driver*, const bulkhead_op*);
  /* Removes run-time residue that only the driver can name; the ledger's artifacts are the host's work. */
  bulkhead_status(BULKHEAD_CALL* cleanup)(struct bulkhead_driver*, const bulkhead_op*);
  /* Undoes create. Only called when the VM is proved gone. */
  bulkhead_status(BULKHEAD_CALL* remove)(struct bulkhead_driver*, const bulkhead_op*);
  /* NULL when the driver does not have the extension. */
  const void*(BULKHEAD_CALL* get_extension)(struct bulkhead_driver*, const char* id);
  /* Frees memory; MUST NOT touch the VM. */
  void(BULKHEAD_CALL* close)(struct bulkhead_driver*);
} bulkhead_driver;

typedef struct bulkhead_entry {
  uint32_t size, reserved;
  const bulkhead_descriptor* descriptor;
  /* [op] Can this driver work on this machine? Runs in a throw-away agent, within 5 s, and leaves nothing.
   * Reply: {"health": "healthy"|"unhealthy"|"undetected", "attributes": {...}, "hint": "..."}. */
  bulkhead_status(BULKHEAD_CALL* probe)(const bulkhead_host*, const bulkhead_op*);
  /* [op] Allocates; touches no disk, network or VM. args: {"vm": {"name", "cpus", "memory_bytes", "boot": {...},
   * "disks": [...], "console": {...}}, "options": {...}}: the VM's spec with absolute paths, see docs/config.md. */
  bulkhead_status(BULKHEAD_CALL* open)(const bulkhead_host*, const bulkhead_op*, bulkhead_driver**);
} bulkhead_entry;

/* The one symbol of a driver. Data: reading it runs nothing. The ABI major is in its name. */
BULKHEAD_EXPORT extern const bulkhead_entry bulkhead_driver_v1;

#ifdef __cplusplus
}
#endif
#endif
