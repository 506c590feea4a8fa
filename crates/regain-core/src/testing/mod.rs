//! Fakes of the ports, and the contract that every store must pass. For tests, here and in crates that embed Regain.

mod clock;
pub mod contract;
pub mod desk;
mod mailer;
mod memory;
mod rng;

use crate::account::{Account, AccountId, AccountRecord};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::name::{KeyMode, Name};

pub use clock::FakeClock;
pub use mailer::ScriptedMailer;
pub use memory::MemoryStore;
pub use rng::CountingRng;

/// A plain account of that name, without a password.
#[expect(clippy::expect_used, reason = "for tests")]
pub fn account(name: &str) -> Account {
    let name = Name::parse(name, KeyMode::Folded).expect("a name");
    let record = AccountRecord::new(AccountId::from_stored("0123456789abcdef0123456789abcdef"), name);
    Account::from_record(record, Timestamp::from_millis(0))
}

/// A client at 192.0.2.1 with a browser.
pub fn caller() -> Caller {
    Caller {
        ip: std::net::IpAddr::from([192, 0, 2, 1]),
        agent: crate::caller::UserAgent::parse("Firefox on Linux"),
    }
}
