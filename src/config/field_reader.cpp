// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <mvrm/config/yaml_reader.h>

#include "node.h"
#include "suggestion.h"
#include "values.h"
#include "yaml_tree.h"

namespace mvrm::config {
namespace {

std::vector<std::string> keys_of(const std::vector<Field>& fields) {
  std::vector<std::string> keys;
  for (const Field& field : fields) keys.push_back(field.key);
  return keys;
}

// Full names of the keys called `key` anywhere: someone who writes lr at the top means optimizer.lr.
void collect_namesakes(const std::vector<Field>& fields, const std::string& path, const std::string& key, std::vector<std::string>& found) {
  for (const Field& field : fields) {
    const std::string full = join_path(path, field.key);
    if (field.key == key) found.push_back(full);
    collect_namesakes(field.fields, full, key, found);
  }
}

class FieldReader {
 public:
  FieldReader(const Document& document, const std::vector<Field>& fields) : document_(document), all_(fields) {}

  // Unknown keys first, in the whole tree: a misspelt key explains a missing one better than the other way round.
  void check_keys(const Node& node, const std::vector<Field>& fields, const std::string& path) const {
    for (const Entry& entry : node.entries) {
      const auto field = std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.key == entry.key; });
      const std::string full = join_path(path, shown(entry.key));
      if (field == fields.end()) throw unknown_key(entry, fields, full);
      if (field->value) continue;
      if (entry.value->kind == Node::Kind::scalar || entry.value->kind == Node::Kind::sequence) {
        throw error_at(entry.value->place, full, "must be a mapping with keys out of: " + joined(keys_of(field->fields)));
      }
      check_keys(*entry.value, field->fields, full);
    }
  }

  void read(const Node& node, const std::vector<Field>& fields, const std::string& path) const {
    const Node nothing{.kind = Node::Kind::map};
    for (const Field& field : fields) {
      const Entry* entry = node.find(field.key);
      const std::string full = join_path(path, field.key);
      if (!field.value) {
        read(entry ? *entry->value : nothing, field.fields, full);
      } else if (entry) {
        read_value(*entry, full, field);
      } else if (std::any_of(field.checks.begin(), field.checks.end(), [](const Check& c) { return c.kind == Check::Kind::required; })) {
        throw core::ConfigError(document_.origin() + ": " + full + ": required key is missing (" + field.help + "); add it or pass --set " +
                                full + "=…");
      }
    }
  }

 private:
  core::ConfigError unknown_key(const Entry& entry, const std::vector<Field>& fields, const std::string& full) const {
    const std::vector<std::string> keys = keys_of(fields);
    auto near = nearest(entry.key, keys);
    std::vector<std::string> namesakes;
    if (!near) collect_namesakes(all_, "", entry.key, namesakes);
    if (namesakes.size() == 1) near = namesakes.front();
    return error_at(entry.place, full, "unknown key; known keys: " + joined(keys) + (near ? "; did you mean '" + *near + "'?" : ""));
  }

  const Document& document_;
  const std::vector<Field>& all_;
};

}  // namespace

void read_fields(const Document& document, const std::vector<Field>& fields) {
  const FieldReader reader(document, fields);
  reader.check_keys(document.root(), fields, "");
  reader.read(document.root(), fields, "");
}

}  // namespace mvrm::config
