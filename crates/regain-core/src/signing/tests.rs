//! Tokens that were signed, altered, or signed by another key.

use std::sync::LazyLock;
use std::time::Duration;

use super::*;
use crate::clock::Timestamp;
use crate::session::{AdminToken, AppId, Kind, Session, UserToken};
use crate::testing::{self, CountingRng};

static KEY: LazyLock<SigningKeys> = LazyLock::new(|| SigningKey::generate().unwrap().into());
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn session() -> Session {
    let account = testing::account("ann@example.org");
    Session::open(&account, &AppId::default(), NOW + Duration::from_secs(60), &CountingRng::default())
        .unwrap()
}

#[test]
fn a_session_is_what_ros_would_send_with_gen_only_when_raised() {
    let signed = KEY.sign(&session()).unwrap();
    assert_eq!(
        signed.json,
        format!(
            r#"{{"app_id":"io.realm.Auth","identity":"{}","access":["refresh"],"salt":"{}","expires":1700000060,"is_admin":false,"isEmailConfirmed":false}}"#,
            session().identity,
            session().salt
        )
    );
    let raised = KEY.sign(&Session { generation: 3, ..session() }).unwrap();
    assert!(raised.json.ends_with(r#""isEmailConfirmed":false,"gen":3}"#));
}

#[test]
fn user_and_admin_tokens_are_what_ros_would_send() {
    let account = testing::account("ann@example.org");
    let user = UserToken::of(&account, &AppId::default(), NOW, &CountingRng::default()).unwrap();
    assert_eq!(
        KEY.sign(&user).unwrap().json,
        format!(
            r#"{{"app_id":"io.realm.Auth","identity":"{}","salt":"{}","expires":1700000000,"is_admin":false}}"#,
            user.identity, user.salt
        )
    );
    let admin = KEY.sign(&AdminToken::new(&CountingRng::default()).unwrap()).unwrap().json;
    let begin =
        r#"{"app_id":"io.realm.auth","identity":"__admin","access":["download","upload","manage"],"salt":""#;
    assert!(admin.starts_with(begin), "{admin}");
    assert_eq!(admin.len(), begin.len() + 32 + 2);
}

#[test]
fn what_was_signed_is_read_back_with_its_kind() {
    let signed = KEY.sign(&session()).unwrap();
    let (claims, id) = KEY.read(&signed.token).unwrap();
    assert_eq!(claims.kind, Kind::Session(session()));
    assert_eq!(claims.account, session().account());
    assert_eq!(claims.expires, Some(NOW + Duration::from_secs(60)));
    assert_eq!(id, SessionId(sha256(signed.json.as_bytes())));
    let admin = KEY.sign(&AdminToken::new(&CountingRng::default()).unwrap()).unwrap();
    let (claims, _) = KEY.read(&admin.token).unwrap();
    assert_eq!((claims.kind, claims.expires), (Kind::Admin, None));
    let account = testing::account("ann@example.org");
    let user = UserToken::of(&account, &AppId::default(), NOW, &CountingRng::default()).unwrap();
    assert_eq!(KEY.read(&KEY.sign(&user).unwrap().token).unwrap().0.kind, Kind::User);
}

#[test]
fn a_token_of_ros_without_expiry_or_generation_is_read() {
    let claims = serde_json::json!({
        "app_id": "io.realm.Auth", "identity": "9f83", "access": ["refresh"], "salt": "01020304",
        "is_admin": true, "isEmailConfirmed": true,
    });
    let (claims, _) = KEY.read(&KEY.sign(&claims).unwrap().token).unwrap();
    let Kind::Session(session) = claims.kind else { panic!("a session") };
    assert_eq!((session.generation, session.expires, claims.expires), (0, None, None));
}

#[test]
fn what_opens_files_to_syncing_is_none_of_ours() {
    for claims in [
        serde_json::json!({"app_id": "x", "identity": "9f83", "access": ["upload"], "salt": "0"}),
        serde_json::json!({"app_id": "x", "identity": "__admin", "access": ["upload"], "path": "/a"}),
        serde_json::json!({"app_id": "x", "identity": "9f83", "salt": "0", "path": "/a"}),
        serde_json::json!({"app_id": "x", "access": ["refresh"]}),
        serde_json::json!(["refresh"]),
    ] {
        assert_eq!(KEY.read(&KEY.sign(&claims).unwrap().token).err(), Some(BadToken), "{claims}");
    }
}

#[test]
fn an_altered_a_foreign_and_a_broken_token_are_refused() {
    let signed = KEY.sign(&session()).unwrap();
    let (_, signature) = signed.token.split_once(':').unwrap();
    let altered = format!(
        "{}:{signature}",
        BASE64.encode(signed.json.replace("\"is_admin\":false", "\"is_admin\":true"))
    );
    let foreign = SigningKey::generate().unwrap().sign(&session()).unwrap();
    for bad in [altered.as_str(), &foreign.token, "", ":", "a:b", "a", "x:y:z", &"A".repeat(MAX_BYTES + 1)] {
        assert_eq!(KEY.read(bad).err(), Some(BadToken));
    }
}

#[test]
fn a_key_survives_being_kept() {
    let again = SigningKey::from_pkcs8(&KEY.current().to_pkcs8().unwrap()).unwrap();
    let signed = again.sign(&session()).unwrap();
    assert!(KEY.read(&signed.token).is_ok());
    assert!(SigningKey::from_pkcs8(b"nonsense").is_err());
    assert_eq!(format!("{again:?}"), "SigningKey([redacted])");
}

#[test]
fn tokens_of_other_keys_that_are_known_are_taken_and_new_ones_are_of_the_current_key() {
    let new = Arc::new(SigningKey::generate().unwrap());
    let keys = SigningKeys::new(new.clone(), [KEY.current().public_key().clone(), new.public_key().clone()]);
    let old = KEY.sign(&session()).unwrap();
    assert_eq!(keys.read(&old.token).unwrap().1, KEY.read(&old.token).unwrap().1);
    let signed = keys.sign(&session()).unwrap();
    assert!(keys.read(&signed.token).is_ok());
    assert_eq!(KEY.read(&signed.token).err(), Some(BadToken));
    let offered = keys.offered();
    assert_eq!(offered.current, Some(new.public_key().fingerprint()));
    assert_eq!(offered.others, [KEY.current().public_key().fingerprint()]);
}

#[test]
fn a_public_key_is_read_and_a_private_one_is_none() {
    let key = KEY.current().public_key();
    assert_eq!(PublicKey::from_der(key.as_der()).unwrap().fingerprint(), key.fingerprint());
    for wrong in [&b"nonsense"[..], &KEY.current().to_pkcs8().unwrap()] {
        assert!(matches!(PublicKey::from_der(wrong), Err(SigningKeyError::UnusablePublic)));
    }
}
