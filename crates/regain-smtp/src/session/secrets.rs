//! Owns what a relay's words must not repeat where people read them: the login, in the forms in which it crosses the wire.
//! A relay may know it from any connection before, so this is for every reply. It must not keep a reply from being
//! understood: its codes and its extensions count whatever its text holds.

use zeroize::Zeroizing;

use super::auth;
use super::reply::Lines;
use crate::Settings;

/// What is shorter may be a part of ordinary words, and is looked for as a word of its own.
const TELLING: usize = 8;

/// The forms of one login, in lower case: a relay may change the case of what it repeats.
pub(super) struct Secrets(Vec<Zeroizing<String>>);

impl Secrets {
    pub(super) fn new(settings: &Settings) -> Self {
        let login = settings.user().zip(settings.expose_password());
        let Some((user, password)) = login.filter(|(_, password)| !password.is_empty()) else {
            return Self(Vec::new());
        };
        // A line that was repeated in part is given away by what stands before the password.
        let heads = [auth::plain(user, ""), auth::xoauth2_head(user)];
        let heads = heads.iter().map(|head| auth::encode(&head.as_bytes()[..head.len() / 3 * 3]));
        let wholes = [auth::plain(user, password), auth::xoauth2(user, password)];
        let wholes = wholes.iter().map(|whole| auth::encode(whole.as_bytes()));
        let alone = [Zeroizing::new(password.to_owned()), auth::encode(password.as_bytes())];
        let telling = heads.filter(|head| head.len() >= TELLING);
        let forms = telling.chain(wholes).chain(alone);
        let forms = forms.map(|form| Zeroizing::new(form.trim_end_matches('=').to_lowercase()));
        Self(forms.filter(|form| !form.is_empty()).collect())
    }

    /// Whether the text of this reply repeats the login, perhaps over several lines.
    pub(super) fn are_in(&self, reply: &Lines) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let texts = [reply.lines.concat(), reply.lines.join("\n")];
        let texts = texts.map(|text| Zeroizing::new(Zeroizing::new(text).to_lowercase()));
        self.0.iter().any(|form| texts.iter().any(|text| is_in(text, form)))
    }
}

fn is_in(text: &str, form: &str) -> bool {
    text.match_indices(form).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let behind = text[at + form.len()..].chars().next();
        let is_word = !before.into_iter().chain(behind).any(char::is_alphanumeric);
        form.len() >= TELLING || is_word
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_withheld(url: &str, text: &str) -> bool {
        let lines = text.split('\n').map(str::to_owned).collect();
        let secrets = Secrets::new(&Settings::parse(url).expect("valid"));
        secrets.are_in(&Lines { code: 550, lines, repeats_login: false })
    }

    #[test]
    fn a_login_is_found_in_each_form_in_pieces_and_in_another_case() {
        let url = "smtp://ada:correct%20Horse@localhost";
        for text in [
            "you said correct Horse",
            "you said CORRECT HORSE, did you",
            "you said correct\n Horse",
            "bad command: Y29ycmVjdCBIb3JzZQ==",
            "bad command: Y29ycmVjdCBIb3JzZQ",
            "bad command: AUTH PLAIN AGFkYQBjb3JyZWN0IEhvcnNl",
            "bad command: AUTH XOAUTH2 dXNlcj1hZGEBYXV0aD1CZWFyZXIgY29ycmVjdCBIb3JzZQEB",
            "bad command: AUTH XOAUTH2 dXNlcj1hZGEBYXV0aD1CZWFyZXIgY29ycm",
        ] {
            assert!(is_withheld(url, text), "{text}");
        }
        for text in ["5.1.1 no such user ada", "correct", "horse correct", ""] {
            assert!(!is_withheld(url, text), "{text}");
        }
    }

    #[test]
    fn a_short_password_is_a_word_and_none_is_nowhere() {
        let url = "smtp://user:spam@localhost";
        assert!(is_withheld(url, "5.7.8 wrong password: spam") && is_withheld(url, "spam\nno"));
        assert!(is_withheld(url, "not AHVzZXIAc3BhbQ=="));
        assert!(!is_withheld(url, "5.7.1 spamming is not wanted") && !is_withheld(url, "antispam"));
        assert!(!is_withheld("smtp://localhost", "anything"));
        assert!(!is_withheld("smtp://user:%3D@localhost", "anything"));
    }
}
