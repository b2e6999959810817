-- Reads the rows of a file in the merged table, on the days of its record.
SELECT
  {content} AS content,
  COUNTIF(NOT {in_month}) AS out_of_month,
  -- Reads no bytes: the number of rows is metadata.
  (SELECT COUNT(*) FROM {merged}) AS rows_of_table,
  (
    SELECT COALESCE(SUM(rows_in_file - COALESCE((SELECT SUM(skipped.trips) FROM UNNEST(kept_by) AS skipped), 0)), 0)
    FROM {loads}
    WHERE colour = @colour AND table_mark = @table_mark AND filename IS NOT NULL
  ) AS rows_recorded
FROM {merged}
WHERE filename = @filename AND {on_these_days};
