//! regain-smtp
