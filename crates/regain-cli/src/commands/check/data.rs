//! Whether the data path can be used, is private, and holds a database of ours. Makes nothing.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use regain::Config;
use regain::app::Database;
use regain::keys::{FoundKeys, name_of};
use regain_core::keys::{KeyKind, KeyStanding};
use regain_core::{KeyAgreement, KeyIntent, KeyOffer};
use rustix::fs::{Access, access};

use super::Finding;
use crate::commands::keys::words;

const DATA_PATH: &str = "data path";
const DATABASE: &str = "database";
const KEYS: &str = "keys";

/// What is found of the data path and the database. With `offline` one on another machine is not asked.
pub(super) async fn findings(config: &Config, offline: bool) -> Vec<Finding> {
    let path = &config.data_path;
    let mut findings = Vec::new();
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_dir() => {
            return vec![Finding::problem(DATA_PATH, format!("{} is no directory", path.display()))];
        }
        Ok(_) if access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_err() => {
            return vec![Finding::problem(
                DATA_PATH,
                format!("this user may not write to {}", path.display()),
            )];
        }
        Ok(_) => findings.push(Finding::ok(DATA_PATH, path.display().to_string())),
        Err(error) if error.kind() == ErrorKind::NotFound => findings.push(would_be_made(path)),
        Err(error) => {
            return vec![Finding::problem(
                DATA_PATH,
                format!("{} cannot be looked at: {error}", path.display()),
            )];
        }
    }
    let has_schema = if offline && Database::is_shared(config) {
        findings.push(Finding::note(
            DATABASE,
            format!("{} is not asked with --offline", Database::place_of(config)),
        ));
        false
    } else {
        let (finding, has_schema) = database(config).await;
        findings.push(finding);
        has_schema
    };
    findings.extend(keys(config, has_schema).await);
    findings
}

fn would_be_made(path: &Path) -> Finding {
    // A relative path of one part has the empty path above it.
    let above =
        path.ancestors().skip(1).map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
    match above.into_iter().find(|dir| dir.exists()) {
        Some(dir) if dir.is_dir() && access(dir, Access::WRITE_OK | Access::EXEC_OK).is_ok() => {
            Finding::ok(DATA_PATH, format!("{} will be made at the first start", path.display()))
        }
        Some(dir) => {
            let text =
                format!("{} cannot be made: this user may not write to {}", path.display(), dir.display());
            Finding::problem(DATA_PATH, text)
        }
        None => Finding::problem(DATA_PATH, format!("{} cannot be made", path.display())),
    }
}

/// A refusal has a line for each kind of key.
fn each_line(refusal: &str) -> Vec<Finding> {
    refusal.lines().map(|line| Finding::problem(KEYS, line)).collect()
}

/// Whether the keys can be read, and whether a start with them would agree with the database.
async fn keys(config: &Config, has_schema: bool) -> Vec<Finding> {
    let found = match FoundKeys::look(config) {
        Ok(found) => found,
        Err(error) => return each_line(&error.to_string()),
    };
    let offer = found.offer();
    // What is wrong with the database itself is told above.
    let agreement = if has_schema { asked(config, &offer).await.map(Some) } else { Ok(None) };
    let agreement = match agreement {
        Ok(agreement) => agreement,
        Err(error) => return vec![Finding::problem(KEYS, format!("{error:#}"))],
    };
    if let Some(Err(error)) = agreement.map(|agreement| found.judged(&agreement)) {
        return each_line(&error.to_string());
    }
    let tell = |kind: KeyKind| {
        let (name, source) = (name_of(kind), found.source(kind));
        let Some(own) = offer.of(kind).current else {
            return Finding::ok(KEYS, format!("{source} will be made at the next start"));
        };
        let standing = agreement.map(|agreement| agreement.of(kind));
        let end = standing.map(|standing| format!(": {}", words(standing))).unwrap_or_default();
        let text = format!("{name} {own} ({source}){end}");
        if let Some(KeyStanding::Behind { .. }) = standing {
            Finding::note(KEYS, text)
        } else {
            Finding::ok(KEYS, text)
        }
    };
    KeyKind::ALL.map(tell).into()
}

async fn asked(config: &Config, offer: &KeyOffer) -> anyhow::Result<KeyAgreement> {
    let database = Database::open_to_read(config).await?;
    let now = database.clock().now();
    let agreement = database.store().agree_on_keys(offer.clone(), KeyIntent::Ask, now).await;
    database.close().await;
    Ok(agreement?)
}

/// How the database is found, and whether it has the schema of this version.
async fn database(config: &Config) -> (Finding, bool) {
    let place = Database::place_of(config);
    let pending = Database::pending_migrations(config).await;
    let has_schema = matches!(pending, Ok(Some(0)));
    let finding = match pending {
        Ok(None) => Finding::ok(DATABASE, format!("{place} will be made at the first start")),
        Ok(Some(0)) => Finding::ok(DATABASE, format!("{place}, with the schema of this version")),
        Ok(Some(_)) => {
            Finding::ok(DATABASE, format!("{place} gets the schema of this version at the next start"))
        }
        Err(error) => Finding::problem(DATABASE, format!("{:#}", anyhow::Error::new(error))),
    };
    (finding, has_schema)
}
