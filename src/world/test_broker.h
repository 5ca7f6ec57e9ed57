#pragma once
// A real mosquitto on a free loopback port, ended with the test.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <string>
#include <thread>

#include "world/pki.h"
#include "world/test_folder.h"

namespace wb::world {

class TestBroker {
 public:
  // False: there is no mosquitto on this machine, or it does not start.
  bool start() {
    for (int attempt = 0; attempt < 5; ++attempt) {
      port_ = free_port();
      if (run()) return true;
    }
    return false;
  }
  // The same, for this user only.
  bool start_with_user(const std::string& user, const std::string& password) {
    const std::string file = folder_.path("users");
    std::ofstream(file) << user << ":" << password << "\n";
    const pid_t hashing = ::fork();
    if (hashing == 0) {
      ::execlp("mosquitto_passwd", "mosquitto_passwd", "-U", file.c_str(), nullptr);
      ::_exit(127);
    }
    ::waitpid(hashing, nullptr, 0);
    access_ = "user root\nallow_anonymous false\npassword_file " + file + "\n";  // else it may not read this folder
    return start();
  }
  // The same, over TLS alone; ca_file() is what its clients need.
  bool start_with_tls() {
    const int64_t now = ::time(nullptr);
    const auto ca = CertificateAuthority::create("test", now);
    if (!ca.ok()) return false;
    const auto server = ca->issue_server({"127.0.0.1"}, now);
    if (!server.ok()) return false;
    std::ofstream(ca_file()) << ca->certificate_pem();
    std::ofstream(folder_.path("crt")) << server->certificate_pem;
    std::ofstream(folder_.path("key")) << server->key_pem;
    access_ += "user root\ncertfile " + folder_.path("crt") + "\nkeyfile " + folder_.path("key") + "\n";
    return start();
  }
  std::string ca_file() const { return folder_.path("ca"); }
  ~TestBroker() { stop(); }
  // The same port and, with its persistence, the same sessions.
  bool run() {
    std::ofstream(folder_.path("conf")) << "listener " << port_ << " 127.0.0.1\n"
                                        << access_ << "persistence true\n"
                                        << "persistence_location " << folder_.path("") << "/\n";
    process_ = ::fork();
    if (process_ == 0) {
      const int log = ::open(folder_.path("log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      ::dup2(log, 1);
      ::dup2(log, 2);
      const std::string conf = folder_.path("conf");
      ::execlp("mosquitto", "mosquitto", "-c", conf.c_str(), nullptr);
      ::execl("/usr/sbin/mosquitto", "mosquitto", "-c", conf.c_str(), nullptr);
      ::_exit(127);
    }
    while (::waitpid(process_, nullptr, WNOHANG) == 0) {
      if (accepts()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));  // for another process: nothing to wait on
    }
    process_ = -1;
    return false;
  }
  void stop() {
    if (process_ <= 0) return;
    ::kill(process_, SIGTERM);
    ::waitpid(process_, nullptr, 0);
    process_ = -1;
  }
  std::string url() const { return "mqtt://127.0.0.1:" + std::to_string(port_); }
  uint16_t port() const { return port_; }

 private:
  static sockaddr_in loopback(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  static uint16_t free_port() {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    ::bind(socket, reinterpret_cast<const sockaddr*>(&address), size);
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
    ::close(socket);
    return ntohs(address.sin_port);
  }
  bool accepts() const {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(port_);
    const bool open = ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(socket);
    return open;
  }

  TestFolder folder_;
  std::string access_ = "allow_anonymous true\n";
  pid_t process_ = -1;
  uint16_t port_ = 0;
};

}  // namespace wb::world
