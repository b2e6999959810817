-- Puts a month's rows in their place, in exchange for what stood there from the same file: all of it or nothing.
BEGIN TRANSACTION;

-- Months of a colour pass one after another: whoever looked before another month was merged has to look again.
-- Two transactions that change this row at the same time conflict, and BigQuery cancels one of them.
IF NOT EXISTS (
  SELECT 1 FROM {loads} WHERE colour = @colour AND table_mark = @table_mark AND filename IS NULL AND turn = @turn
) THEN
  SELECT ERROR(@overtaken);
END IF;
UPDATE {loads} SET turn = turn + 1
WHERE colour = @colour AND table_mark = @table_mark AND filename IS NULL AND turn = @turn;

-- The days are those of the file and of the version that it replaces, as constants: BigQuery reads no other day.
DELETE FROM {merged} WHERE filename = @filename AND {on_these_days};

-- Equal row ids have equal pickups, so a row that another file has too lies on one of these days. (A row that has only
-- a pickup and one that has only a dropoff can have equal ids; no published file that was seen has such rows.)
DELETE FROM {loads} WHERE colour = @colour AND filename = @filename;
INSERT INTO {loads} (colour, filename, table_mark, sha256, rows_in_file, strays, days, undated, kept_by, loaded_at)
SELECT
  @colour, @filename, @table_mark, @sha256, @rows_in_file, @strays, @days, @undated,
  ARRAY(
    SELECT AS STRUCT keeper.filename, MAX(earlier.sha256) AS sha256, COUNT(*) AS trips
    FROM {monthly} AS staged
    JOIN (SELECT DISTINCT unique_row_id, filename FROM {merged} WHERE filename != @filename AND {on_these_days})
      AS keeper ON keeper.unique_row_id = staged.unique_row_id
    LEFT JOIN {loads} AS earlier
      ON earlier.colour = @colour AND earlier.table_mark = @table_mark AND earlier.filename = keeper.filename
    GROUP BY keeper.filename
  ),
  CURRENT_TIMESTAMP();

INSERT INTO {merged} ({columns})
SELECT {columns}
FROM {monthly}
WHERE {on_these_days}
  AND unique_row_id NOT IN (SELECT unique_row_id FROM {merged} WHERE filename != @filename AND {on_these_days});

COMMIT TRANSACTION;
