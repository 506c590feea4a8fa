//! regain

pub mod config;
