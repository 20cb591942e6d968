// Stands for a QEMU that hangs: its control sockets accept, its monitor answers until the VM runs, then never again. It
// takes QEMU's arguments and uses only the inherited listening socket of `-chardev socket,id=qmp,fd=N`.
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <signal.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using nlohmann::json;

int listening_socket(int argc, char** argv) {
  const std::string prefix = "socket,id=qmp,fd=";
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.starts_with(prefix)) return std::atoi(argument.c_str() + prefix.size());
  }
  return -1;
}

void send(int to, const json& message) {
  const std::string text = message.dump() + "\r\n";
  if (::write(to, text.data(), text.size()) < 0) std::exit(97);
}

// False: it fell silent.
bool answer(int to, const json& request) {
  const std::string command = request.value("execute", "");
  json reply{{"return", json::object()}, {"id", request.value("id", json())}};
  if (command == "query-status") {
    reply["return"] = {{"status", "running"}, {"running", true}};
  } else if (command != "qmp_capabilities") {
    return false;
  }
  send(to, reply);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::signal(number, SIG_IGN);
  const int client = ::accept(listening_socket(argc, argv), nullptr, nullptr);
  if (client < 0) return 96;
  send(client,
       {{"QMP",
         {{"version", {{"qemu", {{"major", 7}, {"minor", 2}, {"micro", 0}}}}}, {"capabilities", json::array()}}}});
  std::string line;
  for (char c = 0; ::read(client, &c, 1) == 1;) {
    line += c;
    if (c != '\n') continue;
    const bool talking = answer(client, json::parse(line));
    line.clear();
    if (!talking) break;
  }
  for (;;) ::pause();
}
