-- Step 3: the rows that the merged table has of a loaded file, and the rows of the file that other files have.
SELECT
  {content} AS content,
  ARRAY(
    SELECT AS STRUCT other.filename AS filename, COUNT(*) AS trips
    FROM {monthly} AS staged
    JOIN (SELECT DISTINCT unique_row_id, filename FROM {merged} WHERE filename != @filename AND {on_these_days})
      AS other ON other.unique_row_id = staged.unique_row_id
    GROUP BY other.filename
  ) AS skipped
FROM {merged}
WHERE filename = @filename AND {on_these_days};
