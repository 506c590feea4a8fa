//! Whether the data path can be used, is private, and holds a database of ours. Makes nothing.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use regain::Config;
use regain::app::Database;
use regain::keys::Keys;
use rustix::fs::{Access, access};

use super::Finding;

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
        Err(error) if error.kind() == ErrorKind::NotFound => return vec![would_be_made(path)],
        Err(error) => {
            return vec![Finding::problem(
                DATA_PATH,
                format!("{} cannot be looked at: {error}", path.display()),
            )];
        }
    }
    if offline && Database::is_shared(config) {
        findings.push(Finding::note(
            DATABASE,
            format!("{} is not asked with --offline", Database::place_of(config)),
        ));
    } else {
        findings.push(database(config).await);
    }
    findings.push(keys(path));
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

fn keys(data_path: &Path) -> Finding {
    match Keys::look(data_path) {
        Ok(missing) if missing.is_empty() => Finding::ok(KEYS, data_path.join("keys").display().to_string()),
        Ok(missing) => {
            let missing: Vec<String> = missing.iter().map(|path| path.display().to_string()).collect();
            Finding::ok(KEYS, format!("{} will be made at the next start", missing.join(", ")))
        }
        Err(error) => Finding::problem(KEYS, error.to_string()),
    }
}

async fn database(config: &Config) -> Finding {
    let place = Database::place_of(config);
    match Database::pending_migrations(config).await {
        Ok(None) => Finding::ok(DATABASE, format!("{place} will be made at the first start")),
        Ok(Some(0)) => Finding::ok(DATABASE, format!("{place}, with the schema of this version")),
        Ok(Some(_)) => {
            Finding::ok(DATABASE, format!("{place} gets the schema of this version at the next start"))
        }
        Err(error) => Finding::problem(DATABASE, format!("{:#}", anyhow::Error::new(error))),
    }
}
