//! Poolers between us and the server. One that lends a session for each transaction anew takes away what is kept in sessions:
//! where names are looked up, prepared statements, who listens. Much would still work there, and that is what is refused.

use tokio_postgres::{Client, Error, SimpleQueryMessage};

/// Whether statements on a connection may be done in any session. Neither connection may be used meanwhile.
pub(super) async fn lends_sessions(one: &Client, other: &Client) -> Result<bool, Error> {
    let ours = session(one).await?;
    // Sessions that are lent in turn differ at once; where the last one that was free is lent again, the other gets ours.
    Ok(session(one).await? != ours || session(other).await? == ours)
}

/// Which session of the server does a statement. Not prepared: the next session may not know it.
async fn session(client: &Client) -> Result<Option<String>, Error> {
    let said = client.simple_query("SELECT pg_backend_pid()").await?;
    Ok(said.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}
