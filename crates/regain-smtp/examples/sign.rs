//! Signs a message with DKIM: `sign DOMAIN SELECTOR KEY.pem < message.eml > signed.eml`.
//!
//! With a number behind the key it makes as many signatures of that message and says how long one took.
#![expect(clippy::print_stderr, reason = "it tells people")]
#![expect(clippy::disallowed_methods, reason = "a program knows what time it is")]

use std::error::Error;
use std::io::{Read, Write};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use regain_smtp::{DkimKey, DkimSigner};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (domain, selector, key, rounds) = match &arguments[..] {
        [domain, selector, key] => (domain, selector, key, None),
        [domain, selector, key, rounds] => (domain, selector, key, Some(rounds.parse::<u32>()?)),
        _ => return Err("write: sign DOMAIN SELECTOR KEY.pem [ROUNDS] < message.eml".into()),
    };
    let signer = DkimSigner::new(domain, selector, DkimKey::from_pem(&std::fs::read_to_string(key)?)?)?;
    let mut message = Vec::new();
    std::io::stdin().lock().read_to_end(&mut message)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let Some(rounds) = rounds else {
        eprintln!("{} TXT {}", signer.record().name(), signer.record().value());
        let header = signer.sign(&message, now)?;
        let mut out = std::io::stdout().lock();
        out.write_all(header.as_bytes())?;
        return Ok(out.write_all(&message)?);
    };
    let started = Instant::now();
    for round in 0..rounds {
        signer.sign(&message, now + u64::from(round))?;
    }
    let took = started.elapsed();
    eprintln!(
        "{}: {:?} a signature of {} bytes, {:.0} in a second",
        signer.key().algorithm(),
        took / rounds.max(1),
        message.len(),
        f64::from(rounds) / took.as_secs_f64()
    );
    Ok(())
}
