-- The days on which a month's trips begin; a null for trips without a pickup time.
SELECT DATE({pickup}) AS pickup_day, COUNT(*) AS trips
FROM {monthly}
GROUP BY pickup_day;
