#include <csignal>
#include <iostream>

#include "cli/command_line.hpp"
#include "cli/print.hpp"

int main(int argc, char** argv) {
  using namespace bulkhead;
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return cli::CommandLine(BULKHEAD_VERSION).run(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << cli::render_error({.code = Code::internal, .what = e.what()});
    return 1;
  }
}
