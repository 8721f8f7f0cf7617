// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <mvrm/config/yaml_reader.h>

#include "node.h"
#include "suggestion.h"
#include "values.h"

namespace mvrm::config {
namespace {

struct TypeName {
  std::string operator()(const int64_t*) const { return "integer"; }
  std::string operator()(const uint64_t*) const { return "integer >= 0"; }
  std::string operator()(const double*) const { return "number"; }
  std::string operator()(const bool*) const { return "true or false"; }
  std::string operator()(const std::string*) const { return "text"; }
  std::string operator()(const std::filesystem::path*) const { return "path"; }
  std::string operator()(const std::optional<int64_t>*) const { return "integer or null"; }
  std::string operator()(const std::optional<double>*) const { return "number or null"; }
  std::string operator()(const std::vector<double>*) const { return "list of numbers"; }
  std::string operator()(const std::vector<std::string>*) const { return "list of texts"; }
  std::string operator()(const std::map<std::string, double>*) const { return "mapping of names to numbers"; }
  std::string operator()(const ScalarOrMap*) const { return "number, mapping of names to numbers, or word"; }
};

bool is_required(const Field& field) {
  return std::any_of(field.checks.begin(), field.checks.end(), [](const Check& c) { return c.kind == Check::Kind::required; });
}

std::string condition_text(const Check& check) {
  switch (check.kind) {
    case Check::Kind::required: return "";
    case Check::Kind::positive: return ", > 0";
    case Check::Kind::at_least: return ", >= " + number_text(check.low);
    case Check::Kind::in_range: return ", " + number_text(check.low) + " to " + number_text(check.high);
    case Check::Kind::one_of: return ": " + joined(check.words);
  }
  return "";
}

std::string cell(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|') escaped += '\\';
    escaped += c == '\n' ? ' ' : c;
  }
  return escaped;
}

// The default as it would be written in a file: "key: value" without the key.
std::string default_text(const Field& field) {
  if (is_required(field)) return "**required**";
  std::string line = yaml_of_fields({field});
  if (line.empty()) return "";
  line.erase(0, line.find(": ") + 2);
  line.pop_back();
  std::string text = "`";
  return text.append(cell(line)).append("`");
}

void write_table(const std::vector<Field>& fields, std::string& out) {
  out += "| key | type | default | meaning |\n|---|---|---|---|\n";
  for (const Field& field : fields) {
    if (!field.value) continue;
    std::string type = std::visit(TypeName{}, *field.value);
    for (const Check& check : field.checks) type += condition_text(check);
    out.append("| `").append(field.key).append("` | ").append(cell(type)).append(" | ").append(default_text(field));
    out.append(" | ").append(cell(field.help)).append(" |\n");
  }
}

void write(const std::vector<Field>& fields, const std::string& path, std::string& out) {
  if (std::any_of(fields.begin(), fields.end(), [](const Field& f) { return f.value.has_value(); })) write_table(fields, out);
  for (const Field& field : fields) {
    if (field.value) continue;
    const std::string full = join_path(path, field.key);
    out.append(out.empty() ? "" : "\n").append("## `").append(full).append("`: ").append(field.help).append("\n\n");
    write(field.fields, full, out);
  }
}

}  // namespace

std::string markdown_of_fields(const std::vector<Field>& fields) {
  std::string out;
  write(fields, "", out);
  return out;
}

}  // namespace mvrm::config
