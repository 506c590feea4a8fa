//! From a file's text and the environment to a [`Config`] or to all of its [`Mistakes`].

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::Config;
use super::environment::Environment;
use super::mistake::{Mistake, Mistakes, Place};
use super::read::read;
use super::reader::Context;
use super::tree::{Format, Node};

/// More syntax errors are consequences of the first.
const MOST_SYNTAX_ERRORS: usize = 20;

/// A larger file is no configuration of ours.
const LARGEST: usize = 1 << 20;

/// Reads a configuration.
///
/// `path` names the file in messages, says its format by its ending, and is what paths inside are relative to;
/// `text` is its content. The environment overrides it.
pub fn load(path: &Path, text: &str, environment: &Environment) -> Result<Config, Mistakes> {
    let tree = parse(path, text)?;
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut settings = Config::default();
    // Left out or written out, the default means the same directory.
    settings.data_path = folder.join(settings.data_path);
    let context = Context::new(&path.display().to_string(), folder, environment);
    let config = read(&context, Some(&tree), settings);
    context.finish().map(|()| config)
}

/// Reads a configuration file; that it cannot be read is a mistake like others.
pub fn load_file(path: &Path, environment: &Environment) -> Result<Config, Mistakes> {
    let text = text_of(path).map_err(|reason| whole_file(path, reason))?;
    load(path, &text, environment)
}

/// Reads a configuration that has no file: these settings, and what the environment overrides.
pub fn load_over(settings: Config, environment: &Environment) -> Result<Config, Mistakes> {
    let context = Context::new("", PathBuf::new(), environment);
    let config = read(&context, None, settings);
    context.finish().map(|()| config)
}

fn parse(path: &Path, text: &str) -> Result<Node, Mistakes> {
    if text.len() > LARGEST {
        return Err(whole_file(path, too_large()));
    }
    let format = Format::of(path).map_err(|reason| whole_file(path, reason.to_owned()))?;
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    format.read(text).map_err(|errors| {
        let mistakes = errors.into_iter().take(MOST_SYNTAX_ERRORS).map(|error| {
            mistake(path, error.line, format!("not readable at column {}: {}", error.column, error.reason))
        });
        Mistakes::of(mistakes.collect())
    })
}

/// Why a file cannot be read, in an operator's words.
pub(super) fn unreadable_for(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        kind => kind.to_string(),
    }
}

fn text_of(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("the file cannot be read: {}", unreadable_for(&error));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > LARGEST {
        return Err(too_large());
    }
    String::from_utf8(bytes).map_err(|_| "the file is not UTF-8 text".to_owned())
}

fn too_large() -> String {
    format!("the file is larger than {LARGEST} bytes")
}

fn whole_file(path: &Path, reason: String) -> Mistakes {
    Mistakes::of(vec![mistake(path, 1, reason)])
}

fn mistake(path: &Path, line: usize, reason: String) -> Mistake {
    let file = path.display().to_string().into();
    Mistake::new(Place::File { file, line }, "", reason)
}
