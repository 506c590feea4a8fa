-- Until a table is first analyzed, the planner takes any index whose condition follows from a statement's, be it one that has all
-- open letters where it looks for one name. What a condition here asks for beyond the state is true of every letter; only what
-- reads many letters asks for it too, so that nothing else can be given these two.
DROP INDEX letters_oldest;
DROP INDEX letters_ended;
CREATE INDEX letters_oldest ON letters (posted) WHERE ended IS NULL AND posted >= 0;
CREATE INDEX letters_ended ON letters (state, ended) WHERE ended >= 0;
