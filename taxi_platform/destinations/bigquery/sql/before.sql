-- Step 2: everything that a merge reads before its transaction, in one query, so that it is as of one moment.
SELECT
  ARRAY(SELECT record FROM {loads} AS record WHERE colour = @colour AND table_mark = @table_mark) AS loads,
  ARRAY(
    SELECT by_day
    FROM (
      SELECT
        DATE({pickup}) AS pickup_day,
        IF({pickup} IS NULL, DATE({dropoff}), NULL) AS dropoff_day,
        {dropoff} IS NULL AS no_dropoff,
        COUNT(*) AS trips
      FROM {monthly}
      GROUP BY pickup_day, dropoff_day, no_dropoff
    ) AS by_day
  ) AS days,
  -- Reads no bytes: the number of rows is metadata.
  (SELECT COUNT(*) FROM {merged}) AS rows_of_table;
