// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <memory>
#include <mvrm/core/files.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <vector>

#include "atomic_file.h"
#include "descriptor.h"

namespace mvrm::core {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 20;

Descriptor open_to_read(const std::filesystem::path& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw errno_error(path, "open");
  return file;
}

// The number of bytes read, 0 at the end of the file.
size_t read_some(const Descriptor& file, char* buffer, size_t count, const std::filesystem::path& path) {
  while (true) {
    const ssize_t got = ::read(file.get(), buffer, count);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) throw errno_error(path, "read");
  }
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    MVRM_CHECK(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1, "OpenSSL has no SHA-256");
  }
  void update(const char* bytes, size_t count) {
    MVRM_CHECK(EVP_DigestUpdate(context_.get(), bytes, count) == 1, "SHA-256 failed");
  }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    MVRM_CHECK(EVP_DigestFinal_ex(context_.get(), digest, &size) == 1, "SHA-256 failed");
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (unsigned int i = 0; i < size; ++i) {
      text += kDigits[digest[i] >> 4];
      text += kDigits[digest[i] & 15];
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

void fsync_path(const std::filesystem::path& path, int flags) {
  const Descriptor file(::open(path.c_str(), flags | O_CLOEXEC));
  if (file.get() < 0) throw errno_error(path, "open");
  // Some file systems can't fsync a folder and say EINVAL; there is nothing more to do there.
  if (::fsync(file.get()) != 0 && errno != EINVAL) throw errno_error(path, "fsync");
}

}  // namespace

std::string read_file(const std::filesystem::path& path, uint64_t max_bytes) {
  const Descriptor file = open_to_read(path);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw errno_error(path, "stat");
  const auto too_large = [&] {
    return io_error(path.string() + ": larger than the limit of " + std::to_string(max_bytes) + " bytes for this kind of file");
  };
  const uint64_t size = S_ISREG(status.st_mode) ? static_cast<uint64_t>(status.st_size) : 0;
  if (size > max_bytes) throw too_large();
  std::string content(size, '\0');
  size_t filled = 0;
  while (true) {   // the size is a hint: pipes have none and a file may grow
    if (filled == content.size()) content.resize(filled + (filled < size ? size - filled : kChunkBytes));
    const size_t got = read_some(file, content.data() + filled, content.size() - filled, path);
    if (got == 0) break;
    filled += got;
    if (filled > max_bytes) throw too_large();
  }
  content.resize(filled);
  return content;
}

void write_file_atomic(const std::filesystem::path& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content.data(), content.size());
  file.commit();
}

void fsync_file(const std::filesystem::path& path) { fsync_path(path, O_RDONLY); }
void fsync_folder(const std::filesystem::path& folder) { fsync_path(folder, O_RDONLY | O_DIRECTORY); }

std::string sha256_hex(std::string_view content) {
  Sha256 sha;
  sha.update(content.data(), content.size());
  return sha.hex();
}

std::string sha256_file(const std::filesystem::path& path) {
  const Descriptor file = open_to_read(path);
  Sha256 sha;
  std::vector<char> buffer(kChunkBytes);
  while (const size_t got = read_some(file, buffer.data(), buffer.size(), path)) sha.update(buffer.data(), got);
  return sha.hex();
}

}  // namespace mvrm::core
