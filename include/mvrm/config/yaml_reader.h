// SPDX-License-Identifier: Apache-2.0
// YAML files and --set overrides into described structs, and back. The only way in; each error is a core::ConfigError
// "file:line:col: key.path: why; known keys: a, b; did you mean 'a'?" on one line, where an override's place is "--set key.path".
//
//   run::RunConfig config;                                                    // defaults
//   config::read(config::load({"base.yaml", "ddp.yaml"}, {"optimizer.lr=1e-5"}), config);
//   core::write_file_atomic(dir / "config.yaml", config::to_yaml(config));    // the resolved tree; reads back to the same struct
//
// Stricter than YAML where YAML surprises: no duplicate keys, merge keys, tags, tabs in the indentation, octal numbers, second
// documents or null values; a value's type comes from the field, so `no` is a word for a text and false for a bool.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mvrm/config/fields.h>
#include <string>
#include <string_view>
#include <vector>

namespace mvrm::config {

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 20;   // checked before a byte is parsed
constexpr size_t kMaxNodes = 10'000;                    // with aliases counted as often as they are used
constexpr int kMaxDepth = 64;

struct Node;   // src/config/node.h

// A parsed and merged tree that still knows where each value came from. Copies share it; immutable.
class Document {
 public:
  Document(std::shared_ptr<const Node> root, std::string origin) : root_(std::move(root)), origin_(std::move(origin)) {}
  const Node& root() const { return *root_; }
  const std::string& origin() const { return origin_; }   // what a message about a missing key names: "base.yaml, ddp.yaml"

 private:
  std::shared_ptr<const Node> root_;
  std::string origin_;
};

// Merges `files` left to right, then `overrides` "key.path=value": maps merge key by key, anything else is replaced.
// Keys may contain spaces; a value that starts with { [ " or ' is YAML, any other is taken as it stands.
Document load(const std::vector<std::filesystem::path>& files, const std::vector<std::string>& overrides);
// The same for one text; `name` stands for the file in messages.
Document parse(std::string_view text, const std::string& name);

// Assigns the fields that the document has; the others keep their values. Unknown keys and missing required ones throw.
void read_fields(const Document& document, const std::vector<Field>& fields);
std::string yaml_of_fields(const std::vector<Field>& fields);
std::string markdown_of_fields(const std::vector<Field>& fields);

template <class T>
void read(const Document& document, T& config) {
  read_fields(document, fields_of(config));
}

// Every key with its value, two spaces a level, in the order of description; an unset std::optional is null.
// Same values, same bytes.
template <class T>
std::string to_yaml(T config) {
  return yaml_of_fields(fields_of(config));
}

// A table a group: key, type and condition, default, help. The defaults are the values in `config`.
template <class T>
std::string to_markdown(T config) {
  return markdown_of_fields(fields_of(config));
}

}  // namespace mvrm::config
