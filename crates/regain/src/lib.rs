//! regain
