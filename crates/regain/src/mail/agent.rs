//! What a mail says of the program that asked: a phrase of our own, never the header's text.
//!
//! The header is chosen by whoever asks, who may be a stranger: text of theirs in a mail of ours could be a link
//! or a message ("call this number"), so only words from this file are ever shown (Vaultwarden CVE-2024-55224).

use regain_core::UserAgent;

const UNKNOWN: &str = "an unknown program";

/// Programs by what their header holds, the more telling first: almost all claim to be Safari.
const PROGRAMS: [(&str, Program); 17] = [
    ("edg", Program::Edge),
    ("opr/", Program::Opera),
    ("samsungbrowser", Program::Samsung),
    ("fxios", Program::Firefox),
    ("firefox", Program::Firefox),
    ("crios", Program::Chrome),
    ("chrome", Program::Chrome),
    ("chromium", Program::Chrome),
    ("safari", Program::Safari),
    ("okhttp", Program::App),
    ("dalvik", Program::App),
    ("cfnetwork", Program::App),
    ("react", Program::App),
    ("realm", Program::App),
    ("unity", Program::App),
    (".net", Program::App),
    ("curl", Program::Curl),
];

/// Systems by what the header holds; Android headers hold "Linux", those of iPhones "like Mac OS X".
const SYSTEMS: [(&str, System); 9] = [
    ("iphone", System::Ios),
    ("ipad", System::Ios),
    ("android", System::Android),
    ("okhttp", System::Android),
    ("windows", System::Windows),
    ("cros", System::ChromeOs),
    ("mac os", System::Mac),
    ("macintosh", System::Mac),
    ("linux", System::Linux),
];

#[derive(Clone, Copy)]
enum Program {
    Edge,
    Opera,
    Samsung,
    Firefox,
    Chrome,
    Safari,
    App,
    Curl,
}

#[derive(Clone, Copy)]
enum System {
    Ios,
    Android,
    Windows,
    ChromeOs,
    Mac,
    Linux,
}

/// A phrase such as `Firefox on Windows`, or `an unknown program`.
pub(super) fn spoken(agent: Option<&UserAgent>) -> &'static str {
    let Some(agent) = agent else { return UNKNOWN };
    let header = agent.as_str().to_ascii_lowercase();
    let Some(program) = first(&PROGRAMS, &header) else { return UNKNOWN };
    phrase(program, first(&SYSTEMS, &header))
}

fn first<T: Copy>(table: &[(&str, T)], header: &str) -> Option<T> {
    table.iter().find(|(mark, _)| header.contains(mark)).map(|(_, value)| *value)
}

/// Every phrase that there is, written out, so that this file shows all that a stranger can choose from.
fn phrase(program: Program, system: Option<System>) -> &'static str {
    macro_rules! on {
        ($name:literal) => {
            match system {
                Some(System::Ios) => concat!($name, " on iOS"),
                Some(System::Android) => concat!($name, " on Android"),
                Some(System::Windows) => concat!($name, " on Windows"),
                Some(System::ChromeOs) => concat!($name, " on ChromeOS"),
                Some(System::Mac) => concat!($name, " on macOS"),
                Some(System::Linux) => concat!($name, " on Linux"),
                None => $name,
            }
        };
    }
    match program {
        Program::Edge => on!("Edge"),
        Program::Opera => on!("Opera"),
        Program::Samsung => on!("Samsung Internet"),
        Program::Firefox => on!("Firefox"),
        Program::Chrome => on!("Chrome"),
        Program::Safari => on!("Safari"),
        Program::App => on!("an app"),
        Program::Curl => on!("curl"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(header: &str) -> &'static str {
        spoken(UserAgent::parse(header).as_ref())
    }

    #[test]
    fn well_known_programs_have_their_names() {
        for (header, phrase) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
                "Firefox on Windows",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
                "Chrome on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36 Edg/131.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
                "Safari on iOS",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 Chrome/122.0 Mobile Safari/537.36",
                "Samsung Internet on Android",
            ),
            ("okhttp/4.12.0", "an app on Android"),
            ("Notes/7 CFNetwork/1568.200.51 Darwin/24.1.0", "an app"),
            ("curl/7.88.1", "curl"),
            ("", UNKNOWN),
            ("sqlmap", UNKNOWN),
        ] {
            assert_eq!(said(header), phrase, "{header}");
        }
    }

    #[test]
    fn nothing_of_the_header_itself_is_shown() {
        for hostile in
            ["http://evil.example/ Firefox", "Firefox<img src=//evil.example>", "Firefox %TOKEN% %BASE_URL%"]
        {
            assert_eq!(said(hostile), "Firefox");
        }
        assert_eq!(said("see www.evil.example"), UNKNOWN);
    }

    proptest! {
        #[test]
        fn a_phrase_is_short_and_plain(header in "\\PC{0,200}") {
            let phrase = said(&header);
            prop_assert!(phrase.len() < 40);
            prop_assert!(phrase.chars().all(|c| c.is_ascii_alphabetic() || c == ' '));
        }
    }
}
