//! Who else on this machine may read or write what must be private (ASVS 13.3.1).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use regain::Config;
use regain::config::Environment;
use regain_smtp::Settings;

/// Something that is open to others, as a sentence with what to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Exposed {
    /// Others may change it: whoever does takes over accounts.
    Writable(String),
    /// Others may read secrets in it.
    Readable(String),
}

/// What of the data path and of the configuration file is open to others. The directory itself may be entered by
/// others, as long as what is in it is private. What the environment gives does not stand in the file.
pub(crate) fn exposed(config: &Config, file: Option<&Path>, environment: &Environment) -> Vec<Exposed> {
    let data = &config.data_path;
    let mut exposed: Vec<Exposed> = look(data.clone(), false).into_iter().collect();
    for name in ["regain.db", "regain.db-wal", "keys", "keys/auth.key", "keys/token.key", "keys/admin.json"] {
        exposed.extend(look(data.join(name), true));
    }
    for key_file in config.keys.secret_files() {
        exposed.extend(look(key_file.clone(), true));
    }
    if let Some(password_file) = &config.database_password_file {
        exposed.extend(look(password_file.clone(), true));
    }
    for key_file in config.keys.public_files() {
        exposed.extend(look(key_file.clone(), false));
    }
    let dkim = config.email().map_or(&[][..], |email| &email.dkim);
    for key_file in dkim.iter().filter_map(|key| key.key_file.as_ref()) {
        exposed.extend(look(key_file.clone(), true));
    }
    if let Some(file) = file {
        let secrets = secrets_in_file(config, environment).join(", ");
        exposed.extend(look(file.to_owned(), !secrets.is_empty()).map(|exposed| match exposed {
            Exposed::Readable(text) => {
                Exposed::Readable(format!("{text}, since it holds secrets: {secrets}"))
            }
            writable @ Exposed::Writable(_) => writable,
        }));
    }
    exposed
}

/// The settings that hold a secret themselves, and no name of a file, by their keys.
fn secrets_in_file(config: &Config, environment: &Environment) -> Vec<&'static str> {
    let keys = &config.keys;
    let database = config.database.as_ref();
    let email = config.email();
    let has_dkim_key = email.is_some_and(|email| email.dkim.iter().any(|key| key.key_file.is_none()));
    let has_database_password = config.database_password_file.is_none()
        && database.is_some_and(|database| database.has_password() && !database.has_password_apart());
    let has_password_apart = config.database_password_file.is_none()
        && database.is_some_and(|database| database.has_password_apart());
    let holds = [
        ("database", "DATABASE", has_database_password),
        ("databasePassword", "DATABASE_PASSWORD", has_password_apart),
        ("keys.tokenKey", "KEYS__TOKEN_KEY", keys.token_key.iter().any(|key| key.file.is_none())),
        (
            "keys.otherTokenKeys",
            "KEYS__OTHER_TOKEN_KEYS",
            keys.other_token_keys.iter().any(|key| key.file.is_none()),
        ),
        ("keys.signingKey", "KEYS__SIGNING_KEY", keys.signing_key.iter().any(|key| key.file.is_none())),
        (
            "emailHandlerConfig.connectionString",
            "AUTH_PROVIDERS__0__EMAIL_HANDLER_CONFIG__CONNECTION_STRING",
            email.is_some_and(|email| email.relays.iter().any(Settings::has_password)),
        ),
        (
            "emailHandlerConfig.webhook",
            "AUTH_PROVIDERS__0__EMAIL_HANDLER_CONFIG__WEBHOOK__SECRET",
            email.is_some_and(|email| email.webhook.is_some()),
        ),
        (
            "emailHandlerConfig.dkim",
            "AUTH_PROVIDERS__0__EMAIL_HANDLER_CONFIG__DKIM__PRIVATE_KEY",
            has_dkim_key,
        ),
    ];
    let given: Vec<_> = environment.overrides().collect();
    let is_given = |variable: &str| given.iter().any(|name| name.strip_prefix("REGAIN_") == Some(variable));
    let stands = holds.into_iter().filter(|(_, variable, holds)| *holds && !is_given(variable));
    stands.map(|(key, ..)| key).collect()
}

fn look(path: PathBuf, is_secret: bool) -> Option<Exposed> {
    let mode = fs::metadata(&path).ok()?.permissions().mode();
    let path = path.display();
    // A group is often the owner's own, or the administrators'; everybody is everybody.
    if mode & 0o002 != 0 {
        return Some(Exposed::Writable(format!(
            "everybody on this machine may write to {path}: chmod o= it"
        )));
    }
    (is_secret && mode & 0o004 != 0)
        .then(|| Exposed::Readable(format!("everybody on this machine may read {path}: chmod o= it")))
}

#[cfg(test)]
mod tests {
    use regain::mail::WebhookSettings;

    use super::*;

    /// No variables.
    fn alone() -> Environment {
        Environment::new(std::iter::empty::<(String, String)>())
    }

    #[test]
    fn a_key_that_signs_mails_must_be_private_wherever_it_stands() {
        use regain::config::{DkimConfig, EmailHandlerConfig};
        use regain_smtp::{DkimKey, DkimSigner, Sender, Settings};
        const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
                           MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                           -----END PRIVATE KEY-----\n";
        let dir = tempfile::tempdir().unwrap();
        let (key, file) = (dir.path().join("dkim.pem"), dir.path().join("regain.toml"));
        for path in [&key, &file] {
            fs::write(path, "").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        let signer = DkimSigner::new("example.org", "main", DkimKey::from_pem(PEM).unwrap()).unwrap();
        let mut config = Config { data_path: dir.path().join("data"), ..Config::default() };
        for (key_file, name) in [(None, "regain.toml"), (Some(key), "dkim.pem")] {
            let relay = Settings::parse("smtp://localhost").unwrap();
            let mut email = EmailHandlerConfig::new(relay, Sender::parse("a@example.org").unwrap());
            email.dkim = vec![DkimConfig { signer: signer.clone(), key_file }];
            config.auth_provider.email_handler_config = Some(email);
            let told = exposed(&config, Some(&file), &alone());
            assert!(matches!(&told[..], [Exposed::Readable(text)] if text.contains(name)), "{told:?}");
        }
    }

    #[test]
    fn what_everybody_may_read_or_write_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { data_path: dir.path().to_owned(), ..Config::default() };
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        fs::write(dir.path().join("regain.db"), "").unwrap();
        set(dir.path(), 0o755);
        set(&dir.path().join("regain.db"), 0o600);
        assert_eq!(exposed(&config, None, &alone()), []);
        set(&dir.path().join("regain.db"), 0o644);
        assert!(
            matches!(&exposed(&config, None, &alone())[..], [Exposed::Readable(text)] if text.contains("regain.db"))
        );
        set(dir.path(), 0o777);
        assert!(matches!(
            &exposed(&config, None, &alone())[..],
            [Exposed::Writable(_), Exposed::Readable(_)]
        ));
    }

    #[test]
    fn the_file_of_the_databases_password_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        fs::write(&file, "").unwrap();
        let config = Config {
            data_path: dir.path().join("data"),
            database_password_file: Some(file.clone()),
            ..Config::default()
        };
        for (mode, count) in [(0o644, 1), (0o640, 0)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(exposed(&config, None, &alone()).len(), count, "{mode:o}");
        }
    }

    #[test]
    fn a_configuration_with_a_secret_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("regain.toml");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let mut config = Config { data_path: dir.path().to_owned(), ..Config::default() };
        assert_eq!(exposed(&config, Some(&file), &alone()), []);
        let webhook =
            WebhookSettings::new("https://mail.example.org", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        config.auth_provider.email_handler_config =
            Some(regain::config::EmailHandlerConfig::by_webhook(webhook.unwrap()));
        assert!(
            matches!(&exposed(&config, Some(&file), &alone())[..], [Exposed::Readable(text)] if text.contains("regain.toml"))
        );
    }

    #[test]
    fn a_secret_is_told_by_its_key_where_the_file_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("regain.toml");
        fs::write(&file, "").unwrap();
        let password = "hunter2";
        let url = "postgres://regain@localhost/regain";
        let database: regain_store::PostgresSettings = url.parse().unwrap();
        let relay = Settings::parse(&format!("smtp://regain:{password}@localhost")).unwrap();
        let sender = regain_smtp::Sender::parse("a@example.org").unwrap();
        let mut config = Config {
            data_path: dir.path().join("data"),
            database: Some(database.with_password(password)),
            ..Config::default()
        };
        config.auth_provider.email_handler_config =
            Some(regain::config::EmailHandlerConfig::new(relay, sender));
        let told = |config: &Config, mode, environment: &Environment| {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            match &exposed(config, Some(&file), environment)[..] {
                [] => String::new(),
                [Exposed::Readable(text)] => text.clone(),
                more => panic!("{more:?}"),
            }
        };
        let text = told(&config, 0o604, &alone());
        assert!(text.ends_with("secrets: databasePassword, emailHandlerConfig.connectionString"), "{text}");
        assert!(text.contains("regain.toml") && !text.contains(password), "{text}");
        assert_eq!(told(&config, 0o640, &alone()), "");
        let given = Environment::new([("REGAIN_DATABASE_PASSWORD", password)]);
        let text = told(&config, 0o604, &given);
        assert!(text.ends_with("secrets: emailHandlerConfig.connectionString"), "{text}");
        config.auth_provider.email_handler_config = None;
        assert_eq!(told(&config, 0o604, &given), "");
        config.database = Some(url.replace("regain@", "regain:hunter2@").parse().unwrap());
        let text = told(&config, 0o604, &alone());
        assert!(text.ends_with("secrets: database"), "{text}");
    }
}
