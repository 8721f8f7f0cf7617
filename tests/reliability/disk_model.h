// SPDX-License-Identifier: Apache-2.0
// What a disk may hold after a power loss, from the trace of a job's calls: files whose bytes were synchronised, names whose folder was.
#pragma once
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/fault_shim.h"

namespace mvrm::test {

struct TracedCall { TraceHeader header; std::string path, second, bytes; };

inline std::vector<TracedCall> read_trace(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::vector<TracedCall> calls;
  for (TracedCall call; in.read(reinterpret_cast<char*>(&call.header), sizeof call.header); calls.push_back(call)) {
    call.path.resize(static_cast<size_t>(call.header.path));
    call.second.resize(static_cast<size_t>(call.header.second_path));
    call.bytes.resize(static_cast<size_t>(call.header.bytes));
    in.read(call.path.data(), call.header.path).read(call.second.data(), call.header.second_path).read(call.bytes.data(), call.header.bytes);
  }
  return calls;
}

enum class Survives {
  synchronised,   // nothing but synchronised bytes and names
  names,          // every name, but only synchronised bytes: a rename that overtakes its data
  half,           // every name, and the first half of the bytes that were not synchronised
  bytes,          // every byte written, but only synchronised names
};

// A tree in which folders and files are separate from their names. The root is there and synchronised.
class DiskModel {
 public:
  explicit DiskModel(const std::filesystem::path& root) : root_path_(root.string()) {}

  void apply(const TracedCall& call) {
    if (call.path == root_path_ && call.header.call != TraceCall::sync) return;
    switch (call.header.call) {
      case TraceCall::create: {
        auto& node = folder_of(call.path).now[name_of(call.path)];
        if (!node) node = std::make_shared<Node>();
        if (call.header.truncates != 0) node->bytes.clear();
        break;
      }
      case TraceCall::folder: {
        auto& node = folder_of(call.path).now[name_of(call.path)];
        node = std::make_shared<Node>();
        node->is_folder = true;
        break;
      }
      case TraceCall::write: {
        std::string& bytes = at(call.path).bytes;
        const auto offset = static_cast<size_t>(call.header.offset);
        bytes.resize(std::max(bytes.size(), offset + call.bytes.size()));
        bytes.replace(offset, call.bytes.size(), call.bytes);
        break;
      }
      case TraceCall::truncate: at(call.path).bytes.resize(static_cast<size_t>(call.header.offset)); break;
      case TraceCall::sync: {
        Node& node = at(call.path);
        node.synced = node.bytes;
        node.synced_names = node.now;
        break;
      }
      case TraceCall::rename: {
        const auto node = folder_of(call.path).now.at(name_of(call.path));
        folder_of(call.path).now.erase(name_of(call.path));
        folder_of(call.second).now[name_of(call.second)] = node;
        break;
      }
      case TraceCall::unlink:
      case TraceCall::remove_folder: folder_of(call.path).now.erase(name_of(call.path)); break;
    }
  }

  void materialise(const std::filesystem::path& folder, Survives what) const { write_folder(*root_, folder, what); }

 private:
  struct Node {
    bool is_folder = false;
    std::string bytes, synced;
    std::map<std::string, std::shared_ptr<Node>> now, synced_names;
  };
  static std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }
  Node& at(const std::string& path) const {
    Node* node = root_.get();
    for (const auto& part : std::filesystem::path(path.substr(std::min(path.size(), root_path_.size() + 1)))) node = node->now.at(part.string()).get();
    return *node;
  }
  Node& folder_of(const std::string& path) const { return at(path.substr(0, path.rfind('/'))); }
  static std::string surviving(const Node& node, Survives what) {
    if (what == Survives::bytes) return node.bytes;
    if (what != Survives::half) return node.synced;
    std::string bytes = node.bytes.substr(0, (node.bytes.size() + node.synced.size()) / 2);
    if (node.synced.size() == node.bytes.size()) bytes = node.bytes.substr(0, node.bytes.size() / 2) + node.synced.substr(node.bytes.size() / 2);
    return bytes;
  }
  static void write_folder(const Node& node, const std::filesystem::path& folder, Survives what) {
    std::filesystem::create_directories(folder);
    for (const auto& [name, child] : what == Survives::synchronised || what == Survives::bytes ? node.synced_names : node.now) {
      if (child->is_folder) write_folder(*child, folder / name, what);
      else std::ofstream(folder / name, std::ios::binary) << surviving(*child, what);
    }
  }
  std::string root_path_;
  std::shared_ptr<Node> root_ = std::make_shared<Node>();
};

}  // namespace mvrm::test
