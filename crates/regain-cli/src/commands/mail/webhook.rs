//! `regain mail test` where a webhook takes the mails: a test mail is posted, and what was answered is told.

use std::process::ExitCode;

use anyhow::Result;
use regain::Config;
use regain::app::post_test_mail;
use regain::mail::WebhookSettings;
use regain::mail::smtp::Fault;
use regain_core::mailer::LaterKind;
use regain_core::{Address, DeliveryError, LetterId, OsRng, Timestamp};
use serde_json::json;

use crate::commands::diagnosis::consequence;
use crate::output::{self, printable};
use crate::running;

/// Posts a test mail to `to`.
pub(super) fn run(
    config: &Config,
    webhook: &WebhookSettings,
    to: &Address,
    now: Timestamp,
    json: bool,
) -> Result<ExitCode> {
    let url = webhook.redacted();
    let id = LetterId::new(now, &OsRng)?;
    let outcome = running::block_on(async { Ok(post_test_mail(config, to, id, now).await?) })?;
    let mut lines = vec![
        format!("webhook: {url}"),
        format!(
            "  {:<9} mail.test, webhook-id {id}, signed with {}",
            "post",
            secrets(webhook.secret_count())
        ),
    ];
    let (reply, failed) = match outcome {
        Ok(receipt) => {
            lines.push(format!("  {:<9} {}", "answer", printable(&receipt.reply)));
            lines.push(
                "accepted by the webhook: whether the mail arrives is the receiver's to tell".to_owned(),
            );
            (Some(receipt.reply), None)
        }
        Err(error) => {
            let (reason, reply, fault) = parts(error);
            lines.push(format!("  {:<9} {}", "FAILED", printable(&reason)));
            if let Some(reply) = &reply {
                lines.push(format!("  {:<9} {}", "it said", printable(reply)));
            }
            let consequence = consequence(fault, "the webhook");
            lines.push(format!("  {:<9} would {consequence}", "Regain"));
            lines.push("not accepted by the webhook; docs/webhook.md says what each answer means".to_owned());
            (None, Some(json!({ "error": reason, "reply": reply, "consequence": consequence })))
        }
    };
    let accepted = failed.is_none();
    let told = if json {
        let webhook = json!({ "webhook": url, "accepted": accepted, "reply": reply, "failed": failed });
        output::pretty(&json!({ "accepted": accepted, "webhook": webhook }))?
    } else {
        lines.join("\n")
    };
    output::say(&told)?;
    Ok(if accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn secrets(count: usize) -> String {
    if count == 1 { "1 secret".to_owned() } else { format!("{count} secrets") }
}

/// What went wrong, what the receiver said, and whose fault the courier takes it for.
fn parts(error: DeliveryError) -> (String, Option<String>, Fault) {
    match error {
        DeliveryError::NotBegun => (error.to_string(), None, Fault::Later(LaterKind::Other)),
        DeliveryError::Relay { reason, permanent } => (reason, None, Fault::Relay { permanent }),
        DeliveryError::Later { reason, reply, kind } => (reason, reply, Fault::Later(kind)),
        DeliveryError::Never { reason, reply } => (reason, reply, Fault::Never),
    }
}
