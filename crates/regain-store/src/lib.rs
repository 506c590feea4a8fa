//! regain-store
