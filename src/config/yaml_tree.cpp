// SPDX-License-Identifier: Apache-2.0
// The only file that includes yaml-cpp. It takes the parser's events, not its tree: that one keeps duplicate keys and cycles.
#include "yaml_tree.h"

#include <algorithm>
#include <map>
#include <mvrm/config/yaml_reader.h>
#include <sstream>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

namespace mvrm::config {
namespace {

class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const Place& source) : source_(source) {}
  NodePtr root() const { return root_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) throw error_at(place(mark), "", "a second document; a file holds one");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (awaits_key()) throw error_at(place(mark), path(), "a key must not be null");
    add(make(Node::Kind::null, mark), anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value) override {
    check_tag(mark, tag);
    if (awaits_key()) return take_key(mark, value, /*plain=*/tag == "?", anchor);
    auto node = make(Node::Kind::scalar, mark);
    node->text = value;
    add(node, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (awaits_key()) throw error_at(place(mark), path(), "a key must not be an alias");
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw error_at(place(mark), path(), "an alias inside the value that it stands for");
    count(mark, found->second->nodes);
    check_depth(mark, static_cast<int>(open_.size()) + found->second->height);
    add(found->second, 0);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    start(Node::Kind::sequence, mark, tag, anchor);
  }
  void OnSequenceEnd() override { finish(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    start(Node::Kind::map, mark, tag, anchor);
  }
  void OnMapEnd() override { finish(); }

  Place place(const YAML::Mark& mark) const {
    if (source_.line == 0 || mark.is_null()) return source_;
    return {source_.source, mark.line + 1, mark.column + 1};
  }

 private:
  struct Open {   // a map or sequence whose end is still to come
    std::shared_ptr<Node> node;
    YAML::anchor_t anchor = 0;
    bool has_key = false;
    std::string key = {};
    Place key_place = {};
  };

  bool awaits_key() const { return !open_.empty() && open_.back().node->kind == Node::Kind::map && !open_.back().has_key; }

  std::string path() const {
    std::string text;
    for (const Open& open : open_)
      if (open.has_key) text = join_path(text, open.key);
    return text;
  }

  void count(const YAML::Mark& mark, size_t nodes) {
    nodes_ += nodes;
    if (nodes_ > kMaxNodes) throw error_at(place(mark), path(), "more than " + std::to_string(kMaxNodes) + " values, aliases unfolded");
  }
  void check_depth(const YAML::Mark& mark, int depth) const {
    if (depth > kMaxDepth) throw error_at(place(mark), "", "nested deeper than " + std::to_string(kMaxDepth) + " levels");
  }
  void check_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (tag.empty() || tag == "?" || tag == "!") return;
    throw error_at(place(mark), path(), "the tag '" + shown(tag) + "' isn't supported; types come from the keys");
  }

  std::shared_ptr<Node> make(Node::Kind kind, const YAML::Mark& mark) {
    count(mark, 1);
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->place = place(mark);
    return node;
  }

  void take_key(const YAML::Mark& mark, const std::string& key, bool plain, YAML::anchor_t anchor) {
    Open& map = open_.back();
    const std::string key_path = join_path(path(), shown(key));
    if (anchor != 0) throw error_at(place(mark), key_path, "a key must not have an anchor");
    if (plain && key == "<<") {
      throw error_at(place(mark), path(), "merge keys (<<) aren't supported; write the keys out, or put them in a second --config file");
    }
    if (const Entry* first = map.node->find(key)) {
      throw error_at(place(mark), key_path, "duplicate key, first given at " + first->place.text());
    }
    map.has_key = true;
    map.key = key;
    map.key_place = place(mark);
  }

  void start(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    check_tag(mark, tag);
    if (awaits_key()) throw error_at(place(mark), path(), "a key must be a text, not a list or a map; is a bracket left open?");
    check_depth(mark, static_cast<int>(open_.size()) + 1);
    open_.push_back({.node = make(kind, mark), .anchor = anchor});
  }

  void finish() {
    const Open done = std::move(open_.back());
    open_.pop_back();
    add(done.node, done.anchor);
  }

  void add(const NodePtr& value, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = value;
    if (open_.empty()) {
      root_ = value;
      return;
    }
    Open& parent = open_.back();
    parent.node->nodes += value->nodes;
    parent.node->height = std::max(parent.node->height, value->height + 1);
    if (parent.node->kind == Node::Kind::sequence) {
      parent.node->items.push_back(value);
    } else {
      parent.node->entries.push_back({std::move(parent.key), std::move(parent.key_place), value});
      parent.has_key = false;
    }
  }

  Place source_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, NodePtr> anchors_;   // of finished values only, so a cycle shows as a missing one
  NodePtr root_;
  size_t nodes_ = 0;
  int documents_ = 0;
};

void hand_to(TreeBuilder& builder, const std::string& text) {
  std::istringstream in(text);
  YAML::Parser parser(in);
  while (parser.HandleNextDocument(builder)) {
  }
}

// yaml-cpp closes an open quote at the end of a text that ends in a line break, and so swallows every key behind it; it
// complains only when the break is missing. Other mistakes are left to the parse of the whole text.
void check_quotes(std::string_view text, const Place& place) {
  TreeBuilder builder(place);
  try {
    hand_to(builder, std::string(text.substr(0, text.find_last_not_of(" \t\r\n") + 1)));
  } catch (const YAML::Exception& cause) {
    if (cause.msg == YAML::ErrorMsg::EOF_IN_SCALAR) throw error_at(builder.place(cause.mark), "", "a quote is never closed");
  } catch (const core::ConfigError&) {   // told again, with the right words, by the parse of the whole text
  }
}

}  // namespace

NodePtr parse_yaml(std::string_view text, const Place& place) {
  check_text(text, place);
  check_quotes(text, place);
  TreeBuilder builder(place);
  try {
    hand_to(builder, std::string(text) + "\n");
  } catch (const YAML::Exception& cause) {
    throw error_at(builder.place(cause.mark), "", "not YAML: " + shown(cause.msg));
  }
  if (builder.root()) return builder.root();
  auto empty = std::make_shared<Node>();
  empty->kind = Node::Kind::map;
  empty->place = place;
  return empty;
}

}  // namespace mvrm::config
