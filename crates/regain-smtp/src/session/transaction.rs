//! Owns one mail transaction: MAIL, RCPT, DATA, the message, and in which state it leaves the session. It must
//! not open or retry anything.

use super::envelope::Paths;
use super::reply::{Lines, Reply};
use super::{Session, State, body};
use crate::{Cause, Phase, SendError};

impl Session {
    /// Hands over one message. Whatever the outcome, [`Session::settle`] says afterwards whether the session
    /// can take another one.
    pub(crate) async fn send(&mut self, paths: &Paths, message: &[u8]) -> Result<Reply, SendError> {
        let wire_form = body::encode(message);
        let parameters = self.parameters(paths, &wire_form)?;
        let commands = [
            (Phase::Mail, format!("MAIL FROM:<{}>{parameters}\r\n", paths.from)),
            (Phase::Rcpt, format!("RCPT TO:<{}>\r\n", paths.to)),
            (Phase::Data, "DATA\r\n".to_owned()),
        ];
        // Until the dialogue is known to be at an end, the session must not be used again.
        self.state = State::Broken;
        self.transactions += 1;
        self.announce(&commands).await?;
        let within = self.deadlines.final_dot;
        let answer = self.wire.exchange(Phase::FinalDot, &wire_form, within).await?;
        match answer.code {
            200..300 => {
                self.state = State::Ready;
                Ok(answer.into_reply())
            }
            _ => {
                let error = unwanted(Phase::FinalDot, answer);
                if matches!(error.cause(), Cause::Refused(_)) && !error.is_farewell() {
                    self.state = State::Refused;
                }
                Err(error)
            }
        }
    }

    /// What MAIL has to say about the message (RFC 1870, RFC 6152, RFC 6531), or why the relay cannot take it.
    fn parameters(&self, paths: &Paths, wire_form: &[u8]) -> Result<String, SendError> {
        let mut parameters = String::new();
        if let Some(size) = self.capabilities.size {
            // The final dot does not count; doubled dots should not either, but a little more does no harm.
            let length = wire_form.len().saturating_sub(body::FINAL_DOT.len());
            if let Some(limit) = size.limit.filter(|&limit| length as u64 > limit) {
                return Err(SendError::new(Phase::Mail, Cause::TooLarge { limit }));
            }
            parameters = format!(" SIZE={length}");
        }
        if !wire_form.is_ascii() {
            if !self.capabilities.eight_bit {
                return Err(SendError::new(Phase::Mail, Cause::Unsupported("8BITMIME")));
            }
            parameters.push_str(" BODY=8BITMIME");
        }
        match paths.international() {
            Some(phase) if !self.capabilities.utf8 => {
                return Err(SendError::new(phase, Cause::Unsupported("SMTPUTF8")));
            }
            // A header beyond ASCII needs it too, but relays without it let that pass.
            Some(_) => parameters.push_str(" SMTPUTF8"),
            None if self.capabilities.utf8 && !body::header(wire_form).is_ascii() => {
                parameters.push_str(" SMTPUTF8");
            }
            None => {}
        }
        Ok(parameters)
    }

    /// Gets the relay to wait for the message: one write for all commands where it allows that (RFC 2920).
    async fn announce(&mut self, commands: &[(Phase, String); 3]) -> Result<(), SendError> {
        let pipelining = self.capabilities.pipelining;
        let within = self.deadlines.command;
        if pipelining {
            let all: String = commands.iter().map(|(_, command)| command.as_str()).collect();
            self.wire.write(Phase::Mail, all.as_bytes(), within).await?;
        }
        // The first refusal is the reason; what is refused behind it, or breaks, only follows from it.
        let mut refusal: Option<SendError> = None;
        let mut waits_for_message = false;
        for (phase, command) in commands {
            let answer = if pipelining {
                self.wire.reply(*phase, within).await
            } else {
                self.wire.exchange(*phase, command.as_bytes(), within).await
            };
            let error = match answer {
                Ok(answer) if *phase == Phase::Data && answer.code == 354 => {
                    waits_for_message = true;
                    continue;
                }
                Ok(answer) if *phase != Phase::Data && (200..300).contains(&answer.code) => continue,
                Ok(answer) => unwanted(*phase, answer),
                Err(error) => error,
            };
            let over = !matches!(error.cause(), Cause::Refused(_)) || error.is_farewell();
            let first = refusal.get_or_insert(error);
            if over {
                return Err(first.clone());
            }
            if !pipelining {
                break;
            }
        }
        let Some(refusal) = refusal else { return Ok(()) };
        if waits_for_message {
            // The relay takes DATA although it refused the envelope: an empty message ends that.
            let answer = self.wire.exchange(Phase::Data, body::FINAL_DOT, within).await;
            if answer.is_err() || answer.is_ok_and(|answer| answer.code == 421) {
                return Err(refusal);
            }
        }
        self.state = State::Refused;
        Err(refusal)
    }
}

/// Names a reply that does not let the dialogue go on.
pub(super) fn unwanted(phase: Phase, answer: Lines) -> SendError {
    let cause = match answer.code {
        400..600 => Cause::Refused(answer.into_reply()),
        _ => Cause::Protocol("its reply does not fit the command"),
    };
    SendError::new(phase, cause)
}
