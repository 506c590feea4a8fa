use axum::body::Body;
use regain_core::{Limits, Policy, Purpose};

use super::super::HealthStatus;
use super::super::testing::{Answer, TestSite, free_policy};

const ANN: &str = "ann@example.org";

impl Answer {
    #[track_caller]
    fn is_page(&self, status: u16, text: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(self.body.contains(text), "no {text:?} in {}", self.body);
        assert!(!self.body.contains("<script"), "{}", self.body);
    }

    #[track_caller]
    fn leads_to(&self, location: &str) {
        assert_eq!((self.status, self.header("location")), (302, Some(location)), "{}", self.body);
        assert_eq!(self.body, "");
    }
}

/// A site with an account, and the token of a link of that purpose.
async fn with_link(purpose: Purpose) -> (TestSite, String) {
    let site = TestSite::new();
    assert!(site.desk.register(ANN, "correct horse").await.is_ok());
    if purpose == Purpose::Reset {
        assert!(site.desk.ask_reset(ANN).await.is_ok());
    }
    site.desk.deliver().await;
    let token = site.desk.last_token(purpose);
    (site, token)
}

#[tokio::test]
async fn a_reset_link_opens_a_form_that_sets_the_password_once() {
    let (site, token) = with_link(Purpose::Reset).await;
    let form = site.get(&format!("/reset-password?token={token}")).await;
    form.is_page(200, &format!("name=\"token\" value=\"{token}\""));
    form.is_page(200, "autocomplete=\"new-password\" required minlength=\"8\"");
    let submit = |password: &str, repeated: &str| {
        site.submit(
            "/reset-password",
            format!("token={token}&password={password}&password-repeated={repeated}"),
        )
    };
    submit("new+pass%26word", "other").await.is_page(400, "The two passwords are not the same.");
    submit("", "").await.is_page(400, "Enter a new password.");
    submit("short", "short").await.is_page(400, "The password must have at least 8 characters.");
    submit("short", "short").await.is_page(400, &token);
    submit("new+pass%26word", "new+pass%26word").await.is_page(200, "Your password has been changed");
    assert!(site.desk.sign_in(ANN, "new pass&word").await.is_ok());
    submit("new+pass%26word", "new+pass%26word").await.is_page(400, "This link does not work any more");
}

#[tokio::test]
async fn unknown_used_and_expired_links_look_alike() {
    let (site, token) = with_link(Purpose::Reset).await;
    let submit = |token: &str| {
        let form = format!("token={token}&password=long+enough&password-repeated=long+enough");
        site.submit("/reset-password", form)
    };
    let unknown = submit(&"0".repeat(64)).await;
    let malformed = submit("x").await;
    site.desk.advance(std::time::Duration::from_secs(3_601));
    let expired = submit(&token).await;
    assert_eq!(unknown.status, 400);
    assert_eq!((&unknown.body, &unknown.headers), (&malformed.body, &malformed.headers));
    assert_eq!((&unknown.body, &unknown.headers), (&expired.body, &expired.headers));
}

#[tokio::test]
async fn opening_a_link_changes_nothing_however_often() {
    for (purpose, path) in [(Purpose::Reset, "/reset-password"), (Purpose::Confirm, "/confirm-email")] {
        let (site, token) = with_link(purpose).await;
        for method in ["GET", "HEAD", "GET", "OPTIONS", "HEAD"] {
            let answer = site.send(method, &format!("{path}?token={token}"), "", Body::empty()).await;
            assert_eq!(answer.status, 200);
            assert!(method == "GET" || answer.body.is_empty());
        }
        let form = format!("token={token}&password=long+enough&password-repeated=long+enough");
        assert_eq!(site.submit(path, &form).await.status, 200);
    }
}

#[tokio::test]
async fn asking_for_a_link_answers_everybody_alike() {
    let (site, _) = with_link(Purpose::Confirm).await;
    site.get("/reset-password").await.is_page(200, "type=\"email\" autocomplete=\"email\"");
    let known = site.submit("/reset-password", format!("email=+{ANN}+")).await;
    known.is_page(200, "Check your inbox");
    site.desk.deliver().await;
    assert_eq!(site.desk.mails(Purpose::Reset).len(), 1);
    let no_mail = TestSite::under(Policy { mail: false, ..free_policy() });
    for (site, email) in [(&site, "eve@example.org"), (&site, "no-address"), (&no_mail, ANN)] {
        let answer = site.submit("/reset-password", format!("email={email}")).await;
        assert_eq!((&answer.body, &answer.headers), (&known.body, &known.headers));
    }
    let json = "content-type: application/json";
    let body = "{\"email\":\"eve@example.org\"}";
    site.send("POST", "/reset-password", json, body).await.is_page(200, "Check your inbox");
    for nothing in ["", "email=", "email=%00", "password=x"] {
        site.submit("/reset-password", nothing)
            .await
            .is_page(400, "Enter the email address of your account.");
    }
}

#[tokio::test]
async fn an_address_is_confirmed_by_the_button_and_the_second_click_is_welcome() {
    let (site, token) = with_link(Purpose::Confirm).await;
    let form = site.get(&format!("/confirm-email?token={token}")).await;
    form.is_page(200, "<button type=\"submit\">Confirm email address</button>");
    let click = || site.submit("/confirm-email", format!("token={token}"));
    click().await.is_page(200, "Your email address is confirmed");
    click().await.is_page(200, "Your email address is already confirmed");
    site.submit("/confirm-email", "token=x").await.is_page(400, "This link does not work");
    site.get("/confirm-email").await.is_page(400, "This link does not work");
    site.send("GET", "/confirm-email", "accept: */*", Body::empty()).await.is_problem(400, 602, "token");
}

#[tokio::test]
async fn redirects_go_where_the_list_allows_and_say_how_it_went() {
    let (site, token) = with_link(Purpose::Reset).await;
    let shown = site.get(&format!("/reset-password?token={token}&redirectUrl=myapp://done?x=1")).await;
    shown.is_page(200, "name=\"redirect-url\" value=\"myapp://done?x=1\"");
    assert!(shown.header("content-security-policy").unwrap().ends_with("form-action 'self' myapp:"));
    let to = "redirect-url=https://app.example.org/done?q=1";
    let submit = |form: String| site.submit("/reset-password", form);
    submit(format!("{to}&token={token}&password=a&password-repeated=b")).await.leads_to(
        "https://app.example.org/done?q=1&success=false&message=Failed%20to%20complete%20password%20reset%3A%20\
         The%20two%20passwords%20are%20not%20the%20same.",
    );
    let good = "password=long+enough&password-repeated=long+enough";
    submit(format!("{to}&token={token}&{good}"))
        .await
        .leads_to("https://app.example.org/done?q=1&success=true");
    submit(format!("{to}&token={token}&{good}")).await.leads_to(
        "https://app.example.org/done?q=1&success=false&message=Failed%20to%20complete%20password%20reset%3A%20\
         The%20password%20reset%20token%20is%20invalid%20or%20has%20expired.",
    );
    submit(format!("{to}&email={ANN}")).await.leads_to("https://app.example.org/done?q=1");

    let (site, token) = with_link(Purpose::Confirm).await;
    let form = |token: &str| format!("redirect-url=myapp://done&token={token}");
    site.submit("/confirm-email", form(&token)).await.leads_to("myapp://done?success=true");
    site.submit("/confirm-email", form(&token)).await.leads_to("myapp://done?success=true");
    let failed = site.submit("/confirm-email", form("x")).await;
    assert!(failed.header("location").unwrap().starts_with("myapp://done?success=false&message=Failed%20to"));
}

#[tokio::test]
async fn other_redirects_are_ignored_when_shown_and_when_used() {
    for evil in [
        "https://evil.example",
        "//evil.example",
        "javascript:alert(1)",
        "https://app.example.org@evil.example",
        "https://app.example.org.evil.example",
        "https:evil.example",
        "data:text/html,x",
        "http://app.example.org",
        "https://app.example.org:444/",
        "https%3A%2F%2Fevil.example",
        "\\\\evil.example",
        "myapp:x",
    ] {
        let (site, token) = with_link(Purpose::Confirm).await;
        let shown = site
            .get(&format!("/confirm-email?token={token}&redirectUrl={}", evil.replace('\\', "%5C")))
            .await;
        assert!(!shown.body.contains("redirect-url"), "{evil}");
        assert!(shown.header("content-security-policy").unwrap().ends_with("form-action 'self'"));
        let used = site.submit("/confirm-email", format!("token={token}&redirect-url={evil}")).await;
        used.is_page(200, "Your email address is confirmed");
    }
}

#[tokio::test]
async fn two_hosts_are_one_too_many() {
    let site = TestSite::new();
    for path in ["/reset-password", "/health", "/auth"] {
        let answer = site.send("GET", path, "host: localhost:9080\nhost: evil.example", "").await;
        assert_eq!(answer.status, 400, "{path}");
    }
}

#[tokio::test]
async fn forms_of_other_sites_are_refused_and_programs_are_not() {
    let (site, token) = with_link(Purpose::Confirm).await;
    let form = "content-type: application/x-www-form-urlencoded";
    for headers in [
        "host: localhost:9080\norigin: https://evil.example",
        "host: localhost:9080\norigin: null",
        "host: localhost:9080\norigin: http://localhost:9080\norigin: https://evil.example",
        "host: localhost:9080\norigin: http://localhost:9081",
        "host: localhost:9080\norigin: http://localhost",
        "host: localhost:9080\norigin: ",
        "host: localhost:9080\nsec-fetch-site: cross-site",
    ] {
        for path in ["/confirm-email", "/reset-password"] {
            let body = format!("token={token}");
            let answer = site.send("POST", path, &format!("{form}\n{headers}"), body).await;
            answer.is_page(403, "This request was not accepted");
        }
    }
    for headers in
        ["host: x.org\norigin: https://x.org", "origin: https://Accounts.example.org", "host: localhost"]
    {
        let answer = site
            .send("POST", "/confirm-email", &format!("{form}\n{headers}"), format!("token={token}"))
            .await;
        assert_eq!(answer.status, 200, "{headers}");
    }
}

#[tokio::test]
async fn bad_requests_get_a_page() {
    let site = TestSite::new();
    for query in
        ["token=a&token=b", "token[]=a", "token[x]=a", "token=%ff", "token=a&redirectUrl=x&redirectUrl=y"]
    {
        for path in ["/reset-password", "/confirm-email"] {
            site.get(&format!("{path}?{query}")).await.is_page(400, "This request was not understood");
        }
        let form = query.replace("redirectUrl", "redirect-url");
        site.submit("/reset-password", form).await.is_page(400, "This request was not understood");
    }
    let big = format!("email={}", "x".repeat(102_400));
    site.submit("/reset-password", big).await.is_page(413, "This request was not understood");
    let json = "content-type: application/json";
    let list = "{\"email\":[\"a@x.org\",\"b@x.org\"]}";
    site.send("POST", "/reset-password", json, list).await.is_page(400, "This request was not understood");
    let limits = Limits { token_guesses: Some(1), ..free_policy().limits };
    let limited = TestSite::under(Policy { limits, ..free_policy() });
    let guess = "token=x&password=long+enough&password-repeated=long+enough";
    limited.submit("/reset-password", guess).await.is_page(400, "does not work any more");
    let refused = limited.submit("/reset-password", guess).await;
    refused.is_page(429, "Too many attempts");
    assert_eq!(refused.header("retry-after"), Some("60"));
}

#[tokio::test]
async fn whatever_is_reflected_is_inert() {
    let site = TestSite::new();
    let evil = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E%27%26";
    for path in ["/reset-password", "/confirm-email"] {
        let page = site.get(&format!("{path}?token={evil}&redirectUrl={evil}&lang={evil}")).await;
        page.is_page(200, "value=\"&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&#39;&amp;\"");
        page.is_page(200, "<p class=\"app\">Tom &amp; &quot;Jerry&quot;</p>");
    }
    let form = format!("token={evil}&password=a&password-repeated=b");
    site.submit("/reset-password", form).await.is_page(400, "&lt;script&gt;");
}

#[tokio::test]
async fn every_answer_to_a_browser_has_its_headers_errors_included() {
    let site = TestSite::new();
    for (method, path, status) in [
        ("GET", "/reset-password", 200),
        ("GET", "/Reset-Password/?token=x", 200),
        ("GET", "/reset-password?token=a&token=b", 400),
        ("GET", "/confirm-email?token=x", 200),
        ("POST", "/confirm-email", 400),
        ("DELETE", "/reset-password", 404),
        ("GET", "/nothing", 404),
        ("OPTIONS", "/confirm-email", 200),
    ] {
        let answer = site.send(method, path, "accept: text/html", Body::empty()).await;
        assert_eq!(answer.status, status, "{method} {path}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "strict-origin"),
            ("x-robots-tag", "noindex, nofollow"),
            ("cross-origin-opener-policy", "same-origin"),
            ("strict-transport-security", "max-age=63072000"),
            (
                "content-security-policy",
                "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
            ),
        ] {
            assert_eq!(answer.header(name), Some(value), "{method} {path}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_eq!(answer.header("set-cookie"), None);
    }
    let style = site.get("/password-auth-ui-styles.css").await;
    assert_eq!((style.status, style.header("content-type")), (200, Some("text/css; charset=utf-8")));
}

#[tokio::test]
async fn health_tells_how_the_process_is() {
    let site = TestSite::new();
    let tell = |status| *site.health.0.lock().unwrap() = status;
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(site.get("/health").await.body, format!("{{\"version\":\"{version}\",\"status\":\"ok\"}}"));
    assert_eq!(site.send("HEAD", "/Health/", "", Body::empty()).await.body, "");
    tell(Some(HealthStatus::Degraded("relay".into())));
    let degraded = site.get("/health").await;
    assert_eq!((degraded.status, &degraded.json()["reason"]), (200, &"relay".into()));
    for status in [HealthStatus::Starting, HealthStatus::Stopping, HealthStatus::CourierDead] {
        tell(Some(status));
        site.get("/health").await.is_problem(503, 802, "");
    }
}

#[tokio::test]
async fn a_panic_is_a_plain_500_with_a_number_to_look_up() {
    let site = TestSite::new();
    *site.health.0.lock().unwrap() = None;
    let answer = site.get("/health").await;
    assert_eq!((answer.status, &*answer.body), (500, "{\"title\":\"Internal Server Error\",\"status\":500}"));
    answer.json();
    assert!(answer.header("x-request-id").is_some_and(|id| id.parse::<u64>().is_ok()));
}

#[tokio::test]
async fn an_options_request_is_told_the_methods_and_nothing_of_other_sites() {
    let site = TestSite::new();
    let headers = "origin: https://evil.example\naccess-control-request-method: POST";
    for path in ["/reset-password", "/confirm-email", "/Confirm-Email/?token=a&token=b"] {
        let answer = site.send("OPTIONS", path, headers, Body::empty()).await;
        assert_eq!((answer.status, &*answer.body), (200, ""), "{path}");
        assert_eq!(answer.header("allow"), Some("GET,HEAD,POST"));
        assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{path}");
    }
}

#[tokio::test]
async fn json_does_as_well_as_a_form() {
    let json = async |site: &TestSite, path: &str, body: serde_json::Value| {
        let headers = "content-type: application/json; charset=utf-8";
        site.send("POST", path, headers, body.to_string()).await
    };
    let (site, token) = with_link(Purpose::Reset).await;
    let fields = |repeated: &str| serde_json::json!({"token": token, "password": "long enough", "password-repeated": repeated});
    let different = json(&site, "/reset-password", fields("other")).await;
    different.is_page(400, "The two passwords are not the same.");
    let changed = json(&site, "/reset-password", fields("long enough")).await;
    changed.is_page(200, "Your password has been changed");
    assert!(site.desk.sign_in(ANN, "long enough").await.is_ok());
    let (site, token) = with_link(Purpose::Confirm).await;
    let body = serde_json::json!({"token": token, "redirect-url": "myapp://done"});
    json(&site, "/confirm-email", body).await.leads_to("myapp://done?success=true");
}

#[tokio::test]
async fn a_token_wins_over_an_address() {
    let (site, token) = with_link(Purpose::Reset).await;
    let form = format!("email={ANN}&token={token}&password=long+enough&password-repeated=long+enough");
    site.submit("/reset-password", &form).await.is_page(200, "Your password has been changed");
    site.submit("/reset-password", &form).await.is_page(400, "This link does not work any more");
    // An empty one is none.
    site.submit("/reset-password", format!("email={ANN}&token=")).await.is_page(200, "Check your inbox");
}

#[tokio::test]
async fn an_application_that_asked_for_it_is_told_what_went_wrong() {
    let (site, token) = with_link(Purpose::Reset).await;
    let failed = "myapp://done?success=false&message=Failed%20to%20complete%20password%20reset%3A%20";
    for (form, message) in [
        (String::new(), "Enter%20the%20email%20address%20of%20your%20account."),
        ("email=%00".to_owned(), "Enter%20the%20email%20address%20of%20your%20account."),
        (format!("token={token}"), "Enter%20a%20new%20password."),
        (format!("token={token}&password=x"), "The%20two%20passwords%20are%20not%20the%20same."),
        (
            format!("token={token}&password=short&password-repeated=short"),
            "The%20password%20must%20have%20at%20least%208%20characters.",
        ),
    ] {
        let answer = site.submit("/reset-password", format!("redirect-url=myapp://done&{form}")).await;
        answer.leads_to(&format!("{failed}{message}"));
    }
    // Known or not, an address leads back without a word.
    for email in [ANN, "eve@example.org"] {
        let form = format!("redirect-url=myapp://done&email={email}");
        site.submit("/reset-password", form).await.leads_to("myapp://done");
    }
}
