use std::io::Write;

use axum::body::Body;
use flate2::Compression;
use flate2::write::GzEncoder;
use regain_core::flows::session::authenticate;
use regain_core::{Limits, Policy};

use super::*;

#[tokio::test]
async fn signing_in_answers_the_token_and_the_json_inside_it() {
    let site = TestSite::new();
    let sdk = "{\"provider\":\"password\",\"data\":\"ann@example.org\",\"app_id\":\"my.app\",\
               \"user_info\":{\"password\":\"correct horse\",\"register\":true}}";
    let answer = site.post("/auth", sdk).await;
    assert_eq!(answer.status, 200);
    let data = &answer.json()["refresh_token"]["token_data"];
    assert_eq!((&data["app_id"], &data["is_admin"]), (&"my.app".into(), &false.into()));
    let token = answer.json()["refresh_token"]["token"].as_str().unwrap().to_owned();
    assert!(authenticate(&site.desk.service, &token).await.is_ok());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!((answer.header("server"), answer.header("etag")), (None, None));
    token_of(&site, &ANN.replace("ann@", "ANN@")).await;
}

#[tokio::test]
async fn every_bad_body_of_auth_has_its_problem() {
    let site = TestSite::new();
    token_of(&site, ANN).await;
    let long = "x".repeat(300);
    let huge = "x".repeat(1_025);
    for (body, status, code, names) in [
        ("", 400, 602, "provider"),
        ("[]", 400, 602, "provider"),
        ("{\"provider\":null}", 400, 602, "provider"),
        ("{\"provider\":1}", 400, 601, "provider"),
        ("{\"provider\":\"\"}", 400, 602, "provider"),
        ("{\"provider\":\"Password\"}", 400, 601, "provider"),
        ("{\"provider\":\"debug\"}", 400, 601, "provider"),
        ("{\"provider\":\"password\"}", 400, 602, "username"),
        ("{\"provider\":\"password\",\"data\":\"ann@example.org\",\"password\":\"x\"}", 400, 602, "username"),
        ("{\"provider\":\"password\",\"username\":\"\",\"password\":\"x\"}", 400, 602, "username"),
        ("{\"provider\":\"password\",\"user_info\":{}}", 400, 602, "username"),
        ("{\"provider\":\"password\",\"username\":[\"a\",\"b\"]}", 400, 601, "username"),
        ("{\"provider\":\"password\",\"username\":\"a\\u0000b\",\"password\":\"x\"}", 400, 601, "username"),
        (&format!("{{\"provider\":\"password\",\"username\":\"{long}\"}}"), 400, 601, "username"),
        ("{\"provider\":\"password\",\"username\":\"ann\"}", 400, 602, "password"),
        (
            "{\"provider\":\"password\",\"username\":\"ann\",\"password\":{\"$ne\":null}}",
            400,
            601,
            "password",
        ),
        (
            &format!("{{\"provider\":\"password\",\"username\":\"ann\",\"password\":\"{huge}\"}}"),
            400,
            601,
            "password",
        ),
        ("{\"provider\":\"password\",\"data\":\"ann\",\"user_info\":\"x\"}", 400, 601, "user_info"),
        (&ANN.replace('}', ",\"register\":\"false\"}"), 400, 601, "register"),
        (&ANN.replace('}', ",\"register\":0}"), 400, 601, "register"),
        (&ANN.replace('}', ",\"app_id\":7}"), 400, 601, "app_id"),
        (&ANN.replace('}', ",\"app_id\":\"\\n\"}"), 400, 601, "app_id"),
        (&ANN.replace('}', ",\"provider\":\"password\"}"), 400, 601, "provider"),
        // From here on, the flows answer.
        (&ANN.replace("correct", "wrong"), 401, 611, ""),
        (&ANN.replace("correct horse", ""), 401, 611, ""),
        (&ANN.replace('}', ",\"register\":true}"), 401, 611, ""),
        (&ANN.replace("ann@", "eve@").replace('}', ",\"register\":false}"), 401, 611, ""),
        (&ANN.replace("ann@", "eve@").replace('}', ",\"register\":null}"), 401, 611, ""),
        (&ANN.replace("ann@", "eve@").replace("correct horse", "short"), 401, 611, ""),
        (&ANN.replace("correct horse", "").replace('}', ",\"register\":true}"), 400, 601, "password"),
    ] {
        site.post("/auth", body).await.is_problem(status, code, names);
    }
}

#[tokio::test]
async fn bodies_are_read_as_ros_reads_them() {
    let site = TestSite::new();
    for (content_type, body, status, title) in [
        ("application/json", "{".to_owned(), 400, Some("not valid JSON")),
        ("application/json", "null".to_owned(), 400, Some("must be a JSON object")),
        ("application/json", "x".repeat(102_401), 413, Some("request entity too large")),
        ("application/json; charset=utf-16", "{}".to_owned(), 415, Some("unsupported charset \"UTF-16\"")),
        ("text/plain", ANN.to_owned(), 400, None),
        ("application/problem+json", ANN.to_owned(), 400, None),
        ("application/x-www-form-urlencoded", ANN.to_owned(), 400, None),
    ] {
        let answer = site.send("POST", "/auth", &format!("content-type: {content_type}"), body).await;
        assert_eq!(answer.status, status, "{content_type}");
        match title {
            Some(title) => {
                assert!(answer.json()["title"].as_str().unwrap().contains(title), "{}", answer.body);
                assert!(answer.json().get("code").is_none());
            }
            None => answer.is_problem(400, 602, "provider"),
        }
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
    // Without a Content-Length, and in pieces.
    let pieces = |n: usize| {
        let piece = || Ok::<_, std::io::Error>("x".repeat(50_000));
        Body::from_stream(futures_util::stream::iter((0..n).map(move |_| piece())))
    };
    let json = "content-type: Application/JSON ; charset=\"UTF-8\"";
    assert_eq!(site.send("POST", "/auth", json, pieces(3)).await.status, 413);
    assert_eq!(site.send("POST", "/auth", json, pieces(2)).await.status, 400);
}

#[tokio::test]
async fn a_limit_answers_429_with_a_code_that_clients_know() {
    let limits = Limits { sign_in: Some(1), ..free_policy().limits };
    let site = TestSite::under(Policy { limits, ..free_policy() });
    token_of(&site, ANN).await;
    let answer = site.post("/auth", ANN).await;
    answer.is_problem(429, 802, "");
    assert_eq!(answer.header("retry-after"), Some("60"));
    // Another client, seen through a proxy that is not trusted, is still the same one.
    let forwarded = "content-type: application/json\nx-forwarded-for: 203.0.113.9";
    assert_eq!(site.send("POST", "/auth", forwarded, ANN).await.status, 429);
}

#[tokio::test]
async fn with_required_confirmation_new_and_taken_names_look_alike() {
    let site = TestSite::under(Policy { require_confirmation: true, ..free_policy() });
    let register = ANN.replace('}', ",\"register\":true}");
    let (first, second) = (site.post("/auth", &register).await, site.post("/auth", &register).await);
    first.is_problem(403, 614, "");
    assert_eq!((first.body, first.headers), (second.body, second.headers));
    site.post("/auth", ANN).await.is_problem(403, 614, "");
    site.post("/auth", &ANN.replace("correct", "wrong")).await.is_problem(401, 611, "");
}

#[tokio::test]
async fn a_compressed_body_is_read_like_any_other() {
    let site = TestSite::new();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(ANN.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let send = async |encoding: &str, body: &[u8]| {
        let headers = format!("content-type: application/json\ncontent-encoding: {encoding}");
        site.send("POST", "/auth", &headers, body.to_vec()).await
    };
    assert_eq!(send("gzip", &packed).await.status, 200);
    for (encoding, body, status) in [
        ("gzip", &packed[..20], 400),
        ("deflate", &packed, 400),
        ("br", &packed, 415),
        ("gzip, gzip", &packed, 415),
    ] {
        let answer = send(encoding, body).await;
        assert_eq!((answer.status, answer.json().get("code")), (status, None), "{encoding}");
    }
    let mut bomb = GzEncoder::new(Vec::new(), Compression::default());
    bomb.write_all(&vec![b' '; 10_000_000]).unwrap();
    let answer = send("gzip", &bomb.finish().unwrap()).await;
    assert_eq!((answer.status, &answer.json()["title"]), (413, &json!("request entity too large")));
}
