//! Owns the login (RFC 4954). It must only be called when the policy for TLS is satisfied, and what the relay
//! says about the login never repeats it.

mod mechanism;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

pub(super) use self::mechanism::Mechanisms;
pub(crate) use self::mechanism::hmac_md5;
use super::capabilities::Capabilities;
use super::reply::Lines;
use super::wire::Wire;
use crate::{AuthMethod, Cause, Deadlines, Phase, SendError};

/// User and password for one relay.
pub(super) struct Login<'a> {
    pub(super) user: &'a str,
    /// With [`AuthMethod::XOAuth2`] this is the access token.
    pub(super) password: &'a str,
    /// The only mechanism to use, if the URL names one.
    pub(super) forced: Option<AuthMethod>,
}

impl Login<'_> {
    /// Logs in by the mechanism that the URL forces, or by the best one that is offered.
    pub(super) async fn perform(
        &self,
        wire: &mut Wire,
        capabilities: &Capabilities,
        deadlines: &Deadlines,
    ) -> Result<(), SendError> {
        let offered = capabilities.auth.as_ref();
        let mechanism = offered.and_then(|offered| self.forced.or_else(|| offered.best()));
        let mechanism = mechanism.ok_or_else(|| SendError::new(Phase::Auth, Cause::AuthUnavailable))?;
        let mut dialogue = Dialogue { wire, deadlines, said: Vec::new() };
        let answer = match mechanism {
            AuthMethod::Plain => self.plain(&mut dialogue).await?,
            AuthMethod::Login => self.login(&mut dialogue).await?,
            AuthMethod::CramMd5 => self.cram_md5(&mut dialogue).await?,
            AuthMethod::XOAuth2 => self.xoauth2(&mut dialogue).await?,
        };
        match answer.code {
            200..300 => Ok(()),
            400..600 => Err(self.refusal(answer, &dialogue.said)),
            _ => Err(SendError::new(Phase::Auth, Cause::Protocol("it keeps asking during the login"))),
        }
    }

    /// RFC 4616, without an authorization identity.
    async fn plain(&self, dialogue: &mut Dialogue<'_>) -> Result<Lines, SendError> {
        let response = encode(plain(self.user, self.password).as_bytes());
        let answer = dialogue.begin("PLAIN", Some(&response)).await?;
        // Some servers ask although the response came with the command.
        if answer.code == 334 { dialogue.say(&response).await } else { Ok(answer) }
    }

    async fn login(&self, dialogue: &mut Dialogue<'_>) -> Result<Lines, SendError> {
        let mut answer = dialogue.begin("LOGIN", None).await?;
        // The prompts differ between servers and are not looked at: the order is always user, password.
        for word in [self.user, self.password] {
            if answer.code != 334 {
                break;
            }
            answer = dialogue.say(&encode(word.as_bytes())).await?;
        }
        Ok(answer)
    }

    /// RFC 2195. The password does not cross the wire, but whoever listens can try passwords against what does.
    async fn cram_md5(&self, dialogue: &mut Dialogue<'_>) -> Result<Lines, SendError> {
        let answer = dialogue.begin("CRAM-MD5", None).await?;
        if answer.code != 334 {
            return Ok(answer);
        }
        let challenge = answer.lines.first().and_then(|line| STANDARD.decode(line.trim()).ok());
        let unreadable = || SendError::new(Phase::Auth, Cause::Protocol("its challenge is not base64"));
        let digest = hmac_md5(self.password, &challenge.ok_or_else(unreadable)?);
        dialogue.say(&encode(Zeroizing::new(format!("{} {}", self.user, *digest)).as_bytes())).await
    }

    /// Google's XOAUTH2, which Microsoft speaks too.
    async fn xoauth2(&self, dialogue: &mut Dialogue<'_>) -> Result<Lines, SendError> {
        let response = encode(xoauth2(self.user, self.password).as_bytes());
        let answer = dialogue.begin("XOAUTH2", Some(&response)).await?;
        // A refusal comes as a question that holds the reason; the empty answer fetches the code.
        if answer.code == 334 { dialogue.say("").await } else { Ok(answer) }
    }

    /// A relay that quotes the line it did not like would put the password into the operator's log.
    fn refusal(&self, answer: Lines, said: &[Zeroizing<String>]) -> SendError {
        let whole = Zeroizing::new(answer.lines.concat());
        let secrets = said.iter().map(|line| line.as_str()).chain([self.password]);
        let leaks = secrets.filter(|secret| !secret.is_empty()).any(|secret| whole.contains(secret));
        let reply = answer.into_reply();
        SendError::new(Phase::Auth, Cause::Refused(if leaks { reply.without_text() } else { reply }))
    }
}

/// One exchange of a login after the other.
struct Dialogue<'a> {
    wire: &'a mut Wire,
    deadlines: &'a Deadlines,
    /// What has been said, without the command.
    said: Vec<Zeroizing<String>>,
}

impl Dialogue<'_> {
    async fn begin(&mut self, mechanism: &str, response: Option<&str>) -> Result<Lines, SendError> {
        match response {
            Some(response) => {
                self.said.push(Zeroizing::new(response.to_owned()));
                self.exchange(Zeroizing::new(format!("AUTH {mechanism} {response}\r\n"))).await
            }
            None => self.exchange(Zeroizing::new(format!("AUTH {mechanism}\r\n"))).await,
        }
    }

    async fn say(&mut self, word: &str) -> Result<Lines, SendError> {
        self.said.push(Zeroizing::new(word.to_owned()));
        self.exchange(Zeroizing::new(format!("{word}\r\n"))).await
    }

    async fn exchange(&mut self, line: Zeroizing<String>) -> Result<Lines, SendError> {
        self.wire.exchange(Phase::Auth, line.as_bytes(), self.deadlines.command).await
    }
}

/// What PLAIN says, before it is encoded.
pub(super) fn plain(user: &str, password: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("\0{user}\0{password}"))
}

/// What XOAUTH2 says, before it is encoded.
pub(super) fn xoauth2(user: &str, token: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("{}{token}\x01\x01", *xoauth2_head(user)))
}

/// What stands before the token there.
pub(super) fn xoauth2_head(user: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("user={user}\x01auth=Bearer "))
}

pub(super) fn encode(text: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(text))
}
