//! `database` and what belongs to it.

use std::fs;

use regain_store::PostgresSettings;

use super::*;
use crate::config::show;

const URL: &str = "database = 'postgres://regain@db.example.org/accounts?connect_timeout=5'";

fn database(config: &Config) -> &PostgresSettings {
    config.database.as_ref().expect("a database")
}

#[test]
fn without_one_it_is_a_file() {
    let config = toml("");
    assert!(config.database.is_none());
    assert_eq!(config.database_connections, 10);
}

#[test]
fn a_database_is_read_and_shown_without_its_password() {
    let config =
        toml("database = 'postgres://regain:hunter2@db1,db2:6432/accounts'\ndatabaseConnections = 40");
    assert!(database(&config).has_password());
    assert_eq!(config.database_connections, 40);
    let shown = show(&config);
    assert!(shown.contains("database = \"postgres://regain:***@db1,db2:6432/accounts\"\n"), "{shown}");
    assert!(shown.contains("databaseConnections = 40\n") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn the_password_may_come_from_elsewhere() {
    let with = |text: &str, environment: &[(&str, &str)]| {
        let config =
            toml_with(text, environment).unwrap_or_else(|mistakes| panic!("{}", mistakes.join("\n")));
        assert!(database(&config).clone() == database(&toml(URL)).clone().with_password("hunter2"));
    };
    with(&format!("{URL}\ndatabasePassword = 'hunter2'"), &[]);
    with(URL, &[("REGAIN_DATABASE_PASSWORD", "hunter2")]);
    with(&format!("{URL}\ndatabasePassword = '%%SECRET%%'"), &[("SECRET", "hunter2")]);
    let whole = "postgres://regain:hunter2@db.example.org/accounts?connect_timeout=5";
    let from_environment = toml_with("", &[("REGAIN_DATABASE", whole)]).expect("a configuration");
    assert!(database(&from_environment).has_password());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "hunter2\n").unwrap();
    with(&format!("{URL}\ndatabasePasswordFile = '{}'", file.display()), &[]);
    let shown = |text: &str| show(&toml(&format!("{URL}\n{text}")));
    let from_file = shown(&format!("databasePasswordFile = '{}'", file.display()));
    assert!(from_file.contains(&format!("databasePasswordFile = \"{}\"\n", file.display())), "{from_file}");
    assert_eq!(show(&toml(&from_file)), from_file);
    let apart = shown("databasePassword = 'hunter2'");
    assert!(apart.contains("databasePassword = \"***\"\n") && !apart.contains("hunter2"), "{apart}");
    assert!(!shown("").contains("databasePassword"), "there is none");
    with(URL, &[("REGAIN_DATABASE_PASSWORD_FILE", file.to_str().unwrap())]);
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    fs::write(&empty, "\nhunter2").unwrap();
    let password = "databasePassword = 'hunter2'";
    for (text, key) in [
        ("database = 'regain.db'".to_owned(), "database"),
        ("database = 'sqlite://regain.db'".to_owned(), "database"),
        ("database = 5".to_owned(), "database"),
        ("database = 'postgres://u@h/d?sslcert=x'".to_owned(), "database"),
        ("database = 'postgres://u@h/d?sslmode=verify-ca'".to_owned(), "database"),
        ("databaseConnections = 0".to_owned(), "databaseConnections"),
        (password.to_owned(), "databasePassword"),
        (format!("database = 'postgres://u:p@h/d'\n{password}"), "databasePassword"),
        (format!("{URL}\n{password}\ndatabasePasswordFile = 'x'"), "databasePasswordFile"),
        (format!("{URL}\ndatabasePasswordFile = '/nowhere/at/all'"), "databasePasswordFile"),
        (format!("{URL}\ndatabasePasswordFile = '{}'", empty.display()), "databasePasswordFile"),
    ] {
        let mistake = mistake(&text);
        assert!(mistake.contains(&format!(": {key}: ")) && !mistake.contains("hunter2"), "{text}: {mistake}");
    }
}
