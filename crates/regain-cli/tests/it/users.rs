//! `regain users` and `regain keys`: accounts in the operator's hands, beside a running server.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use regain_smtp::testing::ScriptedServer;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Place, Ran, Running};

const PASSWORD: &str = "a long password";

fn users(place: &Place, arguments: &[&str]) -> Ran {
    place.run(&[&["users"], arguments].concat())
}

fn create(place: &Place, arguments: &[&str]) -> Ran {
    place.run_with(&[&["users", "create"], arguments].concat(), &[], PASSWORD)
}

fn set_password(place: &Place, account: &str, password: &str) -> Ran {
    place.run_with(&["users", "set-password", account], &[], password)
}

fn list(place: &Place, more: &[&str]) -> Vec<Value> {
    serde_json::from_str(&users(place, &[&["list", "--json"], more].concat()).ok()).unwrap()
}

fn shown(place: &Place, account: &str) -> Value {
    serde_json::from_str(&users(place, &["show", account, "--json"]).ok()).unwrap()
}

fn names(accounts: &[Value]) -> Vec<&str> {
    accounts.iter().map(|account| account["name"].as_str().unwrap()).collect()
}

/// Signs in; the session, where there is one.
fn sign_in(server: &Running, name: &str, password: &str) -> Option<String> {
    let json =
        json!({"provider": "password", "data": name, "user_info": {"password": password, "register": false}});
    let (status, answer) = server.request("POST", "/auth", &json.to_string());
    let answer: Value = serde_json::from_str(&answer).unwrap();
    (status == 200).then(|| answer["refresh_token"]["token"].as_str().unwrap().to_owned())
}

/// Asks for a change of password with a session, or with the administrator's token; the status of the answer.
fn change(server: &Running, session: &str, user_id: Option<&str>, password: &str) -> u16 {
    let json = json!({"user_id": user_id, "data": {"new_password": password}}).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "PUT /auth/password HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: {session}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        json.len()
    );
    stream.write_all(format!("{head}{json}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn accounts_are_made_shown_and_listed_and_nothing_shows_a_name_or_a_hash() {
    let place = Place::with_relay("smtp://localhost");
    let mut outputs = vec![
        create(&place, &["ann@example.org", "--id", "a", "--confirmed"]),
        create(&place, &["bob@example.org", "--id", "b", "--admin"]),
        users(&place, &["create", "cleo@example.org", "--no-password", "--id", "c"]),
        users(&place, &["disable", "cleo@example.org"]),
    ];
    assert_eq!(outputs[0].stdout, "account a was made\n");
    assert_eq!(names(&list(&place, &[])), ["a…@example.org", "b…@example.org", "c…@example.org"]);
    let all = list(&place, &["--reveal"]);
    assert_eq!(names(&all), ["ann@example.org", "bob@example.org", "cleo@example.org"]);
    let keys: Vec<&String> = all[0].as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["id", "provider", "name", "isAdmin", "isDisabled", "isEmailConfirmed", "passwordScheme", "created"]
    );
    assert_eq!(names(&list(&place, &["--admin"])), ["b…@example.org"]);
    assert_eq!(names(&list(&place, &["--disabled"])), ["c…@example.org"]);
    assert_eq!(names(&list(&place, &["--unconfirmed"])), ["b…@example.org", "c…@example.org"]);
    assert_eq!(names(&list(&place, &["--limit", "1"])), ["a…@example.org"]);
    let cut = users(&place, &["list", "--limit", "1"]);
    assert!(cut.stderr.contains("there may be more: go on with --after"), "{cut:?}");
    assert_eq!(users(&place, &["list"]).stderr, "");
    assert_eq!(names(&list(&place, &["--after", "a", "--limit", "1"])), ["b…@example.org"]);
    assert_eq!(names(&list(&place, &["--after", "bob@example.org"])), ["c…@example.org"]);
    let ann = shown(&place, "Ann@Example.org");
    assert_eq!(
        (&ann["id"], &ann["isEmailConfirmed"], &ann["generation"]),
        (&json!("a"), &json!(true), &json!(0))
    );
    assert_eq!(ann["passwordScheme"], "argon2id");
    assert_eq!(shown(&place, "c")["passwordScheme"], Value::Null);
    place.write("more.jsonl", r#"{"provider_id":"dora@example.org","metadata":{"boss":"eve@example.org"}}"#);
    let told = users(&place, &["show", "dora@example.org", "--reveal"]);
    outputs.push(users(&place, &["import", "more.jsonl"]));
    assert_eq!(told.wrong(), "regain: there is no account of this name or id\n");
    assert!(users(&place, &["show", "dora@example.org", "--reveal"]).ok().contains("eve@example.org"));
    for command in ["grant-admin", "revoke-admin", "disable", "enable"] {
        outputs.push(users(&place, &[command, "ann@example.org"]));
    }
    outputs.extend([
        set_password(&place, "ann@example.org", "another password"),
        users(&place, &["list"]),
        users(&place, &["list", "--json"]),
        users(&place, &["show", "ann@example.org"]),
        users(&place, &["show", "dora@example.org"]),
        users(&place, &["show", "dora@example.org", "--json"]),
        users(&place, &["delete", "ann@example.org", "--yes"]),
    ]);
    for output in outputs {
        let text = output.stdout.clone() + &output.stderr;
        for secret in ["ann@", "bob@", "cleo@", "dora@", "eve@", "$argon2", PASSWORD, "another password"] {
            assert!(!text.contains(secret), "{secret} in {output:?}");
        }
        output.ok();
    }
    assert_eq!(names(&list(&place, &[])), ["b…@example.org", "c…@example.org", "d…@example.org"]);
}

#[test]
fn what_cannot_be_made_is_told() {
    let place = Place::with_relay("smtp://localhost");
    create(&place, &["ann@example.org", "--id", "a"]).ok();
    let told = create(&place, &["Ann@Example.org"]).wrong();
    assert!(told.contains("of this name already") && !told.contains("ann@"), "{told}");
    assert!(create(&place, &["bob@example.org", "--id", "a"]).wrong().contains("of this id already"));
    assert_eq!(create(&place, &["bob@example.org", "--id", "a b"]).code, Some(2));
    assert_eq!(create(&place, &["bob@example.org", "--admin", "--no-password"]).code, Some(2));
    assert!(create(&place, &[""]).wrong().contains("must not be empty"));
    for (password, reason) in [
        ("", "must not be empty"),
        ("\n", "must not be empty"),
        ("short", "at least 8 characters"),
        ("two\nlines", "more than one line"),
        (&"x".repeat(1_025), "longer than 1024 bytes"),
    ] {
        let command = ["users", "create", "bob@example.org", "--admin"];
        let told = place.run_with(&command, &[], password).wrong();
        assert!(told.contains(reason), "{told}");
    }
    assert_eq!(list(&place, &[]).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_sessions_and_reset_links_and_the_owner_is_told() {
    let relay = ScriptedServer::start().await;
    let place = Place::with_relay(&relay.url());
    let server = place.start(&["serve"], &[]);
    create(&place, &["ann@mail.test", "--id", "a", "--confirmed"]).ok();
    let session = sign_in(&server, "ann@mail.test", PASSWORD).unwrap();
    let ask = json!({"provider_id": "ann@mail.test", "data": {"action": "reset_password"}});
    assert_eq!(server.request("POST", "/auth/password/updateAccount", &ask.to_string()).0, 200);
    let messages = relay.wait_for_messages(1).await;
    let token = token_in(&messages[0].data);

    assert!(
        set_password(&place, "ann@mail.test", "another password\n")
            .ok()
            .contains("account a has a new password")
    );
    assert_eq!(change(&server, &session, None, "one more password"), 401);
    assert_eq!(sign_in(&server, "ann@mail.test", PASSWORD), None);
    let complete =
        json!({"data": {"action": "complete_reset", "token": token, "new_password": "a third password"}});
    assert_eq!(server.request("POST", "/auth/password/updateAccount", &complete.to_string()).0, 403);
    let again = sign_in(&server, "ann@mail.test", "another password").unwrap();
    relay.wait_for_messages(2).await;
    let arguments = ["outbox", "list", "--json", "--purpose", "password_changed"];
    let notices: Vec<Value> = serde_json::from_str(&place.run(&arguments).ok()).unwrap();
    assert_eq!(notices.len(), 1);

    // Disabling ends what there is, and enabling brings nothing of it back.
    assert_eq!(users(&place, &["disable", "a"]).ok(), "account a is disabled\n");
    assert_eq!(users(&place, &["disable", "a"]).ok(), "account a is disabled already\n");
    assert_eq!(sign_in(&server, "ann@mail.test", "another password"), None);
    assert!(set_password(&place, "a", PASSWORD).wrong().contains("is disabled"));
    assert_eq!(users(&place, &["enable", "a"]).ok(), "account a is enabled\n");
    assert_eq!(change(&server, &again, None, "one more password"), 401);
    let last = sign_in(&server, "ann@mail.test", "another password").unwrap();

    assert!(users(&place, &["delete", "a"]).wrong().contains("--yes"));
    assert_eq!(users(&place, &["delete", "a", "--yes"]).ok(), "account a is deleted\n");
    assert_eq!(change(&server, &last, None, "one more password"), 401);
    assert!(users(&place, &["delete", "a", "--yes"]).wrong().contains("there is no account"));
}

/// The token of the one link in a mail.
fn token_in(mail: &[u8]) -> String {
    let text = String::from_utf8_lossy(mail).replace("=\r\n", "").replace("=3D", "=");
    let (_, after) = text.split_once("token=").unwrap();
    after.chars().take_while(char::is_ascii_hexdigit).collect()
}

#[test]
fn an_administrator_has_a_password_and_may_act_for_others_until_that_is_revoked() {
    let place = Place::with_relay("smtp://localhost");
    let server = place.start(&["serve"], &[]);
    create(&place, &["ann@example.org", "--id", "a"]).ok();
    users(&place, &["create", "bob@example.org", "--id", "b", "--no-password"]).ok();
    place.write("more.jsonl", r#"{"provider_id":"cleo","user_id":"c","password":null,"metadata":{"k":"v"}}"#);
    users(&place, &["import", "more.jsonl"]).ok();
    assert!(users(&place, &["grant-admin", "b"]).wrong().contains("has no password"));
    assert_eq!(users(&place, &["grant-admin", "a"]).ok(), "account a is an administrator's\n");
    let session = sign_in(&server, "ann@example.org", PASSWORD).unwrap();
    assert_eq!(change(&server, &session, Some("b"), "a new password"), 200);
    assert!(sign_in(&server, "bob@example.org", "a new password").is_some());
    assert_eq!(users(&place, &["revoke-admin", "a"]).ok(), "account a is no administrator's\n");
    assert_eq!(change(&server, &session, Some("b"), "another password"), 403);
    set_password(&place, "cleo", PASSWORD).ok();
    users(&place, &["grant-admin", "cleo"]).ok();
    let cleo = shown(&place, "cleo");
    assert_eq!((&cleo["isAdmin"], &cleo["metadata"]["k"]), (&json!(true), &json!("…")));
}

#[test]
fn an_account_is_never_guessed() {
    let place = Place::with_relay("smtp://localhost");
    place.write(
        "accounts.jsonl",
        "{\"provider_id\":\"x\",\"user_id\":\"1\"}\n{\"provider_id\":\"2\",\"user_id\":\"x\"}\n\
         {\"provider_id\":\"y\",\"user_id\":\"y\"}\n{\"provider\":\"realm\",\"provider_id\":\"z\",\"user_id\":\"3\"}\n",
    );
    users(&place, &["import", "accounts.jsonl"]).ok();
    let told = users(&place, &["disable", "x"]).wrong();
    assert!(told.contains("more than one account") && told.contains("1, x"), "{told}");
    assert_eq!(list(&place, &["--disabled"]).len(), 0);
    assert_eq!(users(&place, &["disable", "x", "--by-id"]).ok(), "account x is disabled\n");
    assert_eq!(shown(&place, "1")["isDisabled"], false);
    assert_eq!(shown(&place, "y")["id"], "y");
    assert_eq!(shown(&place, "z")["provider"], "realm");
    assert!(users(&place, &["show", "z", "--by-id"]).wrong().contains("no account of this id"));
    assert!(set_password(&place, "z", PASSWORD).wrong().contains("provider realm"));
}

#[test]
fn an_administrators_token_that_nobody_takes_is_not_made() {
    let place = Place::with_relay("smtp://localhost");
    drop(place.start(&["serve"], &[]));
    let off = [("REGAIN_WRITE_ADMIN_TOKEN_TO_JSON", "false")];
    let told = place.run_with(&["keys", "admin-token"], &off, "").wrong();
    assert!(told.contains("writeAdminTokenToJson is false"), "{told}");
}

#[test]
fn without_a_database_there_is_nothing_to_show_and_none_is_made() {
    let place = Place::with_relay("smtp://localhost");
    let commands: [&[&str]; 5] =
        [&["list"], &["show", "a"], &["export"], &["delete", "a", "--yes"], &["disable", "a"]];
    for command in commands {
        let told = users(&place, command).wrong();
        assert!(told.contains("there is no database"), "{told}");
    }
    assert!(place.run(&["keys", "admin-token"]).wrong().contains("there is no database"));
    assert!(!place.path("data").exists());
}

#[test]
fn a_new_administrators_token_ends_the_one_before_and_is_not_printed() {
    let place = Place::with_relay("smtp://localhost");
    create(&place, &["ann@example.org", "--id", "a"]).ok();
    let told = place.run(&["keys", "admin-token"]).wrong();
    assert!(told.contains("auth.key") && told.contains("is not there"), "{told}");
    assert!(!place.path("data/keys").exists());
    let server = place.start(&["serve"], &[]);
    let file = place.path("data/keys/admin.json");
    let token = || {
        let written: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        written["ADMIN_TOKEN"].as_str().unwrap().to_owned()
    };
    let before = token();
    assert_eq!(change(&server, &before, Some("a"), "a new password"), 200);
    let told = place.run(&["keys", "admin-token"]).ok();
    let after = token();
    assert_ne!(before, after);
    assert!(told.contains("data/keys/admin.json") && !told.contains(&after), "{told}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(change(&server, &before, Some("a"), "another password"), 401);
    assert_eq!(change(&server, &after, Some("a"), "another password"), 200);
    assert!(sign_in(&server, "ann@example.org", "another password").is_some());
    // `check` looks after it as after the other keys.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let checked = place.run(&["check"]);
    assert!(
        (checked.stdout.clone() + &checked.stderr).contains("may read data/keys/admin.json"),
        "{checked:?}"
    );
}

/// Runs a command with its stderr on a terminal; what the terminal shows.
fn on_a_terminal(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
    let terminal = fs::OpenOptions::new().write(true).open(name).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_regain"))
        .args(arguments)
        .current_dir(place.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(terminal)
        .spawn()
        .unwrap();
    let code = child.wait().unwrap().code();
    // Short enough to be held by the terminal. Once nobody has it open, reading ends with an error.
    let mut shown = Vec::new();
    let mut part = [0; 4096];
    let mut screen = fs::File::from(screen);
    while let Ok(read @ 1..) = screen.read(&mut part) {
        shown.extend_from_slice(&part[..read]);
    }
    (code, String::from_utf8(shown).unwrap())
}

#[test]
fn on_a_terminal_a_command_says_what_it_says_elsewhere() {
    let place = Place::with_relay("smtp://localhost");
    create(&place, &["ann@example.org", "--id", "a"]).ok();
    assert_eq!(on_a_terminal(&place, &["users", "list"]), (Some(0), String::new()));
    let (code, shown) = on_a_terminal(&place, &["users", "show", "nobody"]);
    assert_eq!((code, shown.as_str()), (Some(1), "regain: there is no account of this name or id\r\n"));
}
