// SPDX-License-Identifier: Apache-2.0
#include <mvrm/config/yaml_reader.h>
#include <mvrm/core/files.h>

#include "node.h"
#include "yaml_tree.h"

namespace mvrm::config {
namespace {

NodePtr empty_map(const Place& place) {
  auto node = std::make_shared<Node>();
  node->kind = Node::Kind::map;
  node->place = place;
  return node;
}

NodePtr merged(const NodePtr& below, const NodePtr& above) {
  if (below->kind != Node::Kind::map) return above;
  if (above->kind == Node::Kind::null) return below;   // a group whose keys are all commented out
  if (above->kind != Node::Kind::map) return above;
  auto result = std::make_shared<Node>(*below);
  for (const Entry& entry : above->entries) {
    bool known = false;
    for (Entry& old : result->entries) {
      if (old.key != entry.key) continue;
      old = {entry.key, entry.place, merged(old.value, entry.value)};
      known = true;
    }
    if (!known) result->entries.push_back(entry);
  }
  return result;
}

NodePtr mapping_root(std::string_view text, const std::string& name) {
  const Place start{.source = name, .line = 1, .column = 1};
  if (text.size() > kMaxFileBytes) throw error_at(start, "", "larger than the limit of " + std::to_string(kMaxFileBytes) + " bytes");
  NodePtr root = parse_yaml(text, start);
  if (root->kind != Node::Kind::map) throw error_at(root->place, "", "the file must be a mapping of keys to values");
  return root;
}

NodePtr load_file(const std::filesystem::path& path) {
  std::string text;
  try {
    text = core::read_file(path, kMaxFileBytes);
  } catch (const core::Error& cause) {   // a configuration that isn't there is a mistake in the command, not a broken disk
    throw core::ConfigError(cause.what());
  }
  return mapping_root(text, path.string());
}

NodePtr override_value(std::string value, const Place& place) {
  value.erase(0, value.find_first_not_of(" \n"));
  value.erase(value.find_last_not_of(" \n") + 1);
  if (!value.empty() && std::string_view("{[\"'").find(value.front()) != std::string_view::npos) {
    // Behind a key: at the root the parser would take an unclosed "[1" for the start of one.
    const NodePtr map = parse_yaml("value: " + value, place);
    if (map->kind != Node::Kind::map || map->entries.size() != 1) throw error_at(place, "", "not one value: '" + shown(value) + "'");
    return map->entries.front().value;
  }
  auto node = std::make_shared<Node>();
  node->place = place;
  node->kind = value == "null" || value == "~" ? Node::Kind::null : Node::Kind::scalar;
  node->text = value;
  return node;
}

// "a.b=value" as the tree {a: {b: value}}.
NodePtr override_tree(const std::string& text) {
  const size_t equals = text.find('=');
  const Place whole{.source = "--set '" + shown(text) + "'"};
  if (text.size() > kMaxFileBytes) throw error_at(whole, "", "too long");
  check_text(text, whole);
  if (equals == std::string::npos) throw error_at(whole, "", "expected key.path=value");
  const std::string path = text.substr(0, equals);
  const Place place{.source = "--set " + path};
  NodePtr tree = override_value(text.substr(equals + 1), place);
  int depth = 0;
  for (size_t end = path.size(), dot = 0; dot != std::string::npos; end = dot) {   // from the last key to the first
    dot = end == 0 ? std::string::npos : path.rfind('.', end - 1);
    const size_t begin = dot == std::string::npos ? 0 : dot + 1;
    if (begin == end) throw error_at(whole, "", "an empty key in '" + shown(path) + "'; expected key.path=value");
    if (++depth > kMaxDepth) throw error_at(whole, "", "nested deeper than " + std::to_string(kMaxDepth) + " levels");
    auto parent = std::make_shared<Node>();
    parent->kind = Node::Kind::map;
    parent->place = place;
    parent->entries.push_back({path.substr(begin, end - begin), place, tree});
    tree = parent;
  }
  return tree;
}

}  // namespace

Document parse(std::string_view text, const std::string& name) { return {mapping_root(text, name), name}; }

Document load(const std::vector<std::filesystem::path>& files, const std::vector<std::string>& overrides) {
  std::string origin;
  for (const auto& file : files) origin.append(origin.empty() ? "" : ", ").append(file.string());
  if (origin.empty()) origin = "configuration";
  NodePtr root = empty_map({.source = origin});
  for (const auto& file : files) root = merged(root, load_file(file));
  for (const auto& text : overrides) root = merged(root, override_tree(text));
  return {root, origin};
}

}  // namespace mvrm::config
