#include "cli/redact.hpp"

#include "support/catch.hpp"

using namespace bulkhead;
using namespace bulkhead::cli;

namespace {

Redactor redactor(std::optional<Json> schema = Json::object()) {
  return Redactor([schema](const std::string&) { return schema; });
}

bool has(const std::string& text, std::string_view part) {
  UNSCOPED_INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("names that sound secret are known, and others are not") {
  for (const char* name : {"password", "Password", "DB_PASSWD", "secret", "clientSecret", "API_TOKEN", "apiKey",
                           "ssh-key", "key", "credentials", "passphrase"}) {
    INFO(name);
    CHECK(sounds_secret(name));
  }
  for (const char* name : {"name", "keyboard", "keymap", "keep_logs", "memory", "path"}) {
    INFO(name);
    CHECK_FALSE(sounds_secret(name));
  }
}

TEST_CASE("values of keys that sound secret are left out at any depth, whatever they are") {
  Redactor r = redactor();
  const Json redacted = r.redact(Json::parse(
      R"({"a": [{"b": {"password": "hunter22", "tokens": ["t-1", "t-2"], "key": {"data": "d"}, "pin_secret": 1234}}], "name": "dev"})"));
  const std::string text = redacted.dump();
  for (const char* secret : {"hunter22", "t-1", "t-2", "\"d\"", "1234"}) CHECK_FALSE(has(text, secret));
  CHECK(redacted["name"] == "dev");
  CHECK(redacted["a"][0]["b"]["password"] == left_out);
  CHECK(r.taken() == 4);
}

TEST_CASE("secrets in command lines and texts are left out, and what is around them stays") {
  const auto text = [](const std::string& in) {
    Redactor r = redactor();
    return r.redact_text(in);
  };
  CHECK(text("DB_PASSWORD=hunter22 HOME=/root") == "DB_PASSWORD=[left out] HOME=/root");
  CHECK(text("qemu -object secret,id=s0,data=hunter22,format=raw") ==
        "qemu -object secret,id=s0,data=[left out],format=raw");
  CHECK(text("run --token hunter22 --verbose") == "run --token [left out] --verbose");
  CHECK(text("run --api-key=hunter22 --verbose") == "run --api-key=[left out] --verbose");
  CHECK(text(R"({"password": "hunter \" 22", "cpus": 1})") == R"({"password": "[left out]", "cpus": 1})");
  CHECK(text(R"(say \"token\": \"hunter22\", end)") == R"(say \"token\": \"[left out]\", end)");
  CHECK(text("nbd://user:hunter22@host/x") == "nbd://user:[left out]@host/x");
  CHECK(text("Authorization: Bearer hunter22") == "Authorization: [left out]");
  CHECK(text("a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb") == "a\n[left out]\nb");
  CHECK(text("cannot open the key\nlistening on 10.0.0.1:22") == "cannot open the key\nlistening on 10.0.0.1:22");
  CHECK(text("-k keyboard=de name=dev").find("keyboard=de name=dev") != std::string::npos);
}

TEST_CASE("the word behind an option that sounds secret is left out of a list of words") {
  Redactor r = redactor();
  CHECK(r.redact(Json{"qemu", "--password", "hunter22", "-m", "1G"}) ==
        Json{"qemu", "--password", left_out, "-m", "1G"});
  CHECK(r.redact(Json{"TOKEN=hunter22"}) == Json{"TOKEN=[left out]"});
}

TEST_CASE("what a driver's schema marks writeOnly is left out, and found again in texts") {
  const Json schema = Json::parse(R"({"type": "object", "properties": {
    "pin": {"type": "string", "writeOnly": true},
    "vnc": {"$ref": "#/definitions/vnc"},
    "users": {"type": "array", "items": {"properties": {"word": {"writeOnly": true}}}}},
    "definitions": {"vnc": {"properties": {"open": {"writeOnly": true}, "port": {"type": "integer"}}}}})");
  const Json spec = Json::parse(R"({"name": "dev", "driver": "qemu", "options": {
    "pin": "hunter22", "vnc": {"open": "sesame99", "port": 5900}, "users": [{"word": "xyzzy123", "id": "u"}]}})");
  Redactor r = redactor(schema);
  const Json redacted = r.redact(Json{{"spec", spec}});
  const std::string text = redacted.dump();
  for (const char* secret : {"hunter22", "sesame99", "xyzzy123"}) CHECK_FALSE(has(text, secret));
  CHECK(redacted["spec"]["options"]["vnc"]["port"] == 5900);
  CHECK(redacted["spec"]["options"]["users"][0]["id"] == "u");

  r.learn(spec);
  CHECK(r.redact_text("started with -vnc open-sesame99 for u") == "started with -vnc open-[left out] for u");
}

TEST_CASE("options of a driver whose schema is not known are all left out") {
  Redactor r = redactor(std::nullopt);
  const Json redacted = r.redact(Json::parse(R"({"driver": "gone", "options": {"anything": "hunter22"}, "cpus": 1})"));
  CHECK(redacted["options"]["anything"] == left_out);
  CHECK(redacted["cpus"] == 1);
}

TEST_CASE("secrets with blanks, of other schemes, and in JSON within JSON are left out whole") {
  const auto text = [](const std::string& in) {
    Redactor r = redactor();
    return r.redact_text(in);
  };
  CHECK(text("Authorization: Token hunter22") == "Authorization: [left out]");
  CHECK(text(R"(curl -H "Authorization: Digest user=x, response=hunter22" http://h)") ==
        R"(curl -H "Authorization: [left out]" http://h)");
  CHECK(text(R"(say {\\\"token\\\": \\\"hunter22\\\"} end)") == R"(say {\\\"token\\\": \\\"[left out]\\\"} end)");
  CHECK(text(R"(say \"token\": \"hunt\\\"er22\", end)") == R"(say \"token\": \"[left out]\", end)");
  CHECK(text("DB_PASS=hunter22 MYSQL_PWD=hunter22 x") == "DB_PASS=[left out] MYSQL_PWD=[left out] x");
  CHECK(text("PWD=/root OLDPWD=/tmp bypass=1 passthrough=on") == "PWD=/root OLDPWD=/tmp bypass=1 passthrough=on");
  Redactor r = redactor();
  CHECK(r.redact(Json{"run", "PASSPHRASE=correct horse battery", "--password=correct horse"}) ==
        Json{"run", "PASSPHRASE=[left out]", "--password=[left out]"});
}

TEST_CASE("a secret that begins with another secret is found again whole, and one of a URL too") {
  Redactor r = redactor();
  r.learn(Json{{"a_secret", "hunter2"}, {"b_secret", "hunter2two"}, {"disk", "nbd://user:sesame99@host/x"}});
  CHECK(r.redact_text("said hunter2two, hunter2") == "said [left out], [left out]");
  CHECK(r.redact_text("login with sesame99") == "login with [left out]");
}

TEST_CASE("a secret is found again as JSON writes it") {
  Redactor r = redactor();
  r.learn(Json{{"password", "ab\"cd\\ef"}});
  CHECK(r.redact_text(R"(argv: "-x" "ab\"cd\\ef")") == R"(argv: "-x" "[left out]")");
}

TEST_CASE("writeOnly is heeded in every keyword that describes a part of a value") {
  const Json schema = Json::parse(R"({"properties": {"pair": {"items": [{}, {"writeOnly": true}]},
    "more": {"items": [{}], "additionalItems": {"writeOnly": true}},
    "tree": {"$ref": "#"}}, "patternProperties": {"^pin-": {"writeOnly": true}}})");
  Redactor r = redactor(schema);
  const Json redacted = r.redact(Json::parse(R"({"driver": "qemu", "options": {"pair": ["a", "hunter22"],
    "more": ["b", "hunter33"], "pin-1": "hunter44", "tree": {"pin-2": "hunter55"}, "pot": 1}})"));
  CHECK(redacted["options"] == Json::parse(R"({"pair": ["a", "[left out]"], "more": ["b", "[left out]"],
    "pin-1": "[left out]", "tree": {"pin-2": "[left out]"}, "pot": 1})"));
}
