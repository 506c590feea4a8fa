//! Keys of processes that share a database: made, turned, lost, and refused where they would disagree.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use regain::keys::{parse_public_key, parse_signing_key, parse_token_key};
use regain_core::{SigningKey, SigningKeys};
use regain_smtp::Phase;
use regain_smtp::testing::{Behaviour, Received, ScriptedServer};
use serde_json::{Value, json};

use crate::harness::{Place, Running, until};

/// Two sets of keys, `one` and `two`, each in a directory of its own.
fn with_two_sets(place: &Place) {
    for set in ["one", "two"] {
        place.run(&["keys", "generate", "--out", set]).ok();
    }
}

/// The variables of a process that works with one set and knows another.
fn works_with(current: &str, other: Option<&str>) -> Vec<(String, String)> {
    let mut variables = vec![
        ("REGAIN_KEYS__TOKEN_KEY__FILE".to_owned(), format!("{current}/token.key")),
        ("REGAIN_KEYS__SIGNING_KEY__FILE".to_owned(), format!("{current}/auth.key")),
    ];
    if let Some(other) = other {
        variables.push(("REGAIN_KEYS__OTHER_TOKEN_KEYS__0__FILE".to_owned(), format!("{other}/token.key")));
        variables.push(("REGAIN_KEYS__OTHER_PUBLIC_KEYS__0__FILE".to_owned(), format!("{other}/auth.pub")));
    }
    variables
}

fn borrowed(variables: &[(String, String)]) -> Vec<(&str, &str)> {
    variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn serve(place: &Place, current: &str, other: Option<&str>) -> Running {
    place.start(&["serve"], &borrowed(&works_with(current, other)))
}

/// What `serve` says where it does not start.
fn refused(place: &Place, current: &str, other: Option<&str>) -> String {
    place.run_with(&["serve"], &borrowed(&works_with(current, other)), "").misconfigured()
}

fn fingerprint(place: &Place, set: &str, file: &str) -> String {
    let text = fs::read_to_string(place.path(set).join(file)).unwrap();
    match file {
        "token.key" => parse_token_key(&text).ok().unwrap().fingerprint().to_string(),
        _ => parse_public_key(&text).ok().unwrap().fingerprint().to_string(),
    }
}

fn post(server: &Running, path: &str, json: &Value) -> Option<Value> {
    let (status, body) = server.request("POST", path, &json.to_string());
    (status == 200).then(|| serde_json::from_str(&body).unwrap())
}

/// Registers, and so posts a confirmation letter. Answers the session.
fn register(server: &Running, name: &str) -> String {
    let user = json!({ "password": "a long password", "register": true });
    let answer = post(server, "/auth", &json!({ "provider": "password", "data": name, "user_info": user }));
    answer.unwrap()["refresh_token"]["token"].as_str().unwrap().to_owned()
}

/// Trades a session for a user token, where it holds.
fn trade(server: &Running, session: &str) -> Option<String> {
    let answer = post(server, "/auth", &json!({ "provider": "realm", "data": session }))?;
    Some(answer["user_token"]["token"].as_str().unwrap().to_owned())
}

fn confirms(server: &Running, token: &str) -> bool {
    let action = json!({ "data": { "action": "confirm_email", "token": token } });
    post(server, "/auth/password/updateAccount", &action).is_some()
}

/// Whether a token was signed by that set.
fn is_signed_by(place: &Place, set: &str, token: &str) -> bool {
    let key: SigningKey =
        parse_signing_key(&fs::read_to_string(place.path(set).join("auth.key")).unwrap()).unwrap();
    SigningKeys::from(key).read(token).is_ok()
}

/// The token of the link in a mail.
fn token_in(mail: &Received) -> String {
    let text = mail.text().replace("=\r\n", "").replace("=3D", "=");
    let (_, rest) = text.split_once("token=").unwrap();
    rest[..64].to_owned()
}

#[test]
fn fresh_keys_are_printed_or_written_for_their_owner_alone_and_never_over_others() {
    let place = Place::new();
    let printed = place.run(&["keys", "generate"]).ok();
    let (token, signing) = printed.split_once('\n').unwrap();
    assert!(parse_token_key(token).is_ok() && parse_signing_key(signing).is_ok(), "{printed}");
    let alone = place.run(&["keys", "generate", "--token"]).ok();
    assert!(alone.trim_end() != token && alone.len() == 65, "{alone}");
    assert!(parse_signing_key(&place.run(&["keys", "generate", "--signing"]).ok()).is_ok());
    assert_eq!(
        fs::read_dir(place.path(".")).unwrap().count(),
        0,
        "nothing is written unless it is asked for"
    );

    let told = place.run(&["keys", "generate", "--out", "made/here"]).ok();
    for file in ["token.key", "auth.key", "auth.pub"] {
        let path = place.path("made/here").join(file);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
        assert!(told.contains(file), "{told}");
        let secret = fs::read_to_string(&path).unwrap();
        assert!(!told.contains(secret.lines().nth(1).unwrap_or(secret.trim_end())), "{told}");
    }
    let fingerprints = ["token.key", "auth.pub"].map(|file| fingerprint(&place, "made/here", file));
    assert!(fingerprints.iter().all(|fingerprint| told.contains(fingerprint)), "{told}");
    assert_eq!(fs::metadata(place.path("made/here")).unwrap().permissions().mode() & 0o777, 0o700);

    fs::remove_file(place.path("made/here/token.key")).unwrap();
    let told = place.run(&["keys", "generate", "--out", "made/here"]).wrong();
    assert!(told.contains("made/here/auth.key: is there already, and no key is ever overwritten"), "{told}");
    assert!(!place.path("made/here/token.key").exists(), "all or none");
    place.run(&["keys", "generate", "--token", "--out", "made/here"]).ok();
}

#[test]
fn a_process_with_other_keys_is_refused_and_leaves_everything_as_it_is() {
    let place = Place::with_relay("smtp://localhost");
    with_two_sets(&place);
    let (one, two) = (fingerprint(&place, "one", "token.key"), fingerprint(&place, "two", "token.key"));
    let server = serve(&place, "one", None);
    let session = register(&server, "ann@mail.test");
    drop(server);
    let public = fs::read_to_string(place.path("data/keys/auth.pub")).unwrap();
    let told = refused(&place, "two", None);
    let (own, in_force) = (fingerprint(&place, "two", "auth.pub"), fingerprint(&place, "one", "auth.pub"));
    for part in [
        &format!(
            "the token key {two} (keys.tokenKey, two/token.key) is not the one in force in this database, {one}"
        ),
        &format!("the signing key {own} (keys.signingKey, two/auth.key) is not the one in force"),
        &in_force,
        "keys.otherTokenKeys",
        "keys.otherPublicKeys",
        "regain keys accept",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    // Nor does one that would make its own.
    let told = place.run(&["serve"]).misconfigured();
    assert!(
        told.contains("data/keys/auth.key is not there") && told.contains("data/keys/token.key is not"),
        "{told}"
    );
    let mut files: Vec<_> =
        fs::read_dir(place.path("data/keys")).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["admin.json", "auth.pub"]);
    assert_eq!(fs::read_to_string(place.path("data/keys/auth.pub")).unwrap(), public);
    let again = serve(&place, "one", None);
    assert!(trade(&again, &session).is_some());
}

#[test]
fn check_and_show_tell_how_the_keys_stand_and_change_nothing() {
    let place = Place::with_relay("smtp://localhost");
    with_two_sets(&place);
    let (one, two) = (fingerprint(&place, "one", "token.key"), fingerprint(&place, "two", "token.key"));
    let ask = |command: &[&str], current: &str, other: Option<&str>| {
        place.run_with(command, &borrowed(&works_with(current, other)), "")
    };
    let show = |current, other| ask(&["keys", "show"], current, other).ok();
    assert!(show("one", None).contains("there is no database yet"));
    assert!(!place.path("data").exists());
    drop(serve(&place, "one", None));
    let shown = show("one", Some("two"));
    assert_eq!(shown.matches("in force in the database").count(), 2, "{shown}");
    assert!(shown.contains(&format!("{two}  taken   keys.otherTokenKeys[0]")), "{shown}");
    assert!(show("two", Some("one")).contains(&format!("takes the place of {one} at the next start")));
    assert!(show("two", None).contains(&format!("refused: {one} is in force")));
    let key = fs::read_to_string(place.path("one/token.key")).unwrap();
    assert!(!shown.contains(key.trim_end()), "{shown}");

    let check = |current, other| ask(&["check", "--offline"], current, other);
    assert!(
        check("one", None)
            .ok()
            .contains(&format!("token key {one} (keys.tokenKey, one/token.key): in force"))
    );
    assert!(check("two", Some("one")).ok().contains(&format!("takes the place of {one}")));
    let report = check("two", None);
    assert_eq!(report.code, Some(1), "{report:?}");
    assert!(report.stdout.contains(&format!("the token key {two}")), "{report:?}");
    let report = place.run(&["check", "--offline"]);
    assert!(
        report.code == Some(1) && report.stdout.contains("data/keys/token.key is not there"),
        "{report:?}"
    );
    fs::set_permissions(place.path("one/token.key"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(place.path("two/auth.pub"), fs::Permissions::from_mode(0o646)).unwrap();
    let report = check("one", Some("two"));
    assert!(report.stdout.contains("everybody on this machine may read one/token.key"), "{report:?}");
    assert!(report.stdout.contains("everybody on this machine may write to two/auth.pub"), "{report:?}");
    assert_eq!(show("one", Some("two")), shown, "all that asking has changed nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_turned_and_links_sessions_and_waiting_mails_go_on() {
    let relay = ScriptedServer::start().await;
    let place = Place::with_relay(&relay.url());
    with_two_sets(&place);
    let server = serve(&place, "one", None);
    let old_session = register(&server, "ann@mail.test");
    let old_link = token_in(&relay.wait_for_messages(1).await[0]);
    // Bob's mail is made, and waits.
    relay.on(Phase::FinalDot, Behaviour::reply("451 4.7.1 later"));
    register(&server, "bob@mail.test");
    let attempted = || relay.received().into_iter().find(|mail| mail.to == ["bob@mail.test"]);
    let refused_mail = until("an attempt at Bob's mail", attempted);
    let waiting = || {
        let letters = place.run(&["outbox", "list", "--json", "--state", "waiting"]).ok();
        let letters: Vec<Value> = serde_json::from_str(&letters).unwrap();
        letters.into_iter().find(|letter| letter["attempts"] == 1)
    };
    let letter = until("Bob's letter to be put off", waiting);
    drop(server);

    // First every process learns of the new keys, then one after the other works with them.
    let server = serve(&place, "one", Some("two"));
    assert!(is_signed_by(&place, "one", &trade(&server, &old_session).unwrap()));
    drop(server);
    relay.behave();
    let server = serve(&place, "two", Some("one"));
    server.logs("another token key is in force from now on");
    assert!(is_signed_by(&place, "one", &old_session));
    let user_token = trade(&server, &old_session).unwrap();
    assert!(is_signed_by(&place, "two", &user_token) && !is_signed_by(&place, "one", &user_token));
    assert!(confirms(&server, &old_link));
    let new_session = register(&server, "cat@mail.test");
    assert!(is_signed_by(&place, "two", &new_session));
    let hasten = ["outbox", "retry", letter["id"].as_str().unwrap()];
    place.run_with(&hasten, &borrowed(&works_with("two", Some("one"))), "").ok();
    let bobs = || relay.messages().into_iter().find(|mail| mail.to == ["bob@mail.test"]);
    let delivered = until("Bob's mail", bobs);
    assert_eq!(delivered.text(), refused_mail.text(), "not a byte is another");
    assert!(confirms(&server, &token_in(&delivered)));
    drop(server);

    // One that is late starts nevertheless, turns nothing back, and takes what the others make.
    let late = serve(&place, "one", Some("two"));
    late.logs("this process works with a token key that was in force before");
    assert!(trade(&late, &new_session).is_some());
    drop(late);
    assert!(refused(&place, "one", None).contains("does not know that one"));

    // Once the old keys are taken no more, what they have signed has ended, and so has their turn.
    let server = serve(&place, "two", None);
    assert!(trade(&server, &old_session).is_none() && trade(&server, &new_session).is_some());
    drop(server);
    let told = refused(&place, "one", Some("two"));
    assert!(told.contains("do not take it any more") && !told.contains("keys.otherTokenKeys"), "{told}");
}

#[test]
fn lost_keys_are_given_up_by_the_operator_alone_and_while_nothing_runs() {
    let place = Place::with_relay("smtp://localhost");
    assert!(place.run(&["keys", "accept"]).wrong().contains("there is no database"));
    let server = place.start(&["serve"], &[]);
    let session = register(&server, "ann@mail.test");
    let lost = parse_public_key(&fs::read_to_string(place.path("data/keys/auth.pub")).unwrap()).ok().unwrap();
    fs::remove_file(place.path("data/keys/auth.key")).unwrap();
    let told = place.run(&["keys", "accept"]).wrong();
    assert!(told.contains("another process"), "{told}");
    assert!(!place.path("data/keys/auth.key").exists());
    drop(server);
    assert!(place.run(&["serve"]).misconfigured().contains("data/keys/auth.key is not there"));
    assert!(place.run(&["keys", "admin-token"]).misconfigured().contains("data/keys/auth.key is not there"));
    let told = place.run(&["keys", "accept"]).ok();
    assert!(told.contains(&format!("is in force in place of {}", lost.fingerprint())), "{told}");
    assert!(told.contains("token key") && told.contains("was in force already"), "{told}");
    let server = place.start(&["serve"], &[]);
    assert!(trade(&server, &session).is_none());
    assert!(trade(&server, &register(&server, "bob@mail.test")).is_some());
    drop(server);
    let again = place.run(&["keys", "accept"]).ok();
    assert_eq!(again.matches("was in force already").count(), 2, "{again}");
}

#[test]
fn a_data_path_from_before_gets_its_keys_remembered_at_the_next_start() {
    let place = Place::with_relay("smtp://localhost");
    let server = place.start(&["serve"], &[]);
    let session = register(&server, "ann@mail.test");
    drop(server);
    let database = rusqlite::Connection::open(place.path("data/regain.db")).unwrap();
    let forget = "DELETE FROM meta WHERE key IN ('token_key', 'signing_key')";
    assert_eq!(database.execute(forget, ()).unwrap(), 2);
    drop(database);
    let report = place.run(&["check", "--offline"]);
    assert!(report.stdout.contains("the database remembers none yet"), "{report:?}");
    let server = place.start(&["serve"], &[]);
    assert!(trade(&server, &session).is_some());
    let report = place.run(&["keys", "show"]).ok();
    assert_eq!(report.matches("in force in the database").count(), 2, "{report}");
}
