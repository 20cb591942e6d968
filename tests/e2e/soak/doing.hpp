#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "e2e/host_under_test.hpp"
#include "e2e/soak/census.hpp"
#include "e2e/soak/quiet.hpp"
#include "e2e/soak/script.hpp"
#include "support/typist.hpp"

namespace bulkhead::e2e::soak {

std::string vm_name(std::size_t vm);

// For people, and to tell the story again: what was done, when, and what came of it.
class Story {
 public:
  void next_round() { ++round_; }
  int round() const { return round_; }
  void tell(const std::string& what) const;

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  int round_ = 0;
};

// Does what the script wants to a host and its VMs, without waiting for what comes of it.
class Doing {
 public:
  Doing(const HostUnderTest& host, const Quiet& quiet, const Story& story)
      : host_(host), quiet_(quiet), story_(story) {}
  void perform(const Action& action);

  // Of each VM, what the commands for it were told: true is success. Waits for all of them, and checks that they were
  // told the truth, as far as can be said of a moment that is over.
  using Answers = std::map<std::string, std::vector<bool>>;
  Answers finish();

 private:
  struct Client {
    std::string vm;  // "" when it is for the host
    Words words;
    std::unique_ptr<Program> program;
  };
  void begin(const std::string& vm, Words words);
  void begin_commands(Deed deed, const std::string& vm, const std::string& grace);
  void kill_some(Deed deed, const std::string& vm) const;
  void kill(const std::vector<support::Seen>& all) const;
  void power_off(const std::string& vm);
  bool collect(const Client& client) const;

  const HostUnderTest& host_;
  const Quiet& quiet_;
  const Story& story_;
  std::vector<Client> clients_;
  std::vector<std::unique_ptr<support::Typist>> typists_;
};

}  // namespace bulkhead::e2e::soak
