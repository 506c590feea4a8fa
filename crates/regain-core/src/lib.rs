//! regain-core
