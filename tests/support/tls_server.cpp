#include "tests/support/tls_server.h"

#include <httplib.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>

#include "engine/base/check.h"

namespace ds4::test_support {
namespace {

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(std::FILE* file) const { std::fclose(file); }
};

using Key = std::unique_ptr<EVP_PKEY, Free>;
using Certificate = std::unique_ptr<X509, Free>;

// Signed by itself, for this address and the next hour.
Certificate make_certificate(EVP_PKEY* key) {
  Certificate certificate(X509_new());
  X509* x = certificate.get();
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -60);
  X509_gmtime_adj(X509_getm_notAfter(x), 3600);
  X509_set_pubkey(x, key);
  X509_NAME* name = X509_get_subject_name(x);
  const auto* common = reinterpret_cast<const unsigned char*>("127.0.0.1");
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common, -1, -1, 0);
  X509_set_issuer_name(x, name);
  X509_EXTENSION* address =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
  DS4_CHECK(address != nullptr);
  X509_add_ext(x, address, -1);
  X509_EXTENSION_free(address);
  DS4_CHECK(X509_sign(x, key, EVP_sha256()) > 0);
  return certificate;
}

}  // namespace

TlsServer::TlsServer(const std::filesystem::path& certificate, const std::string& path,
                     const std::string& body) {
  const Key key(EVP_EC_gen("P-256"));
  DS4_CHECK(key != nullptr);
  const Certificate own = make_certificate(key.get());
  const std::unique_ptr<std::FILE, Free> file(std::fopen(certificate.c_str(), "w"));
  DS4_CHECK(file != nullptr && PEM_write_X509(file.get(), own.get()) == 1);
  server_ = std::make_unique<httplib::SSLServer>(own.get(), key.get());
  server_->Get(path, [body](const httplib::Request&, httplib::Response& response) {
    response.set_content(body, "application/octet-stream");
  });
  port_ = server_->bind_to_any_port("127.0.0.1");
  DS4_CHECK(port_ > 0);
  thread_ = std::thread([this] { server_->listen_after_bind(); });
  while (!server_->is_running()) std::this_thread::yield();  // else stop() would be too early
}

TlsServer::~TlsServer() {
  server_->stop();
  thread_.join();
}

void TlsServer::redirect(const std::string& path, const std::string& location) {
  server_->Get(path, [location](const httplib::Request&, httplib::Response& response) {
    response.set_redirect(location);
  });
}

}  // namespace ds4::test_support
