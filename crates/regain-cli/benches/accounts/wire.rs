//! Requests as a Realm client sends them, and scripts: files of requests that the load reads.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail};

use crate::common::load::{self, Requests};
use crate::data::PASSWORD;

/// Ends a request in a script; no request holds it.
const END: &str = "\0";

/// What the load is told to send: `cycle FILE` from somewhere in the script and round and round, `once FILE` each request
/// of it once, `resets` requests for resets, each for another address.
pub(crate) fn requests(which: &[&str]) -> Result<Requests> {
    match which {
        ["cycle", path] => {
            let script = read(path.as_ref())?;
            // Runs that follow each other are to meet other accounts.
            let next = AtomicUsize::new(usize::try_from(std::process::id())?.wrapping_mul(7_919));
            Ok(Arc::new(move || script.get(next.fetch_add(1, Ordering::Relaxed) % script.len()).cloned()))
        }
        ["once", path] => {
            let script = read(path.as_ref())?;
            let next = AtomicUsize::new(0);
            Ok(Arc::new(move || script.get(next.fetch_add(1, Ordering::Relaxed)).cloned()))
        }
        ["resets"] => Ok(load::resets()),
        _ => bail!("no such requests: {which:?}"),
    }
}

/// For the load: the script round and round.
pub(crate) fn cycle(script: &Path) -> [String; 2] {
    ["cycle".to_owned(), script.display().to_string()]
}

/// For the load: the script once.
pub(crate) fn once(script: &Path) -> [String; 2] {
    ["once".to_owned(), script.display().to_string()]
}

/// Writes a script.
pub(crate) fn write(path: &Path, requests: &[String]) -> Result<()> {
    Ok(std::fs::write(path, requests.join(END))?)
}

fn read(path: &Path) -> Result<Vec<String>> {
    Ok(std::fs::read_to_string(path)?.split(END).map(str::to_owned).collect())
}

/// Signs in to an account that there is.
pub(crate) fn sign_in(name: &str) -> String {
    load::post(
        "/auth",
        &format!(
            r#"{{"provider":"password","data":"{name}","user_info":{{"password":"{PASSWORD}","register":false}},"app_id":"bench"}}"#
        ),
    )
}

/// Sets a new password with the token of a mail.
pub(crate) fn complete_reset(token: &str) -> String {
    load::post(
        "/auth/password/updateAccount",
        &format!(
            r#"{{"data":{{"action":"complete_reset","token":"{token}","new_password":"another {PASSWORD}"}}}}"#
        ),
    )
}

/// Looks an account up with its own session.
pub(crate) fn look_up(id: &str, session: &str) -> String {
    format!(
        "GET /auth/users/{id} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
         Authorization: {session}\r\n\r\n"
    )
}
