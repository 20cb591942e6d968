#include "base/ids.hpp"

#include <set>

#include "support/catch.hpp"

using bulkhead::Code;
using bulkhead::RunId;
using bulkhead::VmName;

namespace {

// The error of a name that must be refused.
bulkhead::Error refusal(std::string_view text) {
  INFO("name '" << text << "'");
  const auto parsed = VmName::parse(text);
  REQUIRE_FALSE(parsed.has_value());
  CHECK(parsed.error().code == Code::invalid);
  CHECK_FALSE(parsed.error().hint.empty());
  return parsed.error();
}

}  // namespace

TEST_CASE("ordinary names are accepted as they are") {
  for (const std::string name : {"dev", "dev-1", "a", "0", "web.example.org", "build_2", "a..b", "x--y", "com10", "lpt",
                                 "console", "auxiliary", "nullable"}) {
    INFO(name);
    const auto parsed = VmName::parse(name);
    REQUIRE(parsed.has_value());
    CHECK(parsed->str() == name);
  }
}

TEST_CASE("a name cannot lead to another folder") {
  for (const char* name : {"..", ".", "a/b", "a\\b", "../x", "/etc", "c:x", "~", "a/", "./a"}) refusal(name);
  refusal(std::string_view("a\0b", 3));
}

TEST_CASE("a name that a shell, a terminal or a file system would read differently is refused") {
  for (const char* name : {"a b", " a", "a ", "a[1]", "a*", "a?", "$a", "a;b", "a'b", "a\"b", "a\nb", "a\tb",
                           "\x1b[31m", "a|b", "a:b", "a<b", "a%b", "a@b"}) {
    refusal(name);
  }
}

TEST_CASE("a name outside ASCII is refused, not cut or folded") {
  for (const char* name : {"größe", "дом", "虚拟机", "a\xcc\x81", "\xff\xfe",
                           "\xe2\x80\xae"
                           "dev"}) {
    CHECK(refusal(name).what.find("only the characters") != std::string::npos);
  }
}

TEST_CASE("an empty name is refused in words of its own") { CHECK(refusal("").what == "name '': is empty"); }

TEST_CASE("63 characters are allowed, 64 are not, and 300 are not repeated in the message") {
  CHECK(VmName::parse(std::string(63, 'a')).has_value());
  refusal(std::string(64, 'a'));
  const auto error = refusal(std::string(300, 'a'));
  CHECK(error.what.size() < 160);
  CHECK(error.what.find("300 characters") != std::string::npos);
}

TEST_CASE("an upper-case name is refused with the name to use instead") {
  CHECK(refusal("Dev-1").hint == "use 'dev-1'");
  CHECK(refusal("Dev 1").hint == "use a name such as 'dev-1'");
}

TEST_CASE("a name begins and ends with a letter or digit") {
  for (const char* name : {"-a", "a-", ".a", "a.", "_a", "a_", "-", "--help", "..."}) refusal(name);
}

TEST_CASE("the names of Windows devices are refused, also with an extension") {
  for (const char* name :
       {"con", "prn", "aux", "nul", "com1", "com9", "lpt1", "lpt9", "con.dev", "nul.a.b", "com1.x", "com0", "lpt0"}) {
    CHECK(refusal(name).what.find("Windows") != std::string::npos);
  }
}

TEST_CASE("a run id is 16 lower-case hex digits") {
  CHECK(RunId::parse("0123456789abcdef").value().str() == "0123456789abcdef");
  for (const char* text :
       {"", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcdeg", "../../../../etc/x"}) {
    INFO(text);
    CHECK_FALSE(RunId::parse(text).has_value());
  }
}

TEST_CASE("random run ids differ and can be read back") {
  std::set<RunId> seen;
  for (int i = 0; i < 100; ++i) seen.insert(RunId::random());
  CHECK(seen.size() == 100);
  for (const RunId& id : seen) CHECK(RunId::parse(id.str()) == id);
}
