-- How many rows of a file stand in the merged table.
SELECT COUNT(*) AS trips
FROM {merged}
WHERE filename = @filename AND {on_these_days};
