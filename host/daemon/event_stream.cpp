#include "daemon/event_stream.hpp"

#include <memory>
#include <utility>

namespace bulkhead::daemon {

namespace {

constexpr milliseconds sign_of_life{10'000};
constexpr std::size_t at_once = 100;

struct Reader {
  Events& events;
  std::uint64_t after;
  std::string vm;
  bool begun = false;
};

std::string text_of(const Json& event) {
  return "id: " + std::to_string(integer_or(event, "id", 0)) + "\nevent: " + string_or(event, "kind") +
         "\ndata: " + dump(event) + "\n\n";
}

Task<std::string> next_chunk(std::shared_ptr<Reader> reader) {
  // Something at once: a client that waits for the first byte knows that it is connected.
  if (!std::exchange(reader->begun, true)) co_return ": bulkhead\n\n";
  const Deadline until = Clock::now() + sign_of_life;
  for (;;) {
    const Events::Page page = reader->events.after(reader->after, reader->vm, at_once);
    std::string text;
    if (page.gap) text += "event: gap\ndata: {\"kind\":\"gap\",\"after\":" + std::to_string(reader->after) + "}\n\n";
    for (const Json& event : page.events) text += text_of(event);
    // Those of other VMs are passed over for good.
    if (page.events.size() < at_once) {
      reader->after = page.last;
    } else {
      reader->after = static_cast<std::uint64_t>(integer_or(page.events.back(), "id", 0));
    }
    if (!text.empty() || reader->events.closed()) co_return text;
    if (Clock::now() >= until) co_return ": nothing\n\n";
    co_await reader->events.next(until);
  }
}

}  // namespace

api::Stream event_stream(Events& events, std::uint64_t after, const std::string& vm) {
  auto reader = std::make_shared<Reader>(Reader{.events = events, .after = after, .vm = vm});
  return [reader] { return next_chunk(reader); };
}

}  // namespace bulkhead::daemon
