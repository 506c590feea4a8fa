//! Owns the list of things a scripted server can do instead of behaving well.

use std::time::Duration;

/// What to do at a phase instead of the ordinary reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers so; lines may be separated by CRLF, the last CRLF is added. At the final dot a text that begins
    /// with `2` accepts the message, at DATA one that begins with `354` lets it come.
    Reply(String),
    /// Answers so and closes the connection.
    ReplyAndClose(String),
    /// Says nothing more and keeps the connection open until the client closes it.
    Silence,
    /// Closes the connection.
    Close,
    /// Resets the connection: the client is not even told what was said before.
    Reset,
    /// Says this text over and over.
    Endless(String),
    /// Behaves well, but throws away what the client has sent ahead.
    Forget,
    /// Says one byte of this text every so often, and then nothing more.
    Trickle(String, Duration),
    /// Waits, then behaves well.
    Delay(Duration),
}

impl Behaviour {
    /// [`Behaviour::Reply`] from a literal.
    pub fn reply(text: &str) -> Self {
        Self::Reply(text.to_owned())
    }

    /// [`Behaviour::ReplyAndClose`] from a literal.
    pub fn reply_and_close(text: &str) -> Self {
        Self::ReplyAndClose(text.to_owned())
    }
}
