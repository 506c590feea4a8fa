//! The configuration from outside: a text and an environment in, settings or mistakes out.

mod documents;
mod files;
mod mistakes;
mod overrides;
mod ros;
mod values;
mod yaml;

use std::path::Path;

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
    let environment = Environment::new(environment.iter().copied());
    load(Path::new("regain.toml"), text, &environment).map_err(lines)
}

fn toml(text: &str) -> Config {
    toml_with(text, &[]).unwrap_or_else(|mistakes| panic!("{}", mistakes.join("\n")))
}

fn json(text: &str) -> Result<Config, Vec<String>> {
    load(Path::new("regain.json"), text, &Environment::default()).map_err(lines)
}

fn yaml(text: &str) -> Result<Config, Vec<String>> {
    load(Path::new("regain.yaml"), text, &Environment::default()).map_err(lines)
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
