#pragma once

#include <csignal>
#include <thread>
#include <utility>

namespace bulkhead::qemu {

// A thread that no signal is delivered to: the agent's handlers run on the agent's own threads.
template <class F>
std::thread start_quiet_thread(F&& run) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  struct Restore {
    const sigset_t& mask;
    ~Restore() { pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
  } restore{before};
  return std::thread(std::forward<F>(run));
}

}  // namespace bulkhead::qemu
