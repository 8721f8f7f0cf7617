// SPDX-License-Identifier: Apache-2.0
// Interposed functions go straight to the kernel; only fopen needs libc's own.
#include "tests/support/fault_shim.h"

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <mutex>
#include <string>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

using mvrm::test::FaultKind;
using mvrm::test::FaultPlan;
using mvrm::test::TraceCall;
using mvrm::test::TraceHeader;

std::atomic<FaultPlan*> armed{nullptr};
std::mutex counting;
FaultPlan from_environment;

std::string absolute(int folder, const char* path) {
  if (path[0] == '/') return path;
  char base[PATH_MAX] = "";
  const std::string link = folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/" + std::to_string(folder);
  const auto length = syscall(SYS_readlink, link.c_str(), base, sizeof base - 1);
  return std::string(base, length > 0 ? static_cast<size_t>(length) : 0) + "/" + path;
}
std::string path_of(int descriptor) {
  char path[PATH_MAX] = "";
  const auto length = syscall(SYS_readlink, ("/proc/self/fd/" + std::to_string(descriptor)).c_str(), path, sizeof path - 1);
  return std::string(path, length > 0 ? static_cast<size_t>(length) : 0);
}
bool counts(const FaultPlan& plan, const std::string& path) {
  const std::string folder = plan.folder;
  if (path != folder && path.rfind(folder + "/", 0) != 0) return false;
  return path.find("/.ranks") == std::string::npos && !path.ends_with("/.lock");
}
void trace(const FaultPlan& plan, TraceHeader header, const std::string& path, const std::string& second, const void* bytes) {
  if (plan.trace < 0) return;
  header.path = static_cast<int64_t>(path.size());
  header.second_path = static_cast<int64_t>(second.size());
  const auto put = [&](const void* data, size_t size) {
    for (const char* at = static_cast<const char*>(data); size > 0;) {
      const auto written = syscall(SYS_write, plan.trace, at, size);
      if (written <= 0) std::abort();
      at += written;
      size -= static_cast<size_t>(written);
    }
  };
  put(&header, sizeof header);
  put(path.data(), path.size());
  put(second.data(), second.size());
  if (bytes != nullptr) put(bytes, static_cast<size_t>(header.bytes));
}
[[noreturn]] void die(const FaultPlan& plan) {
  syscall(SYS_kill, plan.whole_group ? 0 : getpid(), SIGKILL);
  for (;;) syscall(SYS_pause);
}

struct Call {
  TraceHeader header;
  std::string path, second;
  const void* bytes = nullptr;
  bool needs_space = false;
};
// Counts the call and does what the plan says; `half` does half of it, `whole` all of it.
template <class Whole, class Half> int64_t counted(const Call& call, Whole whole, Half half) {
  FaultPlan* plan = armed;
  if (plan == nullptr || !counts(*plan, call.path)) return whole();
  const std::lock_guard lock(counting);
  const int64_t number = ++plan->calls;
  plan->writes += call.header.call == TraceCall::write ? 1 : 0;
  if (number == plan->at && plan->kind == FaultKind::kill) die(*plan);
  const bool commits = call.header.call == TraceCall::rename && call.second.substr(call.second.rfind('/') + 1).rfind("step-", 0) == 0;
  if (number == plan->at && plan->kind == FaultKind::torn) {
    plan->commits += half() == 0 && commits ? 1 : 0;
    die(*plan);
  }
  const bool full = plan->kind == FaultKind::fail && plan->at > 0 && number > plan->at && call.needs_space;
  if ((plan->kind == FaultKind::fail || plan->kind == FaultKind::fail_once) && (number == plan->at || full)) {
    errno = plan->error;
    return -1;
  }
  const int64_t result = whole();
  if (result < 0) return result;
  const int saved = errno;
  plan->commits += commits ? 1 : 0;
  trace(*plan, call.header, call.path, call.second, call.bytes);
  errno = saved;
  return result;
}
template <class Whole> int64_t counted(const Call& call, Whole whole) { return counted(call, whole, whole); }

int64_t position_of(int descriptor) {
  struct stat status {};
  const bool appends = (syscall(SYS_fcntl, descriptor, F_GETFL) & O_APPEND) != 0;
  return appends && syscall(SYS_fstat, descriptor, &status) == 0 ? status.st_size : syscall(SYS_lseek, descriptor, 0, SEEK_CUR);
}
ssize_t write_at(int descriptor, const void* bytes, size_t size, int64_t offset, bool seeks) {
  const auto do_it = [&](size_t part) { return seeks ? syscall(SYS_pwrite64, descriptor, bytes, part, offset) : syscall(SYS_write, descriptor, bytes, part); };
  if (armed == nullptr) return do_it(size);
  const Call call{{TraceCall::write, 0, seeks ? offset : position_of(descriptor), 0, 0, static_cast<int64_t>(size)}, path_of(descriptor), "", bytes, true};
  return counted(call, [&] { return do_it(size); }, [&] { return do_it(size / 2); });
}
int open_at(int folder, const char* path, int flags, mode_t mode) {
  const auto do_it = [&] { return syscall(SYS_openat, folder, path, flags, mode); };
  if (armed == nullptr || (flags & (O_CREAT | O_TRUNC)) == 0) return static_cast<int>(do_it());
  return static_cast<int>(counted({{TraceCall::create, (flags & O_TRUNC) != 0, 0, 0, 0, 0}, absolute(folder, path), "", nullptr, true}, do_it));
}
int rename_at(int from_folder, const char* from, int to_folder, const char* to) {
  return static_cast<int>(counted({{TraceCall::rename, 0, 0, 0, 0, 0}, absolute(from_folder, from), absolute(to_folder, to), nullptr, false},
                                  [&] { return syscall(SYS_renameat2, from_folder, from, to_folder, to, 0); }));
}
int unlink_at(int folder, const char* path, int flags) {
  const auto call = (flags & AT_REMOVEDIR) != 0 ? TraceCall::remove_folder : TraceCall::unlink;
  return static_cast<int>(counted({{call, 0, 0, 0, 0, 0}, absolute(folder, path), "", nullptr, false}, [&] { return syscall(SYS_unlinkat, folder, path, flags); }));
}
int mkdir_at(int folder, const char* path, mode_t mode) {
  return static_cast<int>(counted({{TraceCall::folder, 0, 0, 0, 0, 0}, absolute(folder, path), "", nullptr, true}, [&] { return syscall(SYS_mkdirat, folder, path, mode); }));
}
int sync_of(int descriptor, long number) {
  return static_cast<int>(counted({{TraceCall::sync, 0, 0, 0, 0, 0}, path_of(descriptor), "", nullptr, true}, [&] { return syscall(number, descriptor); }));
}
int truncate_to(int descriptor, off_t length) {
  return static_cast<int>(counted({{TraceCall::truncate, 0, length, 0, 0, 0}, path_of(descriptor), "", nullptr, true}, [&] { return syscall(SYS_ftruncate, descriptor, length); }));
}
FILE* open_stream(const char* name, const char* path, const char* mode) {
  using Open = FILE* (*)(const char*, const char*);
  const auto real = reinterpret_cast<Open>(dlsym(RTLD_NEXT, name));
  if (armed == nullptr || std::strpbrk(mode, "wa") == nullptr) return real(path, mode);
  FILE* stream = nullptr;
  counted({{TraceCall::create, mode[0] == 'w', 0, 0, 0, 0}, absolute(AT_FDCWD, path), "", nullptr, true}, [&] {
    stream = real(path, mode);
    return int64_t{stream == nullptr ? -1 : 0};
  });
  return stream;
}
mode_t mode_of(int flags, va_list arguments) { return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0; }

__attribute__((constructor)) void read_environment() {
  const char* folder = std::getenv("MVRM_FAULT_FOLDER");
  const char *wanted = std::getenv("MVRM_FAULT_RANK"), *rank = std::getenv("RANK");
  if (folder == nullptr || (wanted != nullptr && (rank == nullptr || std::strcmp(wanted, rank) != 0))) return;
  std::strncpy(from_environment.folder, folder, sizeof from_environment.folder - 1);
  const char *at = std::getenv("MVRM_FAULT_AT"), *kind = std::getenv("MVRM_FAULT_KIND");
  from_environment.at = at == nullptr ? 0 : std::atoll(at);
  const std::string name = kind == nullptr ? "kill" : kind;
  from_environment.kind = name == "kill" ? FaultKind::kill : name == "torn" ? FaultKind::torn : FaultKind::fail;
  from_environment.error = std::atoi(name.c_str());
  mvrm_fault_arm(&from_environment);
}
__attribute__((destructor)) void write_count() {
  const char* path = std::getenv("MVRM_FAULT_COUNT");
  if (path == nullptr || armed != &from_environment) return;
  const std::string text = std::to_string(from_environment.calls) + "\n";
  const int descriptor = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  static_cast<void>(syscall(SYS_write, descriptor, text.data(), text.size()));
  syscall(SYS_close, descriptor);
}

}  // namespace

extern "C" {

void mvrm_fault_arm(FaultPlan* plan) { armed = plan; }

ssize_t write(int descriptor, const void* bytes, size_t size) { return write_at(descriptor, bytes, size, 0, false); }
ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t offset) { return write_at(descriptor, bytes, size, offset, true); }
ssize_t pwrite64(int descriptor, const void* bytes, size_t size, off64_t offset) { return write_at(descriptor, bytes, size, offset, true); }
ssize_t writev(int descriptor, const iovec* parts, int count) {
  if (armed == nullptr) return syscall(SYS_writev, descriptor, parts, count);
  std::string joined;
  for (int i = 0; i < count; ++i) joined.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  return write_at(descriptor, joined.data(), joined.size(), 0, false);
}
int fsync(int descriptor) { return sync_of(descriptor, SYS_fsync); }
int fdatasync(int descriptor) { return sync_of(descriptor, SYS_fdatasync); }
int ftruncate(int descriptor, off_t length) noexcept { return truncate_to(descriptor, length); }
int ftruncate64(int descriptor, off64_t length) noexcept { return truncate_to(descriptor, length); }
int rename(const char* from, const char* to) noexcept { return rename_at(AT_FDCWD, from, AT_FDCWD, to); }
int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept { return rename_at(from_folder, from, to_folder, to); }
int mkdir(const char* path, mode_t mode) noexcept { return mkdir_at(AT_FDCWD, path, mode); }
int mkdirat(int folder, const char* path, mode_t mode) noexcept { return mkdir_at(folder, path, mode); }
int unlink(const char* path) noexcept { return unlink_at(AT_FDCWD, path, 0); }
int unlinkat(int folder, const char* path, int flags) noexcept { return unlink_at(folder, path, flags); }
int rmdir(const char* path) noexcept { return unlink_at(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char* path) noexcept {
  const int result = unlink_at(AT_FDCWD, path, 0);
  return result != 0 && (errno == EISDIR || errno == EPERM) ? unlink_at(AT_FDCWD, path, AT_REMOVEDIR) : result;
}
int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_at(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_at(AT_FDCWD, path, flags, mode);
}
int openat(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_at(folder, path, flags, mode);
}
int openat64(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_at(folder, path, flags, mode);
}
int statvfs(const char* path, struct statvfs* status) noexcept {
  using Ask = int (*)(const char*, struct statvfs*);
  const int result = reinterpret_cast<Ask>(dlsym(RTLD_NEXT, "statvfs"))(path, status);
  const FaultPlan* plan = armed;
  if (result != 0 || plan == nullptr || plan->free_bytes < 0 || !counts(*plan, absolute(AT_FDCWD, path))) return result;
  status->f_bavail = static_cast<fsblkcnt_t>(plan->free_bytes);
  status->f_frsize = 1;
  return 0;
}
FILE* fopen(const char* path, const char* mode) { return open_stream("fopen", path, mode); }
FILE* fopen64(const char* path, const char* mode) { return open_stream("fopen64", path, mode); }

}  // extern "C"
