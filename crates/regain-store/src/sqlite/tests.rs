//! What the contract cannot ask for: grouping, failing, opening.
