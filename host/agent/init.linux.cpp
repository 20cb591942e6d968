// bulkhead-init: the first process of a run's pid namespace. It does nothing but be there: when it is killed the kernel
// kills everything else in the namespace, and until then it takes in what loses its parent. As an init it gets no
// signal from inside.
#include <csignal>
#include <unistd.h>

int main() {
  std::signal(SIGCHLD, SIG_IGN);  // the kernel then reaps for us
  for (;;) ::pause();
}
