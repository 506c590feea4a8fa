//! Reading the configuration, showing it, and telling its mistakes.

use crate::harness::{Place, configuration};

const WRONG: &str = r#"adress = "127.0.0.1"
port = "many"
[[authProviders]]
type = "password"
[authProviders.emailHandlerConfig]
connectionString = "smtp://user:hunter2secret@localhost?poool=true"
resetTokenLifetime = "48h"
"#;

#[test]
fn all_mistakes_are_told_at_once_with_their_lines_and_without_secrets() {
    let place = Place::new();
    place.write("regain.toml", WRONG);
    for arguments in [
        &["check"][..],
        &["serve"],
        &["config", "show"],
        &["outbox", "list"],
        &["dev", "--config", "regain.toml"],
    ] {
        let told = place.run(arguments).misconfigured();
        for part in [
            "regain.toml:1: adress",
            "\"address\"",
            "regain.toml:2: port",
            "regain.toml:6",
            "poool",
            "from",
            "regain.toml:7",
        ] {
            assert!(told.contains(part), "{arguments:?} tells {part}:\n{told}");
        }
        assert!(told.ends_with(" mistakes in the configuration\n"), "{told}");
        assert!(!told.contains("hunter2secret"), "{told}");
    }
    assert!(!place.path("data").exists() && !place.path("regain-data").exists(), "nothing was started");
}

#[test]
fn show_tells_what_holds_and_hides_the_password() {
    let place = Place::with_relay("smtp://user:%%RELAY_PASSWORD%%@localhost?requireTLS=true");
    let variables = [("REGAIN_PORT", "8123"), ("RELAY_PASSWORD", "hunter2secret")];
    let shown = place.run_with(&["config", "show"], &variables, "");
    assert!(!format!("{shown:?}").contains("hunter2secret"), "{shown:?}");
    let shown = shown.ok();
    assert_eq!(shown.lines().next(), Some("# regain.toml, overridden by REGAIN_PORT"));
    for line in
        ["port = 8123", "minLength = 8", "user:***@localhost", "requireTLS=true", "noreply@regain.test"]
    {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
}

#[test]
fn without_a_file_the_environment_configures_or_the_way_to_one_is_told() {
    let place = Place::new();
    for command in ["serve", "check"] {
        let told = place.run(&[command]).misconfigured();
        assert!(told.contains("regain init DIR") && told.contains("--config FILE"), "{told}");
    }
    // What is logged is no setting.
    assert_eq!(place.run_with(&["config", "show"], &[("REGAIN_LOG", "debug")], "").code, Some(78));
    let shown = place.run_with(&["config", "show"], &[("REGAIN_PORT", "8123")], "").ok();
    assert!(
        shown.starts_with("# the environment alone: REGAIN_PORT\n") && shown.contains("port = 8123"),
        "{shown}"
    );
    let told = place.run_with(&["check"], &[("REGAIN_PROT", "8123")], "").misconfigured();
    assert!(told.contains("REGAIN_PROT") && told.contains("REGAIN_PORT"), "{told}");
}

#[test]
fn a_file_that_is_named_and_missing_is_told() {
    let told = Place::new().run(&["serve", "--config", "site.toml"]).misconfigured();
    assert!(told.contains("site.toml"), "{told}");
}

#[test]
fn json_is_read_as_well() {
    let place = Place::new();
    place.write("site.json", r#"{"port": 8123, "authProviders": [{"type": "password"}]}"#);
    assert!(place.run(&["config", "show", "--config", "site.json"]).ok().contains("port = 8123"));
}

#[test]
fn the_file_of_this_directory_is_found_in_each_format() {
    for (name, text) in [
        ("regain.toml", "port = 8123"),
        ("regain.yaml", "port: 8123"),
        ("regain.yml", "port: 8123"),
        ("regain.json", "{\"port\": 8123}"),
    ] {
        let place = Place::new();
        place.write(name, text);
        assert!(place.run(&["config", "show"]).ok().contains("port = 8123"), "{name}");
        place.write(name, "\"");
        let told = place.run(&["config", "show"]).misconfigured();
        assert!(told.starts_with(&format!("{name}:1: not readable at column ")), "{told}");
    }
}

#[test]
fn two_files_in_this_directory_are_told_and_none_is_chosen() {
    let place = Place::new();
    place.write("regain.toml", "port = 1");
    place.write("regain.yaml", "port: 2");
    let told = place.run(&["config", "show"]).misconfigured();
    assert!(told.contains("regain.toml and regain.yaml") && told.contains("--config FILE"), "{told}");
    assert!(place.run(&["config", "show", "--config", "regain.yaml"]).ok().contains("port = 2"));
}

#[test]
fn the_schema_is_json_and_needs_no_configuration() {
    let schema = Place::new().run(&["config", "schema"]).ok();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["port"]["default"], 9080);
}

#[test]
fn a_log_level_that_would_show_what_libraries_log_is_refused() {
    let place = Place::new();
    place.write("regain.toml", &configuration("smtp://localhost"));
    let told = place.run_with(&["check"], &[("REGAIN_LOG", "hyper=trace")], "").misconfigured();
    assert!(told.contains("REGAIN_LOG"), "{told}");
}

#[test]
fn what_is_typed_wrongly_has_an_exit_code_of_its_own() {
    let place = Place::new();
    for arguments in [&["srve"][..], &[], &["outbox", "show", "7"], &["outbox", "list", "--state", "lost"]] {
        assert_eq!(place.run(arguments).code, Some(2), "{arguments:?}");
    }
    assert_eq!(place.run(&["--version"]).ok(), concat!("regain ", env!("CARGO_PKG_VERSION"), "\n"));
}
