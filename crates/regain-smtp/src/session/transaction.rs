//! Owns one mail transaction: MAIL, RCPT, DATA, the message, and in which state it leaves the session. It must
//! not open or retry anything.
//!
//! A message takes three steps: [`Session::announce`] says MAIL, RCPT and DATA, [`Session::permission`] reads whether
//! the message may follow, [`Session::hand_over`] and [`Session::verdict`] write it and read what became of it. With
//! PIPELINING (RFC 2920) the first is one write, and the next message's may ride behind the final dot of this one:
//! section 3.1 allows the content of a message to be the first "command" of a group, and wants DATA to be the last.

use std::io::Write as _;
use std::sync::Arc;

use super::envelope::Paths;
use super::reply::{Lines, Reply};
use super::{Session, State, body};
use crate::{Cause, Phase, SendError};

/// A message with its envelope.
pub(crate) struct Mail {
    pub(crate) paths: Paths,
    pub(crate) message: Arc<[u8]>,
}

/// What is to be written for one message.
#[derive(Default)]
pub(super) struct Outgoing {
    /// MAIL, RCPT and DATA, each with its CRLF.
    commands: Vec<u8>,
    /// The message in its form for the wire, final dot included.
    body: Vec<u8>,
}

/// A buffer that a large message has blown up beyond this is not kept.
const KEPT: usize = 256 * 1024;

const STEPS: [Phase; 3] = [Phase::Mail, Phase::Rcpt, Phase::Data];

impl Session {
    /// Whether the next message's envelope may follow a message in the same write.
    pub(crate) fn pipelines(&self) -> bool {
        self.capabilities.pipelining
    }

    /// Begins a message: all three commands in one write where the relay allows it, else none of them yet.
    pub(crate) async fn announce(&mut self, mail: &Mail) -> Result<(), SendError> {
        self.prepare(mail)?;
        self.advance();
        if self.pipelines() {
            self.wire.write(Phase::Mail, &self.now.commands, self.deadlines.command).await?;
        }
        Ok(())
    }

    /// Gets the relay to wait for the message that was announced. After an error [`Session::settle`] says whether the
    /// session can take another one.
    pub(crate) async fn permission(&mut self) -> Result<(), SendError> {
        let within = self.deadlines.command;
        self.state = State::Broken;
        // The first refusal is the reason; what is refused behind it, or breaks, only follows from it.
        let mut refusal: Option<SendError> = None;
        let mut waits_for_message = false;
        let mut said = 0;
        for phase in STEPS {
            let answer = if self.capabilities.pipelining {
                self.wire.reply(phase, within).await
            } else {
                let rest = &self.now.commands[said..];
                let command = &rest[..memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1)];
                said += command.len();
                self.wire.exchange(phase, command, within).await
            };
            let error = match answer {
                Ok(answer) if phase == Phase::Data && answer.code == 354 => {
                    waits_for_message = true;
                    continue;
                }
                Ok(answer) if phase != Phase::Data && (200..300).contains(&answer.code) => continue,
                Ok(answer) => unwanted(phase, answer),
                Err(error) => error,
            };
            let over = !matches!(error.cause(), Cause::Refused(_)) || error.is_farewell();
            let first = refusal.get_or_insert(error);
            if over {
                return Err(first.clone());
            }
            if !self.capabilities.pipelining {
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

    /// Writes the message that has the relay's permission, and behind its final dot the envelope of `next` if the relay
    /// can take that; gives back whether it went along. [`Session::verdict`] must follow. An error of [`Phase::Data`]
    /// says that the final dot has not left.
    pub(crate) async fn hand_over(&mut self, next: Option<&Mail>) -> Result<bool, SendError> {
        let along = next.is_some_and(|next| self.prepare(next).is_ok());
        let dot = self.now.body.len();
        if along {
            self.now.body.extend_from_slice(&self.next.commands);
        }
        self.verdict_by = self.wire.end(self.deadlines.final_dot);
        self.wire.write_message(&self.now.body, dot, self.verdict_by).await?;
        self.rides_along = along;
        Ok(along)
    }

    /// Reads what became of the message that was handed over. Safe to drop and to call again. If the envelope of the
    /// next message went along, that is the one announced from here on, unless the session broke.
    pub(crate) async fn verdict(&mut self) -> Result<Reply, SendError> {
        let answer = self.wire.reply_until(Phase::FinalDot, self.verdict_by).await?;
        let along = std::mem::take(&mut self.rides_along);
        let outcome = match answer.code {
            200..300 => Ok(answer.into_reply()),
            _ => Err(unwanted(Phase::FinalDot, answer)),
        };
        let goes_on = match &outcome {
            Ok(_) => true,
            Err(error) => matches!(error.cause(), Cause::Refused(_)) && !error.is_farewell(),
        };
        if goes_on && along {
            self.advance();
            self.state = State::Announced;
        } else if goes_on {
            self.state = if outcome.is_ok() { State::Ready } else { State::Refused };
        }
        outcome
    }

    /// Whether the relay waits for a message, or will, whose envelope went along with the one before.
    pub(crate) fn has_announced(&self) -> bool {
        matches!(self.state, State::Announced)
    }

    /// Whether it is unknown what the relay waits for.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken)
    }

    /// Lets go of the memory that a large message took.
    pub(super) fn shrink(&mut self) {
        for outgoing in [&mut self.now, &mut self.next] {
            if outgoing.body.capacity() > KEPT {
                outgoing.body = Vec::new();
            }
        }
    }

    /// The message that was prepared is now the one to be sent; until it is known to be at an end, the session must not
    /// be used for another.
    fn advance(&mut self) {
        std::mem::swap(&mut self.now, &mut self.next);
        self.state = State::Broken;
        self.transactions += 1;
    }

    /// Encodes a message and its commands once, into buffers that are kept.
    fn prepare(&mut self, mail: &Mail) -> Result<(), SendError> {
        body::encode(&mail.message, &mut self.next.body);
        let parameters = self.parameters(&mail.paths, &self.next.body)?;
        let commands = &mut self.next.commands;
        commands.clear();
        // Writing into memory does not fail.
        let _infallible = write!(
            commands,
            "MAIL FROM:<{}>{parameters}\r\nRCPT TO:<{}>\r\nDATA\r\n",
            mail.paths.from, mail.paths.to
        );
        Ok(())
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
}

/// Names a reply that does not let the dialogue go on.
pub(super) fn unwanted(phase: Phase, answer: Lines) -> SendError {
    let cause = match answer.code {
        400..600 => Cause::Refused(answer.into_reply()),
        _ => Cause::Protocol("its reply does not fit the command"),
    };
    SendError::new(phase, cause)
}
