//! The columns that a row of the core's types is read from, in the order in which both stores read them.

/// Those of a letter, of a table called `l`.
macro_rules! letter_columns {
    () => {
        "l.id, l.purpose, l.name_key, l.account, l.ip, l.agent, l.posted, l.deadline, l.due, l.attempts, \
         l.repeats, l.state, l.ended, l.last_error, l.relay_reply, l.token_key, l.replaces, l.crashes"
    };
}
/// Those of an account, of a table called `a`.
macro_rules! account_columns {
    () => {
        "a.id, a.name, a.name_key, a.address, a.password, a.generation, a.kept_session, a.is_admin, \
         a.is_confirmed, a.is_disabled, a.metadata, a.created"
    };
}
pub(crate) use {account_columns, letter_columns};

/// How many columns an account has.
pub(crate) const ACCOUNT_WIDTH: usize = 12;
/// How many columns a letter has.
pub(crate) const LETTER_WIDTH: usize = 18;
