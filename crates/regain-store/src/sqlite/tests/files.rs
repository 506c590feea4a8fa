//! What stands in the files of the database: no token and no password, in no form.

use std::sync::Arc;

use regain_core::store::{Arm, Armed, CompleteReset};
use regain_core::testing::contract::fixture::{HOUR, sent};
use regain_core::{HashCost, HashPool, OsRng, Password, Purpose, Store, Token, TokenKey};

use super::Scene;

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[tokio::test]
async fn tokens_their_key_and_passwords_stand_in_no_byte_of_the_files() {
    let scene = Scene::new();
    let fixture = scene.fixture();
    let key = TokenKey::random(&OsRng).unwrap();
    fixture.account("ann@example.org").await;
    fixture.post(Purpose::Reset, "ann@example.org").await;
    let claimed = fixture.claim_one().await;
    let account = &claimed.account;
    let token: Token = key.derive(Purpose::Reset, claimed.letter.id, &account.id, &account.name_key);
    let arm = Arm { token: Some(token.hash()), token_key: key.id(), ..fixture.arming(&claimed) };
    assert_eq!(fixture.arm_as(arm).await, Armed::Armed);
    assert!(fixture.settle(&claimed, sent()).await);
    let password = Password::parse("correct horse battery staple").unwrap();
    let hashing = HashPool::start(HashCost::CHEAP, Arc::new(OsRng)).unwrap();
    let new = hashing.hash(&password).await.unwrap();
    let reset = CompleteReset { token: token.hash(), new: new.clone(), notice: Some(fixture.notice()) };
    assert!(scene.store.complete_reset(reset, fixture.now() + HOUR / 2).await.unwrap().is_some());

    let token = token.expose();
    let mut files = 0;
    for closed in [false, true] {
        if closed {
            scene.store.close().await;
        }
        let mut all = Vec::new();
        for entry in std::fs::read_dir(scene.dir.path()).unwrap() {
            all.extend(std::fs::read(entry.unwrap().path()).unwrap());
            files += 1;
        }
        let holds = |needle: &[u8]| all.windows(needle.len()).any(|window| window == needle);
        assert!(
            holds(b"ann@example.org") && holds(new.as_str().as_bytes()),
            "the search finds what is there"
        );
        assert!(!holds(token.as_bytes()), "the token in hex");
        assert!(!holds(&unhex(&token)), "the token's bytes");
        assert!(!holds(key.expose()), "the key");
        assert!(!holds(password.expose()), "the password");
    }
    assert!(files >= 4, "the log was searched too");
}
