-- What made letters dear on SQLite is not dear here. This keeps the numbers of both alike.
SELECT 1;
