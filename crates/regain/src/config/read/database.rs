//! `database` and what belongs to it: where PostgreSQL is and who connects.

use std::fs;
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::Path;

use regain_store::PostgresSettings;

use super::super::Config;
use super::super::load::unreadable_for;
use super::super::reader::{Found, Section};
use super::put;

/// What `databaseConnections` may be.
pub(in super::super) const CONNECTIONS: RangeInclusive<usize> = 1..=1_000;
/// A longer file holds no password.
const LONGEST: usize = 1_024;

/// Reads the keys that begin with `database`.
pub(super) fn read(top: &mut Section<'_>, config: &mut Config) {
    let url = top.find("database");
    let password = top.find("databasePassword");
    let file = top.find("databasePasswordFile");
    put(
        &mut config.database_connections,
        top.find("databaseConnections").and_then(|found| found.integer(CONNECTIONS)),
    );
    let Some(url) = url else {
        for found in [password, file].into_iter().flatten() {
            found.mistake("belongs to database, which is not there");
        }
        return;
    };
    let Some(settings) = url.parse(|text| text.parse::<PostgresSettings>().map_err(|error| advice(&error)))
    else {
        return;
    };
    if settings.has_password()
        && let Some(found) = password.as_ref().or(file.as_ref())
    {
        found.mistake("is given although database has a password in it; leave one of them out");
        return;
    }
    let given = match (&password, &file) {
        (Some(_), Some(file)) => {
            file.mistake("is given beside databasePassword; leave one of them out");
            return;
        }
        (Some(password), None) => password.text().map(|text| text.into_owned()),
        (None, Some(found)) => match found.path().and_then(|path| Some((read_file(found, &path)?, path))) {
            Some((text, path)) => {
                config.database_password_file = Some(path);
                Some(text)
            }
            None => return,
        },
        (None, None) => None,
    };
    config.database = Some(match given {
        Some(password) => settings.with_password(&password),
        None => settings,
    });
}

fn advice(error: &regain_store::SettingsError) -> String {
    match error {
        regain_store::SettingsError::Scheme => "is no URL of a PostgreSQL database; write for example \
            \"postgres://regain@db.example.org/regain\", or leave it out: then it is regain.db under dataPath"
            .to_owned(),
        error => format!("is no URL that Regain can use: {error}"),
    }
}

/// The first line of the file, which is how passwords are handed over in files.
fn read_file(found: &Found<'_>, path: &Path) -> Option<String> {
    let mut text = String::new();
    // No further than need be: it may be a device that never ends.
    let most = LONGEST as u64 + 1;
    match fs::File::open(path).and_then(|file| file.take(most).read_to_string(&mut text)).map(|_| text) {
        Ok(text) if text.len() > LONGEST => found.mistake("is too long to hold a password"),
        Ok(text) => match text.lines().next().filter(|line| !line.is_empty()) {
            Some(line) => return Some(line.to_owned()),
            None => found.mistake("has no password in its first line"),
        },
        Err(error) => found.mistake(format!("cannot be read: {}", unreadable_for(&error))),
    }
    None
}
