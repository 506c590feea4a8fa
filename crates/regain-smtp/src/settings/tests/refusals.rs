//! What a refusal says, and what neither it nor a log line says.

use super::*;

#[test]
fn neither_debug_nor_a_refusal_shows_the_password() {
    for url in [
        "smtp://user:s3cr3t@h:99999",
        "smtp://user:s3cr3t@ho st",
        "smtp://user:s3cr3t",
        "smtp://user:1?s3cr3t@h",
        "smtp://user:s3cr3t%00@h",
        "smtp://user:a/s3cr3t@h",
        "smtp://user:s3cr3t@h?x=1",
        "smtp://user:s3cr3t@h?pool=no",
        "x://user:s3cr3t@h",
        "smtp://user:1?s3cr3t%40=1",
        "direct://user:s3cr3t@h",
        "smtp://user:pass@h?auth.pass=s3cr3t",
        "smtp://h?authMethod=s3cr3t",
        "smtp://h?service=s3cr3t",
        "smtp://h?maxMessages=s3cr3t",
        "smtp://h?tls.ca=-----BEGIN+s3cr3t",
        "smtp://h?tls.passphrase=s3cr3t",
        "smtp://h?tls.minVersion=s3cr3t",
        "smtp://h?localAddress=s3cr3t",
        "smtp://h?host=s3cr3t..x",
        "smtp://h?secure=s3cr3t",
    ] {
        let error = Settings::parse(url).expect_err(url);
        assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{url}: {error:?}");
    }
    let settings =
        read("smtp://us%40er:s3cr3t@h?name=x.example&maxConnections=2&tls.rejectUnauthorized=false");
    let shown = "smtp://us%40er:***@h:587/?maxConnections=2&tls.rejectUnauthorized=false&name=x.example";
    assert_eq!(settings.redacted(), shown);
    assert!(!format!("{settings:?}").contains("s3cr3t"));
    let shown = "smtps://user:***@h:465/?pool=true&maxConnections=2&maxMessages=3&rateLimit=4&rateDelta=5\
                 &idleTimeout=6&requireTLS=true&ignoreTLS=false&opportunisticTLS=true&tls.rejectUnauthorized=false\
                 &tls.servername=a.b&tls.ca=/ca%20&tls.minVersion=TLSv1.3&name=c.d&localAddress=::1\
                 &connectionTimeout=7&greetingTimeout=8&socketTimeout=9&dnsTimeout=10&authMethod=XOAUTH2";
    assert_eq!(
        read(&shown.replace("***", "s3cr3t")).redacted(),
        shown,
        "every option is shown, in one order"
    );
    // Some relays take one secret as user and as password.
    assert_eq!(read("smtp://s3cr3t:s3cr3t@h").redacted(), "smtp://***:***@h:587");
}
