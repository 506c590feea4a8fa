//! The pages as HTML. Everything that is not written here is escaped: a subject or an address may be hostile.

use crate::escape::push_html;
use std::fmt::Write;
use std::sync::Arc;

use regain_core::Timestamp;

use crate::mail::Message;

/// The page on which the flows are tried.
pub(super) fn try_it(app_name: &str) -> String {
    shell("Try it", app_name, "/dev/try.js", include_str!("assets/try.html"))
}

/// The page on which the API is read and tried. Everything it shows, its script takes from `/openapi.json`.
#[cfg(feature = "openapi")]
pub(super) fn docs(app_name: &str) -> String {
    shell("API", app_name, "/dev/docs.js", include_str!("assets/docs.html"))
}

/// The link to the page of the API, where there is one.
const API_LINK: &str = if cfg!(feature = "openapi") { " <a href=\"/docs\">API</a>" } else { "" };

/// The list of mails, newest first.
pub(super) fn list(app_name: &str, messages: &[Arc<Message>]) -> String {
    let newest = messages.first().map_or("", |message| &message.id);
    let mut body = format!(
        "<div class=\"bar\"><h1 id=\"mailbox\" data-newest=\"{}\">Mailbox</h1>\
         <button type=\"button\" id=\"clear\"{}>Delete all</button></div>\n",
        escaped(newest),
        if messages.is_empty() { " disabled" } else { "" },
    );
    if messages.is_empty() {
        body.push_str(
            "<p class=\"card empty\">No mail yet. New mail shows up here by itself; \
             <a href=\"/\">try a flow</a> to get one.</p>\n",
        );
        return shell("Mailbox", app_name, "/dev/mailbox.js", &body);
    }
    body.push_str("<ul class=\"card mails\">\n");
    for message in messages {
        // Writing to a string cannot fail.
        let _ = writeln!(
            body,
            "<li><a href=\"/dev/mailbox/mail/{}\"><strong>{}</strong><span>to {}</span>{}</a></li>",
            escaped(&message.id),
            escaped(&message.subject),
            escaped(&message.to),
            time(message.at),
        );
    }
    body.push_str("</ul>\n");
    shell("Mailbox", app_name, "/dev/mailbox.js", &body)
}

/// One mail in all its forms.
pub(super) fn mail(app_name: &str, message: &Message) -> String {
    let id = escaped(&message.id);
    let body = format!(
        "<p><a href=\"/dev/mailbox\">\u{2190} All mails</a></p>\n\
         <h1>{subject}</h1>\n\
         <dl><dt>From</dt><dd>{from}</dd><dt>To</dt><dd>{to}</dd><dt>Asked for</dt><dd>{at}</dd></dl>\n\
         <h2>HTML</h2>\n\
         <iframe class=\"card\" title=\"The mail's HTML\" src=\"/dev/mailbox/mail/{id}/html\" \
         sandbox=\"allow-popups allow-popups-to-escape-sandbox\"></iframe>\n\
         <h2>Text</h2>\n<pre class=\"card\">{text}</pre>\n\
         <details><summary>Source</summary>\n<pre class=\"card\">{source}</pre>\n\
         <p><a href=\"/dev/mailbox/mail/{id}/source\">The source alone</a></p></details>\n",
        subject = escaped(&message.subject),
        from = escaped(&message.from),
        to = escaped(&message.to),
        at = time(message.at),
        text = escaped(&message.text),
        source = escaped(&String::from_utf8_lossy(&message.raw)),
    );
    shell(&message.subject, app_name, "/dev/mailbox.js", &body)
}

/// The HTML of a mail for a frame: its links open a new tab, as in a mail program.
pub(super) fn framed(html: &str) -> String {
    const BASE: &str = "<base target=\"_blank\">";
    let head = html.to_ascii_lowercase().find("<head>").map(|at| at + "<head>".len());
    let (before, after) = html.split_at(head.unwrap_or(0));
    format!("{before}{BASE}{after}")
}

/// A point in time as `2026-11-22T20:00:10.123Z`.
pub(super) fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

fn time(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("<time datetime=\"{at}\">{} UTC</time>", at.strftime("%Y-%m-%d %H:%M:%S"))
}

fn shell(title: &str, app_name: &str, script: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title} \u{b7} {app} (development)</title>\n\
         <link rel=\"stylesheet\" href=\"/dev/style.css\">\n\
         <script src=\"{script}\" defer></script>\n</head>\n<body>\n\
         <header><span class=\"app\">{app}</span> <span class=\"tag\">development</span>\n\
         <nav><a href=\"/\">Try it</a> <a href=\"/dev/mailbox\">Mailbox <span id=\"count\"></span></a>{API_LINK}</nav></header>\n\
         <main>\n{body}</main>\n</body>\n</html>\n",
        title = escaped(title),
        app = escaped(app_name),
    )
}

/// Text as it may stand in an element or a quoted attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push_html(c, &mut out));
    out
}
