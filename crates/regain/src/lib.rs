//! regain

pub mod config;
pub mod mail;
