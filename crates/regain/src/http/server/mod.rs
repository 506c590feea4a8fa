//! The accept loop, for those who have no server of their own.
