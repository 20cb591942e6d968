#include <nlohmann/json.hpp>
#include <stdexcept>

#include "qemu/accelerator_plan.hpp"
#include "qemu/saved_state.hpp"
#include "qemu/verdict.hpp"
#include "support/catch.hpp"

using namespace bulkhead::qemu;
using nlohmann::json;

namespace {

const auto no_trial = []() -> KvmTrial { throw std::logic_error("the trial was not needed"); };

Config choose(AcceleratorChoice choice) {
  Config c;
  c.accelerator = choice;
  return c;
}

VerdictKey key() { return {"boot-1", "", {{"/usr/bin/qemu", 5}, {"/k", 6}}}; }

}  // namespace

TEST_CASE("a configured accelerator is taken without a trial") {
  const auto tcg = plan_attempts(choose(AcceleratorChoice::tcg), std::nullopt, no_trial);
  REQUIRE(tcg.size() == 1);
  CHECK(tcg[0].accelerator == Accelerator::tcg);
  CHECK(tcg[0].cpu_model == "max");
  for (const auto& attempt : plan_attempts(choose(AcceleratorChoice::kvm), std::nullopt, no_trial))
    CHECK(attempt.accelerator == Accelerator::kvm);
}

TEST_CASE("a failed trial means TCG at once and says why") {
  const auto plan =
      plan_attempts(choose(AcceleratorChoice::automatic), std::nullopt, [] { return KvmTrial{false, "no kvm"}; });
  REQUIRE(plan.size() == 1);
  CHECK(plan[0].accelerator == Accelerator::tcg);
  CHECK(plan[0].reason == "no kvm");
}

TEST_CASE("a passed trial means KVM, watched, with TCG to fall back to") {
  const auto plan =
      plan_attempts(choose(AcceleratorChoice::automatic), std::nullopt, [] { return KvmTrial{true, ""}; });
  REQUIRE(plan.size() == 3);
  CHECK(plan[0].cpu_model == "host");
  CHECK(plan[0].watch == Watch::for_internal_error);
  CHECK(plan[1].cpu_model == "host,-arch-capabilities");
  CHECK(plan[2].accelerator == Accelerator::tcg);
}

TEST_CASE("a remembered verdict needs neither trial nor watching") {
  const auto config = choose(AcceleratorChoice::automatic);
  const auto kvm = plan_attempts(config, Verdict{Accelerator::kvm, "host", "worked"}, no_trial);
  REQUIRE(kvm.size() == 2);
  CHECK(kvm[0].accelerator == Accelerator::kvm);
  CHECK(kvm[0].watch == Watch::not_needed);
  CHECK(kvm[1].accelerator == Accelerator::tcg);
  const auto tcg = plan_attempts(config, Verdict{Accelerator::tcg, "max", "internal error"}, no_trial);
  REQUIRE(tcg.size() == 1);
  CHECK(tcg[0].reason == "internal error");
}

TEST_CASE("a configured CPU model is used as it is and nothing else is tried") {
  auto config = choose(AcceleratorChoice::kvm);
  config.cpu_model = "Haswell";
  const auto plan = plan_attempts(config, std::nullopt, no_trial);
  REQUIRE(plan.size() == 1);
  CHECK(plan[0].cpu_model == "Haswell");
}

TEST_CASE("a verdict is read back as it was written") {
  const Verdict verdict{Accelerator::kvm, "host,-arch-capabilities", "said \"so\""};
  CHECK(read_verdict(verdict_text(key(), verdict), key()) == verdict);
}

TEST_CASE("a verdict does not hold for another boot, program, file or CPU") {
  const std::string text = verdict_text(key(), {Accelerator::tcg, "max", "x"});
  auto other = key();
  other.boot_id = "boot-2";
  CHECK_FALSE(read_verdict(text, other));
  other = key();
  other.files[0].modified_ns = 7;
  CHECK_FALSE(read_verdict(text, other));
  other = key();
  other.files.pop_back();
  CHECK_FALSE(read_verdict(text, other));
  other = key();
  other.cpu_model = "host";
  CHECK_FALSE(read_verdict(text, other));
}

TEST_CASE("a damaged verdict is no verdict") {
  const std::string text = verdict_text(key(), {Accelerator::tcg, "max", "x"});
  for (std::size_t n = 0; n < text.size(); ++n) CHECK_FALSE(read_verdict(text.substr(0, n), key()));
  json odd = json::parse(text);
  odd["accelerator"] = "hvf";
  CHECK_FALSE(read_verdict(odd.dump(), key()));
  odd["accelerator"] = 1;
  CHECK_FALSE(read_verdict(odd.dump(), key()));
}

TEST_CASE("saved state is read back as it was written") {
  const SavedState state{"dev1@1", "/q", "/q2", "/c", "/l", "tcg"};
  const auto back = read_state(json::parse(state_text(state)));
  REQUIRE(back);
  CHECK(back->guest_name == "dev1@1");
  CHECK(back->qmp == "/q");
  CHECK(back->qmp_emergency == "/q2");
  CHECK(back->console == "/c");
  CHECK(back->console_log == "/l");
  CHECK(back->accelerator == "tcg");
}

TEST_CASE("saved state that does not say how to reach QEMU is refused") {
  CHECK_FALSE(read_state(json()));
  CHECK_FALSE(read_state(json::array()));
  CHECK_FALSE(read_state(json{{"guest_name", "a"}, {"qmp", "/q"}}));
  CHECK_FALSE(read_state(json{{"guest_name", "a"}, {"qmp", 1}, {"qmp_emergency", "/q2"}}));
}
