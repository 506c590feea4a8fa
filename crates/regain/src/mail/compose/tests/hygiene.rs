//! All mails, with whatever may stand in them: kept as snapshots, checked byte by byte, read by two parsers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use regain_smtp::testing::ScriptedServer;
use regain_smtp::{Deadlines, DkimKey, DkimSigner, Envelope, Pool, Settings, TrustRoots};
use serde_json::Value;

use super::*;

/// The key of RFC 8463 appendix A.1.
const DKIM_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
                        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                        -----END PRIVATE KEY-----\n";

pub(super) fn dkim_key() -> DkimKey {
    DkimKey::from_pem(DKIM_KEY).unwrap()
}

/// Texts of an operator that a relay could trip over: dots and `From ` where a line begins, line ends of all kinds, a
/// line that is too long, a subject that is.
struct Own {
    subject: String,
    text: String,
    html: String,
}

impl Own {
    fn of(purpose: Purpose) -> Self {
        let (link, again) = match purpose {
            Purpose::Reset => ("%BASE_URL%/reset-password?token=%TOKEN%", "%TOKEN%"),
            Purpose::Confirm => ("%BASE_URL%/confirm-email?token=%TOKEN%", "%TOKEN%"),
            Purpose::PasswordChanged => ("", ""),
        };
        let link_in_html =
            if link.is_empty() { String::new() } else { format!("<a href=\"{link}\">{link}</a>") };
        Self {
            subject: format!(
                "%APP_NAME% for %EMAIL%: {}\u{1f511}",
                "\u{43f}\u{430}\u{440}\u{43e}\u{43b}\u{44c} ".repeat(20)
            ),
            text: format!(
                ".\n..\n.begins with a dot\r\n-- \rFrom here on\n\ttab and spaces at the end \t \n\n{link}\n\n{again}\n\
                 For %EMAIL% of %APP_NAME%, from %IP% with %USER_AGENT%, good for %EXPIRES_IN%.\n=41 =\n.\n"
            ),
            html: format!(
                ".<p>\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442} %APP_NAME% %EMAIL% %IP% %USER_AGENT% %EXPIRES_IN%</p>\n.\n{link_in_html}\
                 <p title=\"{again}\">{}</p>\r.\r\n",
                "endless".repeat(200)
            ),
        }
    }
}

type Change = fn(&mut Letterhead, &mut Parcel);

/// What may be awkward about a mail, by the name of its snapshots.
const INPUTS: [(&str, Change); 16] = [
    ("plain", |_, _| {}),
    ("long_app_name", |head, _| head.app_name = "Supercalifragilistic ".repeat(4) + &"x".repeat(16)),
    ("beyond_ascii", |head, parcel| {
        head.sender = Sender::parse("\"J\u{f5}geva M\u{e4}rkmed \u{2709}\" <a@j\u{f5}geva.ee>").unwrap();
        head.app_name = "M\u{e4}rkmed \u{5bc6}\u{7801}".to_owned();
        parcel.to = Address::parse("ann@j\u{f5}geva.ee").unwrap();
    }),
    ("smtputf8", |_, parcel| parcel.to = Address::parse("j\u{f5}geva@example.org").unwrap()),
    ("smtputf8_sender", |head, _| {
        head.sender = Sender::parse("\"J\u{f5}geva\" <j\u{f5}geva@j\u{f5}geva.ee>").unwrap()
    }),
    ("several_senders", |head, _| {
        let long = "A Sender With a Very Long Name, of the Department of Long Names";
        head.sender =
            Sender::parse(&format!("\"{long}\" <a@example.org>, b@example.com, \"C\" <c@example.net>"))
                .unwrap();
    }),
    ("ipv6", |_, parcel| parcel.ip = "2001:db8:85a3:8d3:1319:8a2e:370:7348".parse().ok()),
    ("nobody_asked", |_, parcel| (parcel.ip, parcel.agent) = (None, None)),
    ("hostile_agent", |_, parcel| {
        let agent = "Firefox\r\nBcc: eve@example.com\r\n\r\n<img src=//evil.example> http://evil.example %TOKEN% %BASE_URL%";
        parcel.agent = UserAgent::parse(agent);
    }),
    ("hostile_address", |_, parcel| {
        parcel.to = Address::parse("evil.example/?%TOKEN%%BASE_URL%&lt'`{x}@example.net").unwrap();
    }),
    ("placeholders_in_values", |head, _| head.app_name = "%TOKEN% %BASE_URL% %TOKEN% %%TOKEN%%".to_owned()),
    ("markup_in_values", |head, _| {
        head.app_name = "</title><script src=\"//evil.example/x.js\">'&amp;".to_owned()
    }),
    ("line_breaks_in_values", |head, _| {
        head.app_name =
            "Notes\r\nBcc: eve@example.com\r\n\r\n--=_11111111-1111-1111-1111-111111111111--\n.\r".to_owned();
    }),
    ("control_characters", |head, _| {
        head.app_name = "No\0te\x08s\x1b[31m\u{202e}\u{200b}\u{feff}\x7f\u{85}".to_owned()
    }),
    ("deep_link", |head, _| head.link_base = "myapp://update-account".to_owned()),
    ("long_recipient", |_, parcel| {
        let to = format!("{}@{}.example.org", "a".repeat(64), ["b".repeat(60), "c".repeat(60)].join("."));
        parcel.to = Address::parse(&to).unwrap();
    }),
];

/// One mail of the matrix.
struct Case {
    name: String,
    input: &'static str,
    purpose: Purpose,
    sender: Sender,
    mail: Composed,
}

/// Every input in every mail, with the default texts and with an operator's own, and the plain ones signed.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (input, change) in INPUTS {
        for texts in ["default", "own"] {
            for purpose in Purpose::ALL {
                cases.push(case(input, texts, purpose, change, Vec::new()));
            }
        }
    }
    for purpose in Purpose::ALL {
        let signer = DkimSigner::new("example.org", "main", dkim_key()).unwrap();
        cases.push(case("signed", "default", purpose, |_, _| {}, vec![signer]));
    }
    cases
}

fn case(
    input: &'static str,
    texts: &str,
    purpose: Purpose,
    change: Change,
    signers: Vec<DkimSigner>,
) -> Case {
    let [reset, confirm, changed] = [Purpose::Reset, Purpose::Confirm, Purpose::PasswordChanged].map(Own::of);
    fn overrides(own: &Own) -> Overrides<'_> {
        Overrides { subject: Some(&own.subject), text: Some(&own.text), html: Some(&own.html) }
    }
    let mut head = letterhead(match texts {
        "own" => AllOverrides {
            reset: overrides(&reset),
            confirm: overrides(&confirm),
            changed: overrides(&changed),
        },
        _ => AllOverrides::default(),
    });
    let mut parcel = parcel(purpose);
    change(&mut head, &mut parcel);
    let sender = head.sender.clone();
    let mail = Composer::new(head).signed_by(signers).compose(&parcel).unwrap();
    Case { name: format!("{input}.{texts}.{purpose}.eml"), input, purpose, sender, mail }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/mail/snapshots")
}

/// The header as unfolded fields, and the lines as they stand there.
fn header(raw: &str) -> (Vec<(&str, String)>, Vec<&str>) {
    let (head, _) = raw.split_once("\r\n\r\n").unwrap();
    let lines: Vec<&str> = head.split("\r\n").collect();
    let mut fields: Vec<(&str, String)> = Vec::new();
    for line in &lines {
        match fields.last_mut() {
            Some((_, value)) if line.starts_with([' ', '\t']) => value.push_str(line),
            _ => fields.push(line.split_once(": ").map(|(name, value)| (name, value.to_owned())).unwrap()),
        }
    }
    (fields, lines)
}

#[test]
fn all_mails_are_as_kept() {
    let kept: Vec<String> = {
        let files =
            std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        files.filter(|name| name.ends_with(".eml")).collect()
    };
    let cases = cases();
    let writes = std::env::var_os("REGAIN_WRITE_SNAPSHOTS").is_some();
    for name in kept.iter().filter(|name| !cases.iter().any(|case| &case.name == *name)) {
        assert!(writes, "{name} is no mail any more");
        std::fs::remove_file(folder().join(name)).unwrap();
    }
    for case in &cases {
        let path = folder().join(&case.name);
        if writes {
            std::fs::write(&path, &case.mail.raw).unwrap();
        }
        let kept = std::fs::read(&path).unwrap_or_default();
        assert!(
            kept == *case.mail.raw,
            "{} differs; look at it with REGAIN_WRITE_SNAPSHOTS=1 and git diff",
            case.name
        );
    }
}

#[test]
fn every_line_of_every_mail_is_short_and_clean() {
    for Case { name, input, mail, .. } in cases() {
        let raw = source(&mail);
        let (_, lines) = header(raw);
        // What cannot be folded is an address, or what stands before it in its line.
        let too_long: Vec<_> = lines.iter().filter(|line| line.len() > 78).collect();
        let may_be_long =
            |line: &str| input == "long_recipient" && (line.starts_with("To: <") || line.starts_with(" <"));
        assert!(too_long.iter().all(|line| may_be_long(line)), "{name}: {too_long:?}");
        let ascii = match input {
            "smtputf8" => raw.replacen("j\u{f5}geva@example.org", "", 1),
            "smtputf8_sender" => raw.replacen("j\u{f5}geva@j\u{f5}geva.ee", "", 1),
            _ => raw.to_owned(),
        };
        assert_is_clean(&ascii);
        assert!(!ascii.contains(|c: char| c.is_ascii_control() && !"\r\n\t".contains(c)), "{name}");
    }
}

#[test]
fn every_header_stands_there_once_and_none_comes_from_outside() {
    const ONCE: [&str; 9] = [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
        "MIME-Version",
        "Content-Type",
    ];
    for Case { name, input, sender, mail, .. } in cases() {
        let (fields, _) = header(source(&mail));
        let more: &[&str] = match input {
            "several_senders" => &["Sender"],
            "signed" => &["DKIM-Signature"],
            _ => &[],
        };
        let mut expected: Vec<&str> = ONCE.iter().chain(more).copied().collect();
        let mut found: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{name}");
        let value = |wanted: &str| fields.iter().find(|(name, _)| *name == wanted).unwrap().1.as_str();
        let id = format!("<11111111-1111-1111-1111-111111111111@{}>", sender.envelope().domain());
        assert_eq!((value("Message-ID"), mail.message_id.as_str()), (id.as_str(), id.as_str()));
        assert_eq!(value("Auto-Submitted"), "auto-generated");
        assert_eq!(value("Date"), "Sun, 22 Nov 2026 20:00:10 +0000");
    }
}

#[test]
fn two_parsers_read_what_was_composed() {
    let cases = cases();
    // The kept files are the mails; another test sees to that.
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/lib/parse_mail.py");
    let files = cases.iter().map(|case| folder().join(&case.name));
    let output = Command::new("python3").arg(script).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen_by_python: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen_by_python.len(), cases.len());
    for (case, python) in cases.iter().zip(&seen_by_python) {
        let Case { name, mail, sender, .. } = case;
        assert_eq!(parsed(mail), (mail.subject.clone(), mail.text.clone(), mail.html.clone()), "{name}");
        let rust = mail_parser::MessageParser::default().parse(&mail.raw[..]).unwrap();
        let from: Vec<_> = rust
            .from()
            .unwrap()
            .iter()
            .map(|one| (one.name().unwrap_or(""), one.address().unwrap()))
            .collect();
        let wanted: Vec<_> = sender.mailboxes().iter().map(|one| (one.name(), one.address())).collect();
        assert_eq!(from, wanted, "{name}");
        let to: Vec<_> = rust.to().unwrap().iter().map(|one| (one.name(), one.address().unwrap())).collect();
        assert_eq!(to, [(None, mail.envelope_to.as_str())], "{name}");

        let lines = |key: &str| python[key].as_str().unwrap().replace("\r\n", "\n");
        assert_eq!((lines("text"), lines("html")), (mail.text.clone(), mail.html.clone()), "{name}");
        let headers: BTreeMap<&str, &str> = python["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
            .collect();
        assert_eq!(headers["Subject"], mail.subject, "{name}");
        assert_eq!(headers["To"], mail.envelope_to, "{name}");
        assert_eq!(python["defects"], Value::Array(Vec::new()), "{name}");
        assert_eq!(python["type"], "multipart/alternative", "{name}");
        assert_eq!(python["parts"], serde_json::json!(["text/plain", "text/html"]), "{name}");
    }
    links_are_the_same_for_text_and_html(&cases, &seen_by_python);
}

/// One link, the same in both parts, or none; and nothing that is fetched from elsewhere.
fn links_are_the_same_for_text_and_html(cases: &[Case], seen: &[Value]) {
    for (Case { name, input, purpose, .. }, python) in cases.iter().zip(seen) {
        let base =
            if *input == "deep_link" { "myapp://update-account" } else { "https://accounts.example.org" };
        let links = match purpose {
            Purpose::Reset => serde_json::json!([format!("{base}/reset-password?token={TOKEN}")]),
            Purpose::Confirm => serde_json::json!([format!("{base}/confirm-email?token={TOKEN}")]),
            Purpose::PasswordChanged => serde_json::json!([]),
        };
        assert_eq!(python["htmlLinks"], links, "{name}");
        // `</title><script src="//evil...` and the like are text; only the link itself has `://`.
        assert_eq!(python["textLinks"], links, "{name}");
        assert_eq!(python["remote"], serde_json::json!([]), "{name}");
    }
}

#[tokio::test]
async fn every_mail_crosses_the_wire_with_its_dots_doubled_and_arrives_as_it_was() {
    let server = ScriptedServer::start().await;
    let pool = Pool::start(Settings::parse(&server.url()).unwrap(), Deadlines::default(), TrustRoots::System)
        .unwrap();
    let mails: Vec<_> = cases().into_iter().filter(|case| !case.input.starts_with("smtputf8")).collect();
    for Case { mail, .. } in &mails {
        let envelope = Envelope { from: mail.envelope_from.clone(), to: mail.envelope_to.clone() };
        pool.send(envelope, mail.raw.clone()).await.unwrap();
    }
    let received = server.messages();
    assert_eq!(received.len(), mails.len());
    for (Case { name, mail, .. }, received) in mails.iter().zip(&received) {
        assert!(received.data == *mail.raw, "{name}");
    }
    let wire: String = server.connections().iter().map(|connection| connection.text()).collect();
    assert!(!wire.replace("\r\n", "").contains(['\r', '\n']), "a bare CR or LF");
    let lone_dots = wire.split("\r\n").filter(|line| *line == ".").count();
    assert_eq!(lone_dots, mails.len(), "one final dot a mail");
    let own = mails.iter().filter(|case| case.name.contains(".own.")).count();
    assert!(wire.matches("\r\n...\r\n").count() >= own, "a line of two dots has three");
    assert!(wire.matches("\r\n..begins with a dot").count() >= own);
    let dotted = wire.split("\r\n").filter(|line| line.starts_with('.') && *line != ".");
    assert!(dotted.clone().all(|line| line.starts_with("..")));
    assert!(!wire.contains("BODY=8BITMIME"), "seven bits are enough");
}
