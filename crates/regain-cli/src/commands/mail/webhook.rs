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
    let say = |line: &str| {
        if !json {
            // Whoever has closed stdout sees nothing more; the exit code still tells.
            let _ = output::say(line);
        }
    };
    say(&format!("webhook: {url}"));
    say(&format!(
        "  {:<9} mail.test, webhook-id {id}, signed with {}",
        "post",
        secrets(webhook.secret_count())
    ));
    let outcome = running::block_on(async { Ok(post_test_mail(config, to, id, now).await?) })?;
    let (reply, failed) = match outcome {
        Ok(receipt) => {
            say(&format!("  {:<9} {}", "answer", printable(&receipt.reply)));
            say("accepted by the webhook: whether the mail arrives is the receiver's to tell");
            (Some(receipt.reply), None)
        }
        Err(error) => {
            let (reason, reply, fault) = parts(error);
            say(&format!("  {:<9} {}", "FAILED", printable(&reason)));
            if let Some(reply) = &reply {
                say(&format!("  {:<9} {}", "it said", printable(reply)));
            }
            let consequence = consequence(fault, "the webhook");
            say(&format!("  {:<9} would {consequence}", "Regain"));
            say("not accepted by the webhook; docs/webhook.md says what each answer means");
            (None, Some(json!({ "error": reason, "reply": reply, "consequence": consequence })))
        }
    };
    let accepted = failed.is_none();
    if json {
        let webhook = json!({ "webhook": url, "accepted": accepted, "reply": reply, "failed": failed });
        output::say(&output::pretty(&json!({ "accepted": accepted, "webhook": webhook }))?)?;
    }
    Ok(if accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn secrets(count: usize) -> String {
    if count == 1 { "1 secret".to_owned() } else { format!("{count} secrets") }
}

/// What went wrong, what the receiver said, and whose fault the courier takes it for.
fn parts(error: DeliveryError) -> (String, Option<String>, Fault) {
    match error {
        DeliveryError::NotBegun | DeliveryError::HeldBack => {
            (error.to_string(), None, Fault::Later(LaterKind::Other))
        }
        DeliveryError::Relay { reason, permanent } => (reason, None, Fault::Relay { permanent }),
        DeliveryError::Later { reason, reply, kind } => (reason, reply, Fault::Later(kind)),
        DeliveryError::Never { reason, reply } => (reason, reply, Fault::Never),
    }
}
