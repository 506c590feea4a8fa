//! The templates of the three mails: our defaults, and over them, field by field, what the operator wrote.

use regain_core::Purpose;

use super::template::{Part, Rules, Template, TemplateError};

/// All templates in force.
#[derive(Clone, Debug)]
pub struct Templates {
    reset: MailTemplate,
    confirm: MailTemplate,
    changed: MailTemplate,
}

/// The three parts of one mail.
#[derive(Clone, Debug)]
pub struct MailTemplate {
    /// One line.
    pub subject: Template,
    /// The plain text.
    pub text: Template,
    /// The HTML.
    pub html: Template,
}

/// What an operator wrote for one mail; what is absent keeps its default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overrides<'t> {
    /// `subject`.
    pub subject: Option<&'t str>,
    /// `textTemplate`.
    pub text: Option<&'t str>,
    /// `htmlTemplate`.
    pub html: Option<&'t str>,
}

/// What an operator wrote for all mails.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllOverrides<'t> {
    /// `resetActionConfig`.
    pub reset: Overrides<'t>,
    /// `confirmActionConfig`.
    pub confirm: Overrides<'t>,
    /// `changedActionConfig`.
    pub changed: Overrides<'t>,
}

/// One template that breaks its rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {part:?} template of the {purpose} mail {error}")]
pub struct TemplateMistake {
    /// The mail.
    pub purpose: Purpose,
    /// The part of it.
    pub part: Part,
    /// What is wrong; reads on after the key's name.
    pub error: TemplateError,
}

impl Templates {
    /// Puts the templates together. `has_base` says that there is a value for `%BASE_URL%`.
    ///
    /// # Errors
    /// All mistakes at once. Without a base the defaults of the reset and the confirm mail are mistakes too.
    pub fn new(overrides: AllOverrides<'_>, has_base: bool) -> Result<Self, Vec<TemplateMistake>> {
        let mut mistakes = Vec::new();
        let mut mail = |purpose, own: Overrides<'_>, default: DefaultTexts| {
            let mut part = |part, own: Option<&str>, default| {
                let rules = Rules { purpose, part, has_base };
                let parsed = Template::parse(own.unwrap_or(default), rules);
                parsed.map_err(|error| mistakes.push(TemplateMistake { purpose, part, error })).ok()
            };
            let subject = part(Part::Subject, own.subject, default.subject);
            let text = part(Part::Text, own.text, default.text);
            let html = part(Part::Html, own.html, default.html);
            Some(MailTemplate { subject: subject?, text: text?, html: html? })
        };
        let reset = mail(Purpose::Reset, overrides.reset, RESET);
        let confirm = mail(Purpose::Confirm, overrides.confirm, CONFIRM);
        let changed = mail(Purpose::PasswordChanged, overrides.changed, CHANGED);
        match (reset, confirm, changed) {
            (Some(reset), Some(confirm), Some(changed)) => Ok(Self { reset, confirm, changed }),
            _ => Err(mistakes),
        }
    }

    /// The templates of the mail for that purpose.
    pub fn of(&self, purpose: Purpose) -> &MailTemplate {
        match purpose {
            Purpose::Reset => &self.reset,
            Purpose::Confirm => &self.confirm,
            Purpose::PasswordChanged => &self.changed,
        }
    }
}

/// The texts of a default mail, also what `regain init` writes into files.
#[derive(Clone, Copy, Debug)]
pub struct DefaultTexts {
    /// The subject, with the line break that ends its file.
    pub subject: &'static str,
    /// The plain text.
    pub text: &'static str,
    /// The HTML.
    pub html: &'static str,
}

/// The mail with the link that resets a password. Subject and link are those of ROS.
pub const RESET: DefaultTexts = DefaultTexts {
    subject: include_str!("defaults/reset.subject"),
    text: include_str!("defaults/reset.txt"),
    html: include_str!("defaults/reset.html"),
};

/// The mail with the link that confirms an address. Subject and link are those of ROS.
pub const CONFIRM: DefaultTexts = DefaultTexts {
    subject: include_str!("defaults/confirm.subject"),
    text: include_str!("defaults/confirm.txt"),
    html: include_str!("defaults/confirm.html"),
};

/// The mail that says that the password was changed. ROS had none.
pub const CHANGED: DefaultTexts = DefaultTexts {
    subject: include_str!("defaults/changed.subject"),
    text: include_str!("defaults/changed.txt"),
    html: include_str!("defaults/changed.html"),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_obey_the_rules() {
        assert!(Templates::new(AllOverrides::default(), true).is_ok());
    }

    #[test]
    fn a_field_that_is_left_out_keeps_its_default() {
        let reset = Overrides { text: Some("own %TOKEN%"), ..Overrides::default() };
        let own = Templates::new(AllOverrides { reset, ..AllOverrides::default() }, true).unwrap();
        let default = Templates::new(AllOverrides::default(), true).unwrap();
        let (own_reset, default_reset) = (own.of(Purpose::Reset), default.of(Purpose::Reset));
        assert_ne!(own_reset.text, default_reset.text);
        assert_eq!(own_reset.html, default_reset.html);
        assert_eq!(own_reset.subject, default_reset.subject);
        assert_eq!(own.of(Purpose::Confirm).text, default.of(Purpose::Confirm).text);
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let bad = Overrides { subject: Some("%TOKEN%"), text: Some("no link"), html: Some(" ") };
        let mistakes =
            Templates::new(AllOverrides { reset: bad, confirm: bad, changed: bad }, true).unwrap_err();
        let found: Vec<_> = mistakes.iter().map(|mistake| (mistake.purpose, mistake.part)).collect();
        assert_eq!(
            found,
            [
                (Purpose::Reset, Part::Subject),
                (Purpose::Reset, Part::Text),
                (Purpose::Reset, Part::Html),
                (Purpose::Confirm, Part::Subject),
                (Purpose::Confirm, Part::Text),
                (Purpose::Confirm, Part::Html),
                (Purpose::PasswordChanged, Part::Subject),
                (Purpose::PasswordChanged, Part::Html),
            ]
        );
    }

    #[test]
    fn without_a_base_the_mails_with_links_are_mistakes() {
        let mistakes = Templates::new(AllOverrides::default(), false).unwrap_err();
        assert_eq!(mistakes.len(), 4);
        let own =
            Overrides { text: Some("myapp://x/%TOKEN%"), html: Some("myapp://x/%TOKEN%"), subject: None };
        let all = AllOverrides { reset: own, confirm: own, ..AllOverrides::default() };
        assert!(Templates::new(all, false).is_ok());
    }
}
