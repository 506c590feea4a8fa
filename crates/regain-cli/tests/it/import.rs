//! `regain users import` and `export`: from a file to accounts that sign in, and back.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use regain_smtp::testing::ScriptedServer;
use serde_json::{Value, json};

use crate::harness::{Place, Running, until};

/// The password of all hashes here.
const PASSWORD: &str = "pässwörd 🔑";

/// Made with Python: argon2-cffi, bcrypt, `hashlib.scrypt`, passlib, and for `$7$` with Perl's `crypt`.
const HASHES: [(&str, &str); 7] = [
    ("argon2id", "$argon2id$v=19$m=64,t=2,p=2$c2FsdCBmb3IgcmVnYWluLg$Lw88Me0gzins4br8zLBeVi2BvLfVEVU1"),
    ("argon2i", "$argon2i$v=19$m=64,t=2,p=2$c2FsdCBmb3IgcmVnYWluLg$Lytjn2IOQwGrgCBESHy5J17ef6Gc3Xbs"),
    ("bcrypt", "$2a$04$srf4RJN8BcWCK7vh0DaZ3.5QVQ8vPtFjG3agy5J/uSOa6SBSzzAo."),
    ("bcrypt", "$2y$04$saltforregainsaltforre5jIeakN4OpYjadfdM.t3p2B6TN6eQDC"),
    ("scrypt", "$scrypt$ln=4,r=8,p=2$c2FsdCBmb3IgcmVnYWluLg$4BGGudvA1sdb0SIkJ+LWP/VHP3aJfRUH/JI7vA0m7Us"),
    ("scrypt", "$7$2U..../....saltforregain$ASdp5FAwOGBs.lZFJ6YMATJi75cBPHP/UCJf0IPmjxA"),
    (
        "pbkdf2-sha256",
        "$pbkdf2-sha256$1000$....IHNhbHQgZm9yIHJlZw$HfLG/osXsSlyWdRpxKd2cXPKP8PUClJ0yhHPO9YXHQ8",
    ),
];

/// `hashlib.pbkdf2_hmac("sha512", password, bytes(range(200, 232)), 10000, 512)`, with the defaults of ROS.
const ROS_SALT: &str = "yMnKy8zNzs/Q0dLT1NXW19jZ2tvc3d7f4OHi4+Tl5uc=";
const ROS_HASH: &str = "KpaTtsTbs3yesfLNegZcqSJNIRzc2UgEd9YXIdFIOPbuv1OcqeN5MUurdgBSZIqJt9ISMN5KSKaIl6Osd4npELkJbH5dbB7CYqD1oQp7N2M70KFKimyJXB5FjoAgx/WEbPW8RfBcun0X+Sg6/C7Zc1wp0ih/wT3Runl26RO2rD2FMzMuIhK7cbatnBXXx4DroYUDqOm1A0aV8jtRvF6UILtvk5CS4nAHijL0k16FtUpzAmqW+rMvU7bLa+1Ijno/Wqipt1BpTm6yF67FeN1+2aTpM93gSI30Yn+ShDUqKM3P0vOgpUbyM1Jm9FJ/uhDFX+QQ/uTsBNeTKC9sZOqXrLhJqrt645v5ieq/8kFHLWi4SurIHPEXLfNxxuWBRfkAwGCvo21WBPLZjn8hdXTeQcFRVhmmNZa5yOMKmBoD8ZTNmLBpbZSNUTDcVsrhjgdsBmTNgr7dap+iaAnAgYDl+iTaivTa+JEax4t/hFNVZW+MA/39qFxxNgaHKRxJhv+Qvo1ZlTTxbu3hOSvQBqxYUc779DgGJc3g7RK5zxmq1Gwvfn1/e6WXhHraiFzkLeP8JNsKao2tjFyw0JCCsCRjP4obh91tc45YR8JvmvJ2IB6G4k/znnCS7nk/903sAJgthF9ahypffsc9aixvYEX2efHfgV6hTWLoacskrLwbegk=";

/// A place without limits on sign-ins, which come all from here.
fn place(relay: &str) -> Place {
    let place = Place::with_relay(relay);
    let text = fs::read_to_string(place.path("regain.toml")).unwrap();
    place.write("regain.toml", &format!("{text}\n[limits]\nperClient = false\n"));
    place
}

fn ros_record() -> Value {
    json!({"salt": ROS_SALT, "iterations": 10_000, "keyLength": 512, "digest": "sha512", "hash": ROS_HASH})
}

fn write_lines(place: &Place, name: &str, lines: &[Value]) {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    place.write(name, &(lines.join("\n") + "\n"));
}

fn sign_in(server: &Running, name: &str, password: &str) -> (u16, String) {
    let json =
        json!({"provider": "password", "data": name, "user_info": {"password": password, "register": false}});
    server.request("POST", "/auth", &json.to_string())
}

fn summary(place: &Place, file: &str, more: &[&str]) -> Value {
    let arguments = [&["users", "import", file, "--json"], more].concat();
    serde_json::from_str(&place.run(&arguments).ok()).unwrap()
}

fn shown(place: &Place, account: &str) -> Value {
    serde_json::from_str(&place.run(&["users", "show", account, "--json"]).ok()).unwrap()
}

fn export(place: &Place) -> String {
    place.run(&["users", "export"]).ok()
}

#[test]
fn passwords_of_every_scheme_sign_in_after_an_import_beside_a_running_server() {
    let place = place("smtp://localhost");
    let mut lines: Vec<Value> = (0..)
        .zip(HASHES)
        .map(|(i, (_, hash))| json!({"provider_id": format!("user{i}@example.org"), "password": hash}))
        .collect();
    lines.push(json!({
        "user_id": "9f83", "provider": "password", "provider_id": "ros@example.org", "is_admin": true,
        "is_disabled": false, "metadata": {"isEmailConfirmed": "true", "key": "value"}, "password": ros_record(),
    }));
    lines.push(json!({"provider_id": "nobody@example.org", "password": null}));
    lines
        .push(json!({"user_id": "__admin", "provider": "realm", "provider_id": "__admin", "is_admin": true}));
    write_lines(&place, "accounts.jsonl", &lines);
    let server = place.start(&["serve"], &[]);
    let told = summary(&place, "accounts.jsonl", &[]);
    assert_eq!((&told["added"], &told["alreadyThere"], &told["skipped"]), (&json!(9), &json!(0), &json!(1)));
    assert_eq!(told["withoutPassword"], 1);
    assert_eq!(
        told["schemes"],
        json!({"argon2i": 1, "argon2id": 1, "bcrypt": 2, "pbkdf2-sha256": 1, "pbkdf2-sha512": 1, "scrypt": 2})
    );
    let ros = shown(&place, "9f83");
    assert_eq!((&ros["isAdmin"], &ros["isEmailConfirmed"]), (&json!(true), &json!(true)));
    assert_eq!(ros["passwordScheme"], "pbkdf2-sha512");
    let users =
        (0..HASHES.len()).map(|i| format!("user{i}@example.org")).chain(["ros@example.org".to_owned()]);
    for user in users {
        assert_eq!(sign_in(&server, &user, "pässwörd 🔐").0, 401, "{user}");
        let (status, answer) = sign_in(&server, &user, PASSWORD);
        assert_eq!(status, 200, "{user}: {answer}");
        // Hashed anew, and it still signs in.
        assert_eq!(shown(&place, &user)["passwordScheme"], "argon2id", "{user}");
        assert_eq!(sign_in(&server, &user, PASSWORD).0, 200, "{user}");
    }
    assert_eq!(sign_in(&server, "nobody@example.org", "").0, 401);
    assert_eq!(sign_in(&server, "nobody@example.org", "a long password").0, 401);
}

#[test]
fn every_bad_line_is_named_and_nothing_is_written() {
    let place = place("smtp://localhost");
    place.write(
        "accounts.jsonl",
        "{\"provider_id\":\"ann@example.org\"}\r\n\
         \r\n\
         {\"provider_id\":\"bob@example.org\",\"pass\":\"secret\"}\n\
         {\"provider_id\":\"cleo@example.org\",\"password\":\"plain secret\"}\n\
         {\"provider_id\":\"ann@example.org\"}\n",
    );
    let ran = place.run(&["users", "import", "accounts.jsonl"]);
    assert_eq!(ran.stdout, "");
    let told = ran.wrong();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines,
        [
            "accounts.jsonl:3: the key \"pass\" is not known",
            "accounts.jsonl:4: password: it is not a password hash, and passwords in plain text are not taken",
            "accounts.jsonl:5: provider_id is the same as in line 1",
            "regain: 3 lines are wrong in accounts.jsonl: nothing was imported",
        ]
    );
    assert!(!place.path("data").exists());
    let many: Vec<Value> = (0..1_200).map(|i| json!({"provider_id": i})).collect();
    write_lines(&place, "accounts.jsonl", &many);
    let told = place.run(&["users", "import", "accounts.jsonl"]).wrong();
    assert_eq!(told.lines().count(), 1_002, "a thousand, how many more, and the sum");
    assert!(told.contains("\n... and 200 more\nregain: 1200 lines are wrong"), "{told}");
}

#[test]
fn the_administrator_that_ros_makes_with_an_empty_password_is_refused() {
    let place = place("smtp://localhost");
    // hashlib.pbkdf2_hmac("sha512", b"", b"salt of 16 bytes", 1, 64)
    let empty = json!({"salt": "c2FsdCBvZiAxNiBieXRlcw==", "iterations": 1, "keyLength": 64, "digest": "sha512",
        "hash": "6TU1qjod40yovr5tj6zTEO76GZpsR925c3/C2Jr6/At4Y188x3W9plaEXscS8d0t+IFhBM6zzMohJ9/r3emDWA=="});
    let admin = |is_admin| json!({"provider_id": "realm-admin", "is_admin": is_admin, "password": empty});
    write_lines(&place, "accounts.jsonl", &[admin(true)]);
    let told = place.run(&["users", "import", "accounts.jsonl"]).wrong();
    assert!(told.contains("accounts.jsonl:1: it is an administrator with an empty password"), "{told}");
    // Nor does it become one afterwards.
    write_lines(&place, "accounts.jsonl", &[admin(false)]);
    assert_eq!(summary(&place, "accounts.jsonl", &[])["added"], 1);
    let told = place.run(&["users", "grant-admin", "realm-admin"]).wrong();
    assert!(told.contains("has an empty password"), "{told}");
    assert_eq!(shown(&place, "realm-admin")["isAdmin"], false);
}

#[test]
fn an_import_that_was_cut_off_goes_on_where_it_was() {
    let place = place("smtp://localhost");
    let lines: Vec<Value> = (0..3_000)
        .map(|i| match i % 2 {
            0 => json!({"provider_id": format!("user{i}@example.org"), "user_id": format!("id{i}")}),
            _ => json!({"provider_id": format!("user{i}@example.org"), "password": HASHES[2].1}),
        })
        .collect();
    // What a process leaves that ends between two batches.
    write_lines(&place, "half.jsonl", &lines[..1_500]);
    write_lines(&place, "whole.jsonl", &lines);
    assert_eq!(summary(&place, "half.jsonl", &[])["added"], 1_500);
    let half = export(&place);
    let dry = summary(&place, "whole.jsonl", &["--dry-run"]);
    assert_eq!((&dry["added"], &dry["alreadyThere"]), (&json!(0), &json!(1_500)));
    assert_eq!(export(&place), half);
    let rest = summary(&place, "whole.jsonl", &[]);
    assert_eq!((&rest["added"], &rest["alreadyThere"]), (&json!(1_500), &json!(1_500)));
    let whole = export(&place);
    assert_eq!(whole.lines().count(), 3_000);
    assert!(half.lines().all(|line| whole.contains(line)), "an account was changed");
    let again = summary(&place, "whole.jsonl", &[]);
    assert_eq!((&again["added"], &again["alreadyThere"]), (&json!(0), &json!(3_000)));
    assert_eq!(export(&place), whole);
}

#[test]
fn an_export_is_imported_and_exported_again_to_the_same_bytes() {
    let first = place("smtp://localhost");
    let mut lines: Vec<Value> = (0..)
        .zip(HASHES)
        .map(|(i, (_, hash))| json!({"provider_id": format!("User{i}@Example.org"), "password": hash}))
        .collect();
    lines.push(json!({"provider_id": "Åsa@jõgeva.ee", "user_id": "a'(1)", "is_disabled": true, "password": ros_record()}));
    lines.push(json!({"provider": "realm", "provider_id": "server \"1\"", "is_admin": true}));
    lines.push(json!({"provider_id": "no address", "isEmailConfirmed": true, "metadata": {"ü": "\n\t\u{1}", "a": ""}}));
    write_lines(&first, "accounts.jsonl", &lines);
    assert_eq!(summary(&first, "accounts.jsonl", &[])["added"], 10);

    let file = first.path("out.jsonl");
    let told = first.run(&["users", "export", "out.jsonl"]);
    assert_eq!((told.code, told.stdout.as_str()), (Some(0), ""), "{told:?}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let exported = fs::read_to_string(&file).unwrap();
    assert_eq!(exported, export(&first));
    let keys: Vec<String> = serde_json::from_str::<Value>(exported.lines().next().unwrap())
        .unwrap()
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(
        keys,
        [
            "user_id",
            "provider",
            "provider_id",
            "is_admin",
            "is_disabled",
            "isEmailConfirmed",
            "metadata",
            "password"
        ]
    );

    let second = place("smtp://localhost");
    second.write("in.jsonl", &exported);
    assert_eq!(summary(&second, "in.jsonl", &[])["added"], 10);
    assert_eq!(export(&second), exported);

    let told = first.run(&["users", "export", "out.jsonl"]).wrong();
    assert!(told.contains("--force"), "{told}");
    first.write("out.jsonl", "something else");
    first.run(&["users", "export", "out.jsonl", "--force"]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), exported);
    let left: Vec<_> =
        fs::read_dir(first.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

#[test]
fn a_dry_run_makes_nothing() {
    let place = place("smtp://localhost");
    write_lines(&place, "accounts.jsonl", &[json!({"provider_id": "ann@example.org"})]);
    let told = place.run(&["users", "import", "accounts.jsonl", "--dry-run"]).ok();
    assert!(told.contains("1 accounts, and nothing is wrong") && told.contains("would add 1"), "{told}");
    assert!(!place.path("data").exists());
    assert_eq!(summary(&place, "accounts.jsonl", &["--dry-run"])["dryRun"], true);
}

#[test]
fn names_that_differ_by_case_alone_are_kept_apart_only_in_a_database_made_so() {
    let names = ["ann@example.org", "Ann@example.org"];
    let lines = names.map(|name| json!({"provider_id": name, "password": HASHES[2].1}));
    let exact = place("smtp://localhost");
    write_lines(&exact, "accounts.jsonl", &lines);
    let told = exact.run(&["users", "import", "accounts.jsonl"]).wrong();
    assert!(
        told.contains("accounts.jsonl:2: provider_id differs") && told.contains("--exact-names"),
        "{told}"
    );
    // Of a domain the case never counts, so that advice would help nobody.
    let domains = ["ann@example.org", "ann@Example.org"].map(|name| json!({"provider_id": name}));
    write_lines(&exact, "domains.jsonl", &domains);
    let told = exact.run(&["users", "import", "domains.jsonl"]).wrong();
    assert!(told.contains("domains.jsonl:2:") && !told.contains("--exact-names"), "{told}");
    assert_eq!(summary(&exact, "accounts.jsonl", &["--exact-names"])["added"], 2);
    // The database knows it from now on.
    assert_eq!(summary(&exact, "accounts.jsonl", &[])["alreadyThere"], 2);
    let server = exact.start(&["serve"], &[]);
    for name in names {
        assert_eq!(sign_in(&server, name, PASSWORD).0, 200, "{name}");
    }
    assert_eq!(sign_in(&server, "ANN@example.org", PASSWORD).0, 401);

    let folded = place("smtp://localhost");
    write_lines(&folded, "accounts.jsonl", &lines[..1]);
    assert_eq!(summary(&folded, "accounts.jsonl", &[])["added"], 1);
    let told = folded.run(&["users", "import", "accounts.jsonl", "--exact-names"]).wrong();
    assert!(told.contains("cannot be changed any more"), "{told}");
}

#[test]
fn what_clashes_with_an_account_that_is_there_is_named() {
    let place = place("smtp://localhost");
    write_lines(&place, "first.jsonl", &[json!({"provider_id": "ann@example.org", "user_id": "a"})]);
    assert_eq!(summary(&place, "first.jsonl", &[])["added"], 1);
    let clashes = [
        json!({"provider_id": "bob@example.org", "user_id": "b"}),
        json!({"provider_id": "Ann@example.org", "user_id": "x"}),
        json!({"provider_id": "cleo@example.org", "user_id": "a"}),
    ];
    write_lines(&place, "second.jsonl", &clashes);
    let told = place.run(&["users", "import", "second.jsonl"]).wrong();
    assert!(told.contains("second.jsonl:2: an account with another user_id has this provider_id"), "{told}");
    assert!(told.contains("second.jsonl:3: an account with another provider_id has this user_id"), "{told}");
    assert_eq!(export(&place).lines().count(), 1);
}

#[test]
fn what_cannot_be_read_twice_is_refused_and_so_is_a_file_that_is_not_there() {
    let place = place("smtp://localhost");
    let told = place.run(&["users", "import", "-"]).wrong();
    assert!(told.contains("read twice"), "{told}");
    let told = place.run(&["users", "import", "/dev/stdin"]).wrong();
    assert!(told.contains("no regular file"), "{told}");
    let told = place.run(&["users", "import", "none.jsonl"]).wrong();
    assert!(told.contains("none.jsonl") && told.contains("No such file"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_looks_from_outside_like_any_other_and_gets_no_mail() {
    let relay = ScriptedServer::start().await;
    let place = place(&relay.url());
    let account = |name: &str, is_disabled: bool| json!({"provider_id": name, "is_disabled": is_disabled, "password": HASHES[2].1});
    write_lines(&place, "accounts.jsonl", &[account("off@mail.test", true), account("on@mail.test", false)]);
    assert_eq!(summary(&place, "accounts.jsonl", &[])["added"], 2);
    let server = place.start(&["serve"], &[]);
    let stranger = sign_in(&server, "stranger@mail.test", PASSWORD);
    assert_eq!(stranger.0, 401);
    assert_eq!(sign_in(&server, "off@mail.test", PASSWORD), stranger);
    for action in ["reset_password", "request_email_confirmation"] {
        let ask = |name: &str| {
            let json = json!({"provider_id": name, "data": {"action": action}});
            server.request("POST", "/auth/password/updateAccount", &json.to_string())
        };
        let answer = ask("on@mail.test");
        assert_eq!((answer.0, answer.1.as_str()), (200, "{}"), "{action}");
        assert_eq!(ask("off@mail.test"), answer, "{action}");
    }
    relay.wait_for_messages(2).await;
    let letters = |state: &str| -> Vec<Value> {
        serde_json::from_str(&place.run(&["outbox", "list", "--json", "--reveal", "--state", state]).ok())
            .unwrap()
    };
    let dropped = until("both letters to the disabled account", || {
        Some(letters("dropped")).filter(|all| all.len() == 2)
    });
    assert!(dropped.iter().all(|letter| letter["to"] == "off@mail.test"), "{dropped:?}");
    assert!(letters("sent").iter().all(|letter| letter["to"] == "on@mail.test"));
}
