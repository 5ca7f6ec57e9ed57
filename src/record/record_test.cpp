#include "record/record.h"

#include <gtest/gtest.h>

namespace wb {
namespace {

TEST(Schema, IdDependsOnNamesTypesAndOrder) {
  const Schema a{{{"x", ColumnType::kNumber}, {"y", ColumnType::kText}}};
  const Schema swapped{{{"y", ColumnType::kText}, {"x", ColumnType::kNumber}}};
  const Schema retyped{{{"x", ColumnType::kText}, {"y", ColumnType::kText}}};
  EXPECT_EQ(a.id(), Schema(a).id());
  EXPECT_NE(a.id(), swapped.id());
  EXPECT_NE(a.id(), retyped.id());
  EXPECT_EQ(a.index_of("y"), 1);
  EXPECT_EQ(a.index_of("z"), -1);
}

TEST(Batch, RowsAreCopiedColumnByColumn) {
  const Schema schema{{{"x", ColumnType::kNumber}, {"who", ColumnType::kText}}};
  Batch from = Batch::with_schema(schema);
  from.columns[0].numbers = {1.5, 2};
  from.columns[1].texts = {"a", "b"};
  from.event_time_ms = {10, 20};
  Batch to = Batch::with_schema(schema);
  to.append_row_of(from, 1);
  EXPECT_EQ(to.row_text(0), "x=2 who=b");
  EXPECT_EQ(to.event_time_ms[0], 20);
}

}  // namespace
}  // namespace wb
