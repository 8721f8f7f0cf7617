// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>

#include <mvrm/core/error.h>
#include <mvrm/dist/plugin.h>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace mvrm::dist {
namespace {

using DeviceCount = int (*)();
using MakeCommunicator = Communicator* (*)(const WorldConfig*);

std::string plugin_path() {
  if (const char* path = std::getenv("MVRM_CUDA_PLUGIN")) return path;
  std::error_code ignored;
  return (std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path() / "libmvrm_cuda.so").string();
}

std::string last_error() {
  const char* text = dlerror();
  return text != nullptr ? text : "unknown reason";
}

// A symbol of the plug-in, nullptr when it is not loaded. The dynamic linker remembers the handle, so no variable has to.
template <class Function>
Function find(const char* name) {
  void* plugin = dlopen(plugin_path().c_str(), RTLD_NOW | RTLD_NOLOAD);
  if (plugin == nullptr) return nullptr;
  auto function = reinterpret_cast<Function>(dlsym(plugin, name));
  dlclose(plugin);  // only the count of this look-up; load_cuda_plugin keeps its own
  return function;
}

}  // namespace

bool load_cuda_plugin(const core::Log& log) {
  if (dlopen("libcuda.so.1", RTLD_LAZY) == nullptr) {
    log.debug("no CUDA driver: running on the CPU");
    return false;
  }
  const std::string path = plugin_path();
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    log.warn("a CUDA driver is there but not " + path + ": running on the CPU; build it with scripts/build.sh cuda");
    return false;
  }
  // cuBLAS reads it as it starts; only with a workspace of fixed size does it repeat its sums to the bit.
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
  // RTLD_NOW: a missing NCCL or CUDA symbol is an answer here, not a crash in the middle of a run.
  if (dlopen(path.c_str(), RTLD_NOW) == nullptr) {
    log.warn("can't open " + path + ": " + last_error() + ": running on the CPU; fetch its libraries with MVRM_CUDA=1 scripts/setup.sh");
    return false;
  }
  return true;
}

int cuda_device_count() {
  const auto count = find<DeviceCount>("mvrm_cuda_device_count");
  return count != nullptr ? count() : 0;
}

std::unique_ptr<Communicator> connect_cuda(const WorldConfig& world) {
  const auto make = find<MakeCommunicator>("mvrm_cuda_make_communicator");
  if (make == nullptr) throw core::ConfigError("device cuda: libmvrm_cuda.so is not loaded; run on the CPU or see docs/cuda.md");
  return std::unique_ptr<Communicator>(make(&world));
}

}  // namespace mvrm::dist
