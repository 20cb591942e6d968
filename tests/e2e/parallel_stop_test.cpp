#include <chrono>
#include <iostream>
#include <map>

#include "e2e/host_under_test.hpp"

using namespace bulkhead::e2e;
using namespace std::chrono_literals;
namespace support = bulkhead::support;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto grace = 3s;
constexpr int crowd = 20;

class Crowd {
 public:
  explicit Crowd(const HostUnderTest& host) : host_(host) {
    for (int i = 0; i < crowd; ++i) names_.push_back("v" + std::to_string(i));
    for (const std::string& name : names_) create(name);
    create("alone");
  }

  Clock::duration stop_one() const {
    run({"alone"});
    const auto began = Clock::now();
    const Json report = host_.ok({"stop", "alone"});
    const auto took = Clock::now() - began;
    CHECK(ignored(report));
    return took;
  }

  void start() const { run(names_); }

  // As a user does who wants all of them stopped, and goes on with the host.
  Clock::duration stop_all() const {
    const auto began = Clock::now();
    Words words{"stop"};
    words.insert(words.end(), names_.begin(), names_.end());
    const Json reports = host_.ok(words);
    const auto took = Clock::now() - began;
    CHECK(reports.size() == names_.size());
    for (const Json& report : reports) CHECK(ignored(report));
    return took;
  }

  Clock::duration stop_host() const {
    const auto began = Clock::now();
    CHECK(host_.ok({"host", "stop"}).at("not_stopped") == 0);
    const auto took = Clock::now() - began;
    for (const std::string& name : names_) CHECK(ignored(host_.info(name).at("last_stop")));
    return took;
  }

  void nobody_is_left() const {
    for (const support::Seen& seen : host_.left()) CHECK_FALSE(contains(seen.name, "qemu"));
    CHECK(host_.sockets_and_folders().empty());
  }

 private:
  void create(const std::string& name) const {
    Json spec = host_.firmware(name, "ignore");
    spec["stop"] = {{"grace_period", "3s"}};
    host_.create(spec);
  }

  // A guest that is not ready cannot ignore anything.
  void run(const Words& names) const {
    const auto boots = [this](const std::string& name) { return support::occurrences(host_.console(name), "READY"); };
    std::map<std::string, std::size_t> before;
    std::vector<std::unique_ptr<Program>> all;
    for (const std::string& name : names) {
      before[name] = boots(name);
      all.push_back(host_.begin({"start", name}));
    }
    for (const auto& one : all) REQUIRE(one->wait().code == 0);
    for (const std::string& name : names) REQUIRE(eventually([&] { return boots(name) > before[name]; }));
  }

  static bool ignored(const Json& report) {
    const Json asked = rung(report, "ask");
    return report.at("outcome") == "stopped" && report.at("rung") == "force" && duration_of(asked) >= 3'000;
  }

  const HostUnderTest& host_;
  Words names_;
};

// A machine that has other things to do may spoil one comparison, not two.
void in_the_time_of_one(const std::string& what, const Crowd& all, Clock::duration (Crowd::*stop)() const) {
  bool in_time = false;
  for (int attempt = 0; attempt < 2 && !in_time; ++attempt) {
    const auto one = all.stop_one();
    all.start();
    const auto took = (all.*stop)();
    all.nobody_is_left();
    const auto ms = [](Clock::duration time) {
      return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()) + " ms";
    };
    std::cout << "I8 " << what << ": one VM " << ms(one) << ", " << crowd << " VMs " << ms(took) << std::endl;
    CHECK(one >= grace);
    CHECK(took >= grace);
    in_time = took * 2 <= one * 3;
  }
  CHECK(in_time);
}

}  // namespace

TEST_CASE("I8 F14: stopping twenty VMs whose guests ignore the request takes at most one and a half times one VM's") {
  const HostUnderTest host;
  const Crowd all(host);
  in_the_time_of_one("stop", all, &Crowd::stop_all);
}

TEST_CASE("I8 F14: stopping a host of twenty VMs whose guests ignore it takes at most one and a half times one VM's") {
  const HostUnderTest host;
  const Crowd all(host);
  in_the_time_of_one("host stop", all, &Crowd::stop_host);
}
