#include "qemu/extra_args.hpp"

#include <array>

namespace bulkhead::qemu {
namespace {

struct RefusedOption {
  std::string_view name;
  Refusal refusal;
};

constexpr Refusal leaves_containment{"QEMU would leave the process that the host watches", ""};
constexpr Refusal owns_monitor{"the driver owns QEMU's control sockets", ""};
constexpr Refusal owns_identity{"the driver uses it to recognise the VM after a restart", ""};
constexpr Refusal owns_privileges{"the driver sets the privileges and the sandbox", ""};
constexpr Refusal owns_lifecycle{"the guest would not run, or QEMU would not exit when the guest shuts down", ""};
constexpr Refusal owns_accelerator{"the driver chooses the accelerator", "set options.accelerator"};
constexpr Refusal owns_display{"the driver runs QEMU without a display", ""};
constexpr Refusal hides_options{"it brings in options that cannot be checked", "give the options themselves"};

constexpr std::array refused{
    RefusedOption{"daemonize", leaves_containment},
    RefusedOption{"pidfile", {"the host keeps track of the process", ""}},
    RefusedOption{"async-teardown", leaves_containment},
    RefusedOption{"run-with", owns_privileges},
    RefusedOption{"runas", owns_privileges},
    RefusedOption{"chroot", owns_privileges},
    RefusedOption{"sandbox", owns_privileges},
    RefusedOption{"qmp", owns_monitor},
    RefusedOption{"qmp-pretty", owns_monitor},
    RefusedOption{"mon", owns_monitor},
    RefusedOption{"monitor", owns_monitor},
    RefusedOption{"name", owns_identity},
    RefusedOption{"uuid", owns_identity},
    RefusedOption{"S", owns_lifecycle},
    RefusedOption{"preconfig", owns_lifecycle},
    RefusedOption{"incoming", owns_lifecycle},
    RefusedOption{"no-shutdown", owns_lifecycle},
    RefusedOption{"action", owns_lifecycle},
    RefusedOption{"accel", owns_accelerator},
    RefusedOption{"enable-kvm", owns_accelerator},
    RefusedOption{"display", owns_display},
    RefusedOption{"nographic", owns_display},
    RefusedOption{"curses", owns_display},
    RefusedOption{"sdl", owns_display},
    RefusedOption{"readconfig", hides_options},
    RefusedOption{"writeconfig", hides_options},
};

}  // namespace

std::optional<Refusal> refuse_extra_arg(std::string_view argument) {
  if (!argument.starts_with('-')) return std::nullopt;
  argument.remove_prefix(argument.starts_with("--") ? 2 : 1);
  for (const RefusedOption& option : refused) {
    if (argument == option.name) return option.refusal;
  }
  return std::nullopt;
}

}  // namespace bulkhead::qemu
