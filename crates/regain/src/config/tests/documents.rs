//! The documents agree with the code.

use super::super::read::read;
use super::super::reader::Context;
use super::super::tree::Format;
use super::super::{EXAMPLE, show};
use super::*;

const GUIDE: &str = include_str!("../../../../../docs/configuration.md");

/// Every key that the code asks for, as `authProviders[0].type`.
fn known_keys() -> Vec<String> {
    let environment = Environment::default();
    let context = Context::new("regain.toml", "".into(), &environment);
    // One text from a file, so that the key of its path is asked for too.
    let with_a_file = EXAMPLE.replacen("# Example: htmlTemplate", "htmlTemplate", 1);
    let with_a_file = with_webhook(&with_a_file);
    let Ok(tree) = Format::Toml.read(&with_a_file) else { panic!("the example is no TOML") };
    read(&context, Some(&tree), Config::default());
    context.asked()
}

/// The example with the webhook that it shows, in place of its relay.
fn with_webhook(example: &str) -> String {
    let lines = example.lines().filter(|line| !line.starts_with("connectionString = "));
    lines.map(|line| line.strip_prefix("# In its place: ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_webhook_of_the_example_loads() {
    let config = toml(&with_webhook(EXAMPLE));
    let webhook = config.email().unwrap().webhook.as_ref().unwrap();
    assert_eq!((webhook.host(), webhook.secret_count()), ("mail.example.com", 1));
    assert_eq!(webhook.header_names().count(), 1);
}

#[test]
fn the_example_loads_as_it_is() {
    let config = toml(EXAMPLE);
    assert_eq!(config.email().unwrap().relays[0].host(), "smtp.example.com");
    assert_eq!(config.warnings(), Vec::<&str>::new());
}

#[test]
fn the_example_states_the_defaults() {
    let as_it_is = show(&toml(EXAMPLE));
    let mut stated = 0;
    for line in EXAMPLE.lines() {
        let Some(setting) = line.strip_prefix("# ") else { continue };
        let is_setting =
            setting.split_once(" = ").is_some_and(|(key, _)| key.chars().all(char::is_alphanumeric));
        if is_setting {
            let text = EXAMPLE.replace(line, setting);
            assert_eq!(show(&toml(&text)), as_it_is, "{setting} is not the default");
            stated += 1;
        }
    }
    assert!(stated >= 20, "only {stated} defaults found");
}

#[test]
fn the_examples_of_the_example_load() {
    for line in EXAMPLE.lines().filter(|line| !line.contains("file = ")) {
        let Some(setting) = line.strip_prefix("# Example: ") else { continue };
        let text = EXAMPLE.replace(line, setting);
        if let Err(mistakes) = toml_with(&text, &[]) {
            panic!("{setting}: {}", mistakes.join("\n"));
        }
    }
}

#[test]
fn the_yaml_of_the_guide_loads() {
    let blocks: Vec<&str> =
        GUIDE.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        yaml(block).unwrap_or_else(|mistakes| panic!("{}", mistakes.join("\n")));
    }
}

#[test]
fn the_example_and_the_guide_name_every_key() {
    let keys = known_keys();
    assert!(keys.len() > 35, "{keys:?}");
    for key in keys {
        let name = key.rsplit('.').next().unwrap();
        assert!(
            GUIDE.contains(&format!("`{key}`")) || GUIDE.contains(&format!("`{name}`")),
            "the guide lacks {key}"
        );
        assert!(EXAMPLE.contains(name), "the example lacks {key}");
    }
}
