//! The rules of the outbox, apart from where it is kept: when a request needs no letter, when a letter is tried
//! again, when a relay rests, and the courier's one step.

pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod courier;
pub mod crashes;
pub mod held;
pub mod relays;
pub mod repeats;
pub mod stats;
pub mod tally;
