-- SQLite plans without statistics. This keeps the numbers of both alike.
SELECT 1;
