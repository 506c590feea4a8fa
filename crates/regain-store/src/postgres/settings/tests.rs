use super::*;

fn read(url: &str) -> PostgresSettings {
    url.parse().unwrap()
}

fn refused(url: &str) -> SettingsError {
    url.parse::<PostgresSettings>().map(drop).unwrap_err()
}

#[test]
fn hosts_options_and_defaults_are_read() {
    let near = read("postgres://regain@localhost/accounts");
    assert_eq!(near.config.get_ssl_mode(), SslMode::Disable);
    assert_eq!(near.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    assert_eq!(near.config.get_connect_timeout(), Some(&CONNECT));
    assert_eq!(near.config.get_application_name(), Some("regain"));

    let far = read(
        "postgresql://regain:p%40ss@db1.example.org:5433,db2.example.org/accounts?target_session_attrs=read-write\
         &connect_timeout=7&application_name=mine&load_balance_hosts=random",
    );
    assert_eq!(far.config.get_hosts().len(), 2);
    assert_eq!(far.config.get_ports(), [5433, 5432]);
    assert_eq!(far.config.get_password(), Some(&b"p@ss"[..]));
    assert_eq!(far.config.get_ssl_mode(), SslMode::Require);
    assert_eq!(far.config.get_connect_timeout(), Some(&Duration::from_secs(7)));
    assert_eq!(far.config.get_application_name(), Some("mine"));
}

#[test]
fn whoever_waits_gives_each_server_its_time_and_a_process_that_starts_has_more() {
    let time = |url: &str, is_awaited| read(url).time_to_connect(is_awaited).as_secs();
    for (url, secs) in [
        ("postgres://u@db1.example.org/a", 5),
        ("postgres://u@db1.example.org,db2.example.org/a", 8),
        ("postgres://u@db1.example.org,db2.example.org/a?connect_timeout=1", 4),
        ("postgres://u@db1.example.org/a?connect_timeout=600", 30),
    ] {
        assert_eq!((time(url, true), time(url, false)), (secs, 30), "{url}");
    }
}

#[test]
fn a_server_that_is_not_on_this_machine_must_show_a_certificate() {
    for (url, mode) in [
        ("postgres://u@%2Fvar%2Frun%2Fpostgresql/a", SslMode::Disable),
        ("postgres://u@[::1]/a", SslMode::Disable),
        ("postgres://u@127.0.0.1,db.example.org/a", SslMode::Require),
        ("postgres://u@192.0.2.7/a", SslMode::Require),
        ("postgres://u@db.example.org/a?sslmode=verify-full", SslMode::Require),
        ("postgres://u@db.example.org/a?sslmode=prefer", SslMode::Prefer),
        ("postgres://u@db.example.org/a?sslmode=disable", SslMode::Disable),
    ] {
        assert!(read(url).config.get_ssl_mode() == mode, "{url}");
    }
    let file = read("postgres://u@db.example.org/a?sslrootcert=%2Fetc%2Fca.pem");
    assert!(file.roots == Roots::File(PathBuf::from("/etc/ca.pem")));
}

#[test]
fn what_is_not_supported_is_refused() {
    let unknown = |option: &str| SettingsError::Unknown(option.to_owned());
    assert_eq!(refused("mysql://u@localhost/a"), SettingsError::Scheme);
    assert_eq!(refused("postgres://u@localhost/a?passfile=x"), unknown("passfile"));
    assert_eq!(refused("postgres://u@localhost/a?sslcert=x"), unknown("sslcert"));
    assert_eq!(refused("postgres://u@localhost/a?Sslmode=require"), unknown("Sslmode"));
    // Pieces of a password in which somebody left an & as it is.
    for url in [
        "postgres://localhost/a?user=u&password=x&secret",
        "postgres://localhost/a?user=u&password=x&2secret=y",
    ] {
        assert_eq!(refused(url), unknown("of that name"));
    }
    assert_eq!(
        refused("postgres://u@localhost/a?sslmode=require&sslmode=disable"),
        SettingsError::Twice("sslmode".to_owned())
    );
    for url in [
        "postgres://u@localhost/a?sslmode=verify-ca",
        "postgres://u@localhost/a?sslmode=allow",
        "postgres://u@localhost/a?sslrootcert=",
        "postgres://u@localhost/a?target_session_attrs=read-only",
        "postgres://localhost/a",
        "postgres:///a?user=u",
    ] {
        assert!(matches!(refused(url), SettingsError::Value { .. }), "{url}");
    }
    for url in [
        "postgres://u@localhost:port/a",
        "postgres://u@localhost/a?connect_timeout=soon",
        "postgres://u@localhost/a?target_session_attrs=standby",
        "postgres://u@localhost/a?channel_binding=maybe",
    ] {
        assert!(matches!(refused(url), SettingsError::Unreadable(_)), "{url}");
    }
}

#[test]
fn an_at_in_an_option_is_refused_and_takes_nothing_for_the_user() {
    for url in [
        "postgres://db.example.org/a?user=u&password=hun@ter2",
        "postgres://db.example.org/a?user=u&password=hunter2&application_name=regain@web1",
        "postgres://%2Fvar%2Frun/a?user=u@b",
        "postgres:///a?host=db.example.org&user=u&sslrootcert=/etc/ca@b.pem",
    ] {
        assert_eq!(refused(url), SettingsError::At, "{url}");
    }
    let named = read("postgres://u:hunter2?x=1@db.example.org/a?application_name=regain@web1");
    assert_eq!(named.config.get_application_name(), Some("regain@web1"));
    assert_eq!(named.config.get_password(), Some(&b"hunter2?x=1"[..]));
}

#[test]
fn a_password_with_an_at_in_it_is_not_looked_for_as_a_server() {
    for url in [
        "postgres://u:hun@ter2@db.example.org/a",
        "postgres://u:hun@ter 2/x@127.0.0.1:5432/a?sslmode=disable",
        "postgres://u@x:hunter2@db.example.org/a",
        "postgres://u:hunter2@db.example.org/a@b",
    ] {
        assert_eq!(refused(url), SettingsError::SecondAt, "{url}");
    }
    let written = read("postgres://u%40x:hun%40ter2@db.example.org/a%40b");
    assert_eq!(written.config.get_user(), Some("u@x"));
    assert_eq!(written.config.get_password(), Some(&b"hun@ter2"[..]));
    assert_eq!(written.config.get_dbname(), Some("a@b"));
}

#[test]
fn a_password_is_never_shown() {
    for url in [
        "postgres://u:hunter2@db.example.org/a?sslmode=require",
        "postgres://u:hunter2:x@db.example.org/a?sslmode=require",
        "postgres://u:hunter2/x@db.example.org/a",
        "postgres://u:hunter2?x@db.example.org/a",
        "postgres://u@db.example.org/a?sslmode=require&password=hunter2",
    ] {
        let settings = read(url);
        assert!(settings.has_password());
        let shown = format!("{settings} {settings:?}");
        assert!(
            !shown.contains("hunter2") && shown.contains("***") && shown.contains("db.example.org"),
            "{shown}"
        );
    }
    let refused = [
        refused("postgres://u:hunter2@db.example.org:x/a"),
        refused("postgres://u:hunter2@db.example.org/a?secret=hunter2"),
        refused("postgres://u:1@hunter2@db.example.org:x/a"),
        refused("postgres://u:1@?hunter2@db.example.org/a"),
    ];
    assert!(refused.iter().all(|error| !error.to_string().contains("hunter2")), "{refused:?}");
    let given = read("postgres://u@db.example.org/a").with_password("hunter2");
    assert!(given.has_password() && !format!("{given:?}").contains("hunter2"));
}
