//! The configuration from outside: a text and an environment in, settings or mistakes out.

#[cfg(feature = "postgres")]
mod database;
mod dkim;
mod documents;
mod files;
mod keys;
mod mistakes;
mod overrides;
mod ros;
mod values;
mod webhook;
mod yaml;

use std::path::Path;

use super::schema::tests::accepts;
use super::{Config, Environment, load};

/// The least that has mail.
const MAIL: &str = r#"
publicUrl = "https://accounts.example.org"
[[authProviders]]
type = "password"
[authProviders.emailHandlerConfig]
connectionString = "smtp://user:hunter2@smtp.example.com"
from = "sender@example.com"
"#;

fn toml_with(text: &str, environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    load_as("regain.toml", text, &Environment::new(environment.iter().copied()))
}

fn toml(text: &str) -> Config {
    toml_with(text, &[]).unwrap_or_else(|mistakes| panic!("{}", mistakes.join("\n")))
}

fn json(text: &str) -> Result<Config, Vec<String>> {
    load_as("regain.json", text, &Environment::default())
}

fn yaml(text: &str) -> Result<Config, Vec<String>> {
    load_as("regain.yaml", text, &Environment::default())
}

/// Loads a text; what loads must be good to the schema, too.
fn load_as(name: &str, text: &str, environment: &Environment) -> Result<Config, Vec<String>> {
    let file = Path::new(name);
    let config = load(file, text, environment).map_err(lines)?;
    accepts(file, text);
    Ok(config)
}

fn mistakes(text: &str) -> Vec<String> {
    toml_with(text, &[]).map(|_| ()).expect_err("this was accepted")
}

/// The only mistake in a text.
fn mistake(text: &str) -> String {
    let mut mistakes = mistakes(text);
    assert_eq!(mistakes.len(), 1, "{}", mistakes.join("\n"));
    mistakes.remove(0)
}

fn lines(mistakes: super::Mistakes) -> Vec<String> {
    mistakes.iter().map(ToString::to_string).collect()
}
