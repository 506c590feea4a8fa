//! The `regain` command.

fn main() {}
