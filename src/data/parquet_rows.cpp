// SPDX-License-Identifier: Apache-2.0
// The only file that sees Arrow. It is compiled without torch's include folder, in a target of its own.
#include "parquet_rows.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <arrow/util/utf8.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/file_reader.h>

#include <algorithm>

#include "row_keys.h"

namespace mvrm::data {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxPoolBytes = int64_t{1} << 29;
// What rows may take in memory: honest text grows twenty- to fiftyfold out of compression and dictionaries, a bomb a millionfold.
constexpr int64_t kMinRowsBytes = int64_t{1} << 28, kGrowth = 100;
constexpr int64_t kMaxRows = 10'000'000;
constexpr int64_t kRowsAtATime = 64;                     // of wide rows more would not fit the pool
constexpr int64_t kBytesOfRow = 256, kBytesOfCell = 64;  // what a row and a cell cost beside their text
constexpr int kMaxTypeDepth = 16;

// Columns that mean something to a data file; others are carried along where they can be.
bool is_meaningful(const std::string& name) { return sample_keys().contains(name) || pair_keys().contains(name); }

[[noreturn]] void fail(const fs::path& path, const std::string& why) { throw core::DataError(path.string() + ": " + why); }

std::string words_of(const arrow::Status& status) {
  if (status.IsOutOfMemory())
    return "needs more than " + std::to_string(kMaxPoolBytes >> 20) + " MiB to decode " + std::to_string(kRowsAtATime) + " rows";
  return "is not Parquet that can be read: " + excerpt(status.message(), 200);
}
void check(const fs::path& path, const arrow::Status& status) {
  if (!status.ok()) fail(path, words_of(status));
}
template <class Value>
Value check(const fs::path& path, arrow::Result<Value> result) {
  check(path, result.status());
  return std::move(result).ValueUnsafe();
}

bool has_json(const arrow::DataType& type, int depth = 0) {
  if (depth > kMaxTypeDepth) return false;
  switch (type.id()) {
    case arrow::Type::NA:
    case arrow::Type::BOOL:
    case arrow::Type::INT8:
    case arrow::Type::INT16:
    case arrow::Type::INT32:
    case arrow::Type::INT64:
    case arrow::Type::UINT8:
    case arrow::Type::UINT16:
    case arrow::Type::UINT32:
    case arrow::Type::UINT64:
    case arrow::Type::FLOAT:
    case arrow::Type::DOUBLE:
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
      return true;
    case arrow::Type::LIST:
    case arrow::Type::LARGE_LIST:
    case arrow::Type::FIXED_SIZE_LIST:
    case arrow::Type::STRUCT:
      for (const auto& field : type.fields()) {
        if (!has_json(*field->type(), depth + 1)) return false;
      }
      return true;
    default:
      return false;
  }
}

// Cells as JSON, with a count of what they cost in memory.
class CellReader {
 public:
  explicit CellReader(int64_t budget) : budget_(budget) {}
  Json read(const arrow::Array& array, int64_t i) {
    bytes_ += kBytesOfCell;
    if (array.IsNull(i)) return {};
    switch (array.type_id()) {
      case arrow::Type::BOOL:
        return static_cast<const arrow::BooleanArray&>(array).Value(i);
      case arrow::Type::INT8:
        return number<arrow::Int8Array>(array, i);
      case arrow::Type::INT16:
        return number<arrow::Int16Array>(array, i);
      case arrow::Type::INT32:
        return number<arrow::Int32Array>(array, i);
      case arrow::Type::INT64:
        return number<arrow::Int64Array>(array, i);
      case arrow::Type::UINT8:
        return number<arrow::UInt8Array>(array, i);
      case arrow::Type::UINT16:
        return number<arrow::UInt16Array>(array, i);
      case arrow::Type::UINT32:
        return number<arrow::UInt32Array>(array, i);
      case arrow::Type::UINT64:
        return number<arrow::UInt64Array>(array, i);
      case arrow::Type::FLOAT:
        return static_cast<double>(static_cast<const arrow::FloatArray&>(array).Value(i));
      case arrow::Type::DOUBLE:
        return number<arrow::DoubleArray>(array, i);
      case arrow::Type::STRING:
        return text(static_cast<const arrow::StringArray&>(array).GetView(i));
      case arrow::Type::LARGE_STRING:
        return text(static_cast<const arrow::LargeStringArray&>(array).GetView(i));
      case arrow::Type::LIST:
        return list<arrow::ListArray>(array, i);
      case arrow::Type::LARGE_LIST:
        return list<arrow::LargeListArray>(array, i);
      case arrow::Type::FIXED_SIZE_LIST:
        return list<arrow::FixedSizeListArray>(array, i);
      case arrow::Type::STRUCT:
        return object(static_cast<const arrow::StructArray&>(array), i);
      default:
        return {};  // has_json() let nothing else through
    }
  }
  bool is_over() const { return bytes_ > budget_; }
  void add_row() { bytes_ += kBytesOfRow; }

 private:
  template <class Array>
  static Json number(const arrow::Array& array, int64_t i) {
    return static_cast<const Array&>(array).Value(i);
  }
  Json text(std::string_view value) {
    if (!arrow::util::ValidateUTF8(value)) throw std::invalid_argument("holds text that is not UTF-8");
    bytes_ += static_cast<int64_t>(value.size());
    return std::string(value);
  }
  template <class Array>
  Json list(const arrow::Array& array, int64_t i) {
    const auto& lists = static_cast<const Array&>(array);
    Json result = Json::array();
    for (int64_t at = 0; at < static_cast<int64_t>(lists.value_length(i)); ++at) {
      if (is_over()) break;  // the caller sees it
      result.push_back(read(*lists.values(), lists.value_offset(i) + at));
    }
    return result;
  }
  Json object(const arrow::StructArray& structs, int64_t i) {
    Json result = Json::object();
    for (int f = 0; f < structs.num_fields(); ++f) result[structs.type()->field(f)->name()] = read(*structs.field(f), i);
    return result;
  }

  int64_t budget_, bytes_ = 0;
};

void add_leaves(const parquet::arrow::SchemaField& field, std::vector<int>& leaves) {
  if (field.children.empty()) leaves.push_back(field.column_index);
  for (const auto& child : field.children) add_leaves(child, leaves);
}

// Leaf numbers of the columns to read.
std::vector<int> columns_of(const fs::path& path, const parquet::arrow::FileReader& reader) {
  std::vector<int> leaves;
  std::set<std::string> names;
  for (const auto& column : reader.manifest().schema_fields) {
    const std::string& name = column.field->name();
    if (!names.insert(name).second) fail(path, "column '" + excerpt(name, 80) + "' is there twice");
    if (has_json(*column.field->type())) {
      add_leaves(column, leaves);
    } else if (is_meaningful(name)) {
      fail(path, "column '" + name + "' has type " + excerpt(column.field->type()->ToString(), 80) + ", which a data file can't hold");
    }
  }
  return leaves;
}

// A footer may claim what it likes; it must at least agree with itself.
void check_counts(const fs::path& path, const parquet::FileMetaData& metadata) {
  int64_t sum = 0;
  for (int g = 0; g < metadata.num_row_groups(); ++g) {
    const int64_t rows = metadata.RowGroup(g)->num_rows();
    if (rows < 0) fail(path, "row group " + std::to_string(g) + " claims " + std::to_string(rows) + " rows");
    sum += rows;
  }
  if (sum != metadata.num_rows()) {
    fail(path, "claims " + std::to_string(metadata.num_rows()) + " rows, its row groups claim " + std::to_string(sum));
  }
  if (sum > kMaxRows) fail(path, "claims " + std::to_string(sum) + " rows, more than are read from one file");
}

std::vector<Row> read_all(const fs::path& path, const OnProblem& on_problem) {
  arrow::CappedMemoryPool pool(arrow::default_memory_pool(), kMaxPoolBytes);
  parquet::ReaderProperties properties(&pool);
  properties.set_page_checksum_verification(true);
  parquet::ArrowReaderProperties arrow_properties;
  arrow_properties.set_batch_size(kRowsAtATime);
  arrow_properties.set_pre_buffer(false);
  parquet::arrow::FileReaderBuilder builder;
  check(path, builder.Open(check(path, arrow::io::ReadableFile::Open(path.string(), &pool)), properties));
  const auto reader = check(path, builder.memory_pool(&pool)->properties(arrow_properties)->Build());
  const auto metadata = reader->parquet_reader()->metadata();
  check_counts(path, *metadata);
  std::vector<int> groups(static_cast<size_t>(metadata->num_row_groups()));
  for (size_t g = 0; g < groups.size(); ++g) groups[g] = static_cast<int>(g);
  const auto batches = check(path, reader->GetRecordBatchReader(groups, columns_of(path, *reader)));
  arrow::util::InitializeUTF8();
  std::vector<Row> rows;
  const int64_t budget = std::max(kMinRowsBytes, kGrowth * static_cast<int64_t>(fs::file_size(path)));
  CellReader cells(budget);
  int64_t line = 0;
  while (true) {
    const std::shared_ptr<arrow::RecordBatch> batch = check(path, batches->Next());
    if (!batch) break;
    check(path, batch->Validate());
    for (int64_t i = 0; i < batch->num_rows(); ++i) {
      Row row{.object = Json::object(), .line = ++line};
      cells.add_row();
      attempt(on_problem, [&] {
        try {
          for (int c = 0; c < batch->num_columns(); ++c) row.object[batch->column_name(c)] = cells.read(*batch->column(c), i);
        } catch (const std::invalid_argument& error) {
          throw RowError(path, {.line = line, .id = {}, .cause = error.what()});
        }
        rows.push_back(std::move(row));
      });
      if (cells.is_over()) {
        fail(path, "its first " + std::to_string(line) + " rows take more than " + std::to_string(budget >> 20) +
                       " MiB: far more than the file holds");
      }
    }
  }
  if (line != metadata->num_rows())
    fail(path, "claims " + std::to_string(metadata->num_rows()) + " rows and holds " + std::to_string(line));
  return rows;
}

}  // namespace

bool reads_parquet() { return true; }

std::vector<Row> read_parquet_rows(const fs::path& path, const OnProblem& on_problem) {
  try {
    return read_all(path, on_problem);
  } catch (const core::Error&) {
    throw;
  } catch (const std::exception& error) {  // parquet::ParquetException, std::bad_alloc
    fail(path, std::string("is not Parquet that can be read: ") + excerpt(error.what(), 200));
  }
}

}  // namespace mvrm::data
