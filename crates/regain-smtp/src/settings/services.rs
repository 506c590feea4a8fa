//! Owns the table of services that a URL can name (`?service=Gmail`): nodemailer's, as of its version 10.6.0. It
//! must not decide what a preset means beside the rest of a URL.

use super::AuthMethod;

/// A mail service, with what its preset puts in place of the URL's own words.
pub(super) struct Service {
    /// The name in nodemailer's spelling.
    pub(super) name: &'static str,
    /// What it can be looked up by, in the form of [`key`], with spaces between.
    keys: &'static str,
    /// `None`: the URL's own.
    pub(super) host: Option<&'static str>,
    /// `None`: the URL's own.
    pub(super) port: Option<u16>,
    /// Whether TLS is spoken from the first byte; `None` where the preset leaves it open.
    pub(super) secure: Option<bool>,
    pub(super) auth_method: Option<AuthMethod>,
    pub(super) require_tls: Option<bool>,
    pub(super) ignore_tls: Option<bool>,
}

/// Finds a service by its name, an alias, its domain, or a mail address there.
pub(super) fn find(name: &str) -> Option<&'static Service> {
    let key = key(name);
    SERVICES.iter().find(|service| service.keys().any(|known| known == key))
}

/// The service whose name is nearest to a misspelt one, if one is near.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let key = key(name);
    let distances = SERVICES.iter().filter_map(|service| {
        let distance = service.keys().map(|known| strsim::damerau_levenshtein(&key, known)).min()?;
        Some((distance, service.name))
    });
    distances
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 2.min(key.len() / 3))
        .map(|(_, name)| name)
}

/// The names of all services.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SERVICES.iter().map(|service| service.name)
}

/// What a name is looked up by: what stands behind its last `@`, of that the ASCII letters, digits, dots and
/// hyphens, in lower case.
fn key(name: &str) -> String {
    let domain = name.rsplit('@').next().unwrap_or_default();
    let kept = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
    domain.chars().filter(kept).map(|letter| letter.to_ascii_lowercase()).collect()
}

impl Service {
    fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.keys.split(' ')
    }

    const fn by_login(self) -> Self {
        Self { auth_method: Some(AuthMethod::Login), ..self }
    }

    const fn requiring_tls(self) -> Self {
        Self { require_tls: Some(true), ..self }
    }

    const fn without_tls(self) -> Self {
        Self { ignore_tls: Some(true), ..self }
    }
}

/// TLS from the first byte, on port 465.
const fn tls(name: &'static str, keys: &'static str, host: &'static str) -> Service {
    Service { secure: Some(true), ..open(name, keys, host, 465) }
}

/// Begins in clear text.
const fn clear(name: &'static str, keys: &'static str, host: &'static str, port: u16) -> Service {
    Service { secure: Some(false), ..open(name, keys, host, port) }
}

/// Leaves open how TLS is spoken; with an empty host or the port 0 these too.
const fn open(name: &'static str, keys: &'static str, host: &'static str, port: u16) -> Service {
    Service {
        name,
        keys,
        host: if host.is_empty() { None } else { Some(host) },
        port: if port == 0 { None } else { Some(port) },
        secure: None,
        auth_method: None,
        require_tls: None,
        ignore_tls: None,
    }
}

#[rustfmt::skip]
const SERVICES: [Service; 92] = [
    tls("126", "126", "smtp.126.com"),
    tls("163", "163", "smtp.163.com"),
    tls("1und1", "1und1", "smtp.1und1.de").by_login(),
    tls("Aliyun", "aliyun aliyun.com", "smtp.aliyun.com"),
    tls("AliyunQiye", "aliyunqiye", "smtp.qiye.aliyun.com"),
    open("AOL", "aol aol.com", "smtp.aol.com", 587),
    tls("Aruba", "aruba arubapec aruba.it pec.aruba.it", "smtps.aruba.it").by_login(),
    open("Bluewin", "bluewin bluewin.ch", "smtpauths.bluewin.ch", 465),
    open("BOL", "bol bol.com.br", "smtp.bol.com.br", 587).requiring_tls(),
    open("DebugMail", "debugmail", "debugmail.io", 25),
    clear("Disroot", "disroot disroot.org", "disroot.org", 587).by_login(),
    open("DynectEmail", "dynectemail dynect", "smtp.dynect.net", 25),
    tls("ElasticEmail", "elasticemail", "smtp.elasticemail.com"),
    open("Ethereal", "ethereal ethereal.email", "smtp.ethereal.email", 587),
    tls("FastMail", "fastmail fastmail.com fastmail.fm", "smtp.fastmail.com"),
    tls("Feishu Mail", "feishumail feishu www.feishu.cn", "smtp.feishu.cn"),
    tls("Forward Email", "forwardemail fe forwardemail.net", "smtp.forwardemail.net"),
    open("GandiMail", "gandimail gandi", "mail.gandi.net", 587),
    tls("Gmail", "gmail googlemail gmail.com googlemail.com", "smtp.gmail.com"),
    tls("GmailWorkspace", "gmailworkspace googleworkspacemail", "smtp-relay.gmail.com"),
    open("GMX", "gmx gmx.com gmx.net gmx.de", "mail.gmx.com", 587),
    open("Godaddy", "godaddy", "smtpout.secureserver.net", 25),
    open("GodaddyAsia", "godaddyasia", "smtp.asia.secureserver.net", 25),
    open("GodaddyEurope", "godaddyeurope", "smtp.europe.secureserver.net", 25),
    clear("Groundmail", "groundmail", "smtp.groundmail.dev", 587).requiring_tls(),
    open("hot.ee", "hot.ee", "mail.hot.ee", 0),
    open("Hotmail", "hotmail outlook outlook.com hotmail.com", "smtp-mail.outlook.com", 587),
    open("iCloud", "icloud me mac icloud.com me.com mac.com", "smtp.mail.me.com", 587),
    open("Infomaniak", "infomaniak ik.me ikmail.com etik.com", "mail.infomaniak.com", 587),
    tls("KolabNow", "kolabnow kolab kolabnow.com", "smtp.kolabnow.com").by_login(),
    open("Loopia", "loopia", "mailcluster.loopia.se", 465),
    open("Loops", "loops", "smtp.loops.so", 587),
    open("mail.ee", "mail.ee", "smtp.mail.ee", 0),
    tls("Mail.ru", "mail.ru", "smtp.mail.ru"),
    open("Mailcatch.app", "mailcatch.app", "sandbox-smtp.mailcatch.app", 2525),
    open("Maildev", "maildev", "", 1025).without_tls(),
    open("MailerSend", "mailersend", "smtp.mailersend.net", 587),
    tls("Mailgun", "mailgun", "smtp.mailgun.org"),
    open("Mailjet", "mailjet", "in.mailjet.com", 587),
    open("Mailosaur", "mailosaur", "mailosaur.io", 25),
    clear("MailSenpai", "mailsenpai", "relay.mailsenpai.com", 2525),
    open("Mailtrap", "mailtrap", "live.smtp.mailtrap.io", 587),
    open("Mandrill", "mandrill", "smtp.mandrillapp.com", 587),
    open("Naver", "naver", "smtp.naver.com", 587),
    clear("OhMySMTP", "ohmysmtp", "smtp.ohmysmtp.com", 587),
    tls("One", "one", "send.one.com"),
    tls("OpenMailBox", "openmailbox omb openmailbox.org", "smtp.openmailbox.org"),
    clear("Outlook365", "outlook365", "smtp.office365.com", 587),
    clear("Oveyon", "oveyon", "smtp.oveyon.com", 587).requiring_tls(),
    open("Postmark", "postmark postmarkapp", "smtp.postmarkapp.com", 2525),
    open("Proton", "proton protonmail proton.me protonmail.com protonmail.ch pm.me", "smtp.protonmail.ch", 587).requiring_tls(),
    tls("qiye.aliyun", "qiye.aliyun", "smtp.mxhichina.com"),
    tls("QQ", "qq qq.com", "smtp.qq.com"),
    tls("QQex", "qqex qqenterprise exmail.qq.com", "smtp.exmail.qq.com"),
    tls("Resend", "resend", "smtp.resend.com"),
    tls("Runbox", "runbox runbox.com", "smtp.runbox.com"),
    open("SendCloud", "sendcloud", "smtp.sendcloud.net", 2525),
    open("SendGrid", "sendgrid", "smtp.sendgrid.net", 587),
    open("SendinBlue", "sendinblue brevo", "smtp-relay.brevo.com", 587),
    tls("SendPulse", "sendpulse", "smtp-pulse.com"),
    tls("SES", "ses", "email-smtp.us-east-1.amazonaws.com"),
    tls("SES-AP-NORTHEAST-1", "ses-ap-northeast-1", "email-smtp.ap-northeast-1.amazonaws.com"),
    tls("SES-AP-NORTHEAST-2", "ses-ap-northeast-2", "email-smtp.ap-northeast-2.amazonaws.com"),
    tls("SES-AP-NORTHEAST-3", "ses-ap-northeast-3", "email-smtp.ap-northeast-3.amazonaws.com"),
    tls("SES-AP-SOUTH-1", "ses-ap-south-1", "email-smtp.ap-south-1.amazonaws.com"),
    tls("SES-AP-SOUTHEAST-1", "ses-ap-southeast-1", "email-smtp.ap-southeast-1.amazonaws.com"),
    tls("SES-AP-SOUTHEAST-2", "ses-ap-southeast-2", "email-smtp.ap-southeast-2.amazonaws.com"),
    tls("SES-CA-CENTRAL-1", "ses-ca-central-1", "email-smtp.ca-central-1.amazonaws.com"),
    tls("SES-EU-CENTRAL-1", "ses-eu-central-1", "email-smtp.eu-central-1.amazonaws.com"),
    tls("SES-EU-NORTH-1", "ses-eu-north-1", "email-smtp.eu-north-1.amazonaws.com"),
    tls("SES-EU-WEST-1", "ses-eu-west-1", "email-smtp.eu-west-1.amazonaws.com"),
    tls("SES-EU-WEST-2", "ses-eu-west-2", "email-smtp.eu-west-2.amazonaws.com"),
    tls("SES-EU-WEST-3", "ses-eu-west-3", "email-smtp.eu-west-3.amazonaws.com"),
    tls("SES-SA-EAST-1", "ses-sa-east-1", "email-smtp.sa-east-1.amazonaws.com"),
    tls("SES-US-EAST-1", "ses-us-east-1", "email-smtp.us-east-1.amazonaws.com"),
    tls("SES-US-EAST-2", "ses-us-east-2", "email-smtp.us-east-2.amazonaws.com"),
    tls("SES-US-GOV-EAST-1", "ses-us-gov-east-1", "email-smtp.us-gov-east-1.amazonaws.com"),
    tls("SES-US-GOV-WEST-1", "ses-us-gov-west-1", "email-smtp.us-gov-west-1.amazonaws.com"),
    tls("SES-US-WEST-1", "ses-us-west-1", "email-smtp.us-west-1.amazonaws.com"),
    tls("SES-US-WEST-2", "ses-us-west-2", "email-smtp.us-west-2.amazonaws.com"),
    tls("Seznam", "seznam seznamemail seznam.cz email.cz post.cz spoluzaci.cz", "smtp.seznam.cz"),
    open("SMTP2GO", "smtp2go", "mail.smtp2go.com", 2525),
    clear("SpacePost", "spacepost", "smtp.spacepost.dev", 25976).requiring_tls(),
    clear("Sparkpost", "sparkpost sparkpostmail sparkpost.com", "smtp.sparkpostmail.com", 587),
    open("Tipimail", "tipimail", "smtp.tipimail.com", 587),
    tls("TurboSMTP", "turbosmtp", "pro.turbo-smtp.com"),
    tls("TurboSMTP-EU", "turbosmtp-eu", "pro.eu.turbo-smtp.com"),
    tls("Tutanota", "tutanota tutanota.com tuta.com tutanota.de tuta.io", "smtp.tutanota.com"),
    tls("Yahoo", "yahoo yahoo.com", "smtp.mail.yahoo.com"),
    tls("Yandex", "yandex yandex.ru", "smtp.yandex.ru"),
    open("Zimbra", "zimbra zimbracollaboration", "smtp.zimbra.com", 587).requiring_tls(),
    tls("Zoho", "zoho", "smtp.zoho.com").by_login(),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_service_is_found_by_each_of_its_156_keys_and_by_its_name() {
        let mut keys = HashSet::new();
        for service in &SERVICES {
            assert_eq!(find(service.name).map(|found| found.name), Some(service.name));
            for known in service.keys() {
                assert!(keys.insert(known), "{known} stands for two services");
                assert_eq!(key(known), known, "a key is in its normal form");
                assert_eq!(find(known).map(|found| found.name), Some(service.name), "{known}");
                assert_eq!(nearest(known), Some(service.name), "{known}");
            }
            assert!(service.host.is_some() || service.ignore_tls == Some(true), "{}", service.name);
        }
        assert_eq!(keys.len(), 156);
    }

    #[test]
    fn a_service_is_found_however_its_name_is_written() {
        for name in [
            "Gmail",
            "gmail",
            "google mail",
            "Google Mail",
            "gmail.com",
            "me@gmail.com",
            "a@b@GMAIL",
            "g_mail",
        ] {
            assert_eq!(find(name).map(|found| found.name), Some("Gmail"), "{name}");
        }
        for (name, found) in
            [("163", "163"), ("126", "126"), ("Mail.Ru", "Mail.ru"), ("ses-eu-west-1", "SES-EU-WEST-1")]
        {
            assert_eq!(find(name).map(|found| found.name), Some(found), "{name}");
        }
        for name in ["", "@", "typo", "gmail@", "true", "0", "gmail.org", "smtp.gmail.com"] {
            assert!(find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_misspelt_name_is_put_right_and_another_one_is_not() {
        assert_eq!(nearest("Gmial"), Some("Gmail"));
        assert_eq!(nearest("send grit"), Some("SendGrid"));
        for name in ["", "x", "typo", "corporate-relay"] {
            assert_eq!(nearest(name), None, "{name}");
        }
    }
}
