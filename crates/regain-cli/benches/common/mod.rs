//! What the benches share: the load, processes that serve or weigh something, and tables of rounds. Holds nothing that
//! only one of them needs.

pub(crate) mod load;
pub(crate) mod null;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod report;
