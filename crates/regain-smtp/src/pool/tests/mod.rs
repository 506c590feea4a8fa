//! The rules of the guard over the lists, without and with connections. Deadlines that a test names are its own.

mod rules;
mod under_load;

use tokio::time::Instant;

use super::domain::Domain;
use super::guard::Work;
use super::job::{Job, Message};
use super::lists::Lists;
use super::*;

/// The end at which a caller waits.
type Outcome = oneshot::Receiver<Result<Accepted, SendError>>;

fn message_to(domain: &str) -> (Job, Outcome) {
    let envelope = Envelope { from: "noreply@example.org".into(), to: format!("ada@{domain}") };
    let mail = Mail { paths: envelope.paths().expect("valid"), message: b"hello".as_slice().into() };
    let (message, _, outcome) = Message::new(mail, Domain::of(&envelope.to), None);
    (Job::Message(Box::new(message)), outcome)
}

fn is_to(job: &Job, domain: &str) -> bool {
    job.domain() == Some(&Domain::of(domain))
}
