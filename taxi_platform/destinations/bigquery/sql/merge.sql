-- Step 4: replaces the rows of a file and its load record, all of it or nothing.
BEGIN TRANSACTION;

-- Merges of a colour are serialized: a merge that read the load log before another one committed starts again. Two
-- transactions that update this row at the same time conflict, and BigQuery cancels one of them. The monthly table
-- must still have the rows that were counted, since another run may have replaced it.
IF NOT EXISTS (
  SELECT 1 FROM {loads} WHERE colour = @colour AND table_mark = @table_mark AND filename IS NULL AND turn = @turn
) OR (SELECT TO_HEX(MD5({content})) FROM {monthly}) != @staged_content THEN
  SELECT ERROR(@overtaken);
END IF;
UPDATE {loads} SET turn = turn + 1
WHERE colour = @colour AND table_mark = @table_mark AND filename IS NULL AND turn = @turn;

-- The days are constants, so that BigQuery reads no other partition.
DELETE FROM {merged} WHERE filename = @filename AND {on_these_days};

INSERT INTO {merged} ({columns})
SELECT {columns}
FROM {monthly}
WHERE unique_row_id NOT IN (
  SELECT unique_row_id FROM {merged} WHERE filename != @filename AND unique_row_id IS NOT NULL AND {on_these_days}
);

DELETE FROM {loads} WHERE colour = @colour AND filename = @filename;
INSERT INTO {loads} (
  colour, filename, table_mark, version, sha256, rows_in_file, strays, days, undated, columns, kept_by, content,
  loaded_at
)
SELECT
  @colour, @filename, @table_mark, @version, @sha256, @rows_in_file, @out_of_month, @days, @undated, @columns,
  ARRAY(
    SELECT AS STRUCT other.filename, MAX(earlier.sha256) AS sha256, COUNT(*) AS trips
    FROM {monthly} AS staged
    JOIN (SELECT DISTINCT unique_row_id, filename FROM {merged} WHERE filename != @filename AND {on_these_days})
      AS other ON other.unique_row_id = staged.unique_row_id
    LEFT JOIN {loads} AS earlier
      ON earlier.colour = @colour AND earlier.table_mark = @table_mark AND earlier.filename = other.filename
    GROUP BY other.filename
  ),
  (SELECT {content} FROM {merged} WHERE filename = @filename AND {on_these_days}),
  CURRENT_TIMESTAMP();

COMMIT TRANSACTION;

SELECT * FROM {loads} WHERE colour = @colour AND table_mark = @table_mark;
