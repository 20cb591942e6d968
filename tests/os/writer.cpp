// Writes a file again and again, atomically, with contents of different lengths: 'a' repeated, or 'b' repeated. Until
// it is killed.
#include <iostream>
#include <string>

#include "os/file.hpp"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  for (int round = 0;; ++round) {
    const std::string content = round % 2 == 0 ? std::string(200'000, 'a') : std::string(50'000, 'b');
    if (const auto written = bulkhead::os::write_atomically(argv[1], content); !written) {
      std::cerr << written.error().what << "\n";
      return 1;
    }
  }
}
