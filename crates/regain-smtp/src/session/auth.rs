//! Owns the login: AUTH PLAIN (RFC 4616) and AUTH LOGIN. It must only be called when the policy for TLS is
//! satisfied, and what the relay says about the login never repeats it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::capabilities::Capabilities;
use super::reply::Lines;
use super::wire::Wire;
use crate::{Cause, Deadlines, Phase, SendError};

/// User and password for one relay.
pub(super) struct Login<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
}

impl Login<'_> {
    /// Logs in, by PLAIN where both are offered: it takes one round trip.
    pub(super) async fn perform(
        &self,
        wire: &mut Wire,
        capabilities: &Capabilities,
        deadlines: &Deadlines,
    ) -> Result<(), SendError> {
        let answer = if capabilities.auth_plain {
            self.plain(wire, deadlines).await?
        } else if capabilities.auth_login {
            self.login(wire, deadlines).await?
        } else {
            return Err(SendError::new(Phase::Auth, Cause::AuthUnavailable));
        };
        match answer.code {
            200..300 => Ok(()),
            400..600 => Err(self.refusal(answer)),
            _ => Err(SendError::new(Phase::Auth, Cause::Protocol("it keeps asking during the login"))),
        }
    }

    async fn plain(&self, wire: &mut Wire, deadlines: &Deadlines) -> Result<Lines, SendError> {
        let response = encode(&Zeroizing::new(format!("\0{}\0{}", self.user, self.password)));
        let command = Zeroizing::new(format!("AUTH PLAIN {}\r\n", *response));
        let answer = wire.exchange(Phase::Auth, command.as_bytes(), deadlines.command).await?;
        // Some servers ask although the response came with the command.
        if answer.code == 334 { say(wire, &response, deadlines).await } else { Ok(answer) }
    }

    async fn login(&self, wire: &mut Wire, deadlines: &Deadlines) -> Result<Lines, SendError> {
        let mut answer = wire.exchange(Phase::Auth, b"AUTH LOGIN\r\n", deadlines.command).await?;
        // The prompts differ between servers and are not looked at: the order is always user, password.
        for word in [self.user, self.password] {
            if answer.code != 334 {
                break;
            }
            answer = say(wire, &encode(word), deadlines).await?;
        }
        Ok(answer)
    }

    /// A relay that quotes the line it did not like would put the password into the operator's log.
    fn refusal(&self, answer: Lines) -> SendError {
        let whole = Zeroizing::new(answer.lines.concat());
        let plain = encode(&Zeroizing::new(format!("\0{}\0{}", self.user, self.password)));
        let leaks =
            [self.password, &encode(self.password), &plain].iter().any(|secret| whole.contains(*secret));
        let reply = answer.into_reply();
        SendError::new(Phase::Auth, Cause::Refused(if leaks { reply.without_text() } else { reply }))
    }
}

async fn say(wire: &mut Wire, word: &str, deadlines: &Deadlines) -> Result<Lines, SendError> {
    let line = Zeroizing::new(format!("{word}\r\n"));
    wire.exchange(Phase::Auth, line.as_bytes(), deadlines.command).await
}

fn encode(text: &str) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(text))
}
