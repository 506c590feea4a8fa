//! An account as JSON, where ROS calls it a user: always these keys, in this order. realm-java takes no others in the
//! entries of both lists.

use axum::http::StatusCode;
use axum::response::Response;
use regain_core::Account;
use regain_core::metadata::CONFIRMED_KEY;
use serde::Serialize;

use super::super::error::Problem;
use super::super::headers;

/// The answer that shows an account.
pub(super) fn shown(account: &Account) -> Result<Response, Problem> {
    let provider = account.provider().as_str();
    // ROS keeps the flag among the metadata, and has no entry before it is set.
    let confirmed = account.is_confirmed.then_some((CONFIRMED_KEY, "true"));
    let metadata = confirmed.into_iter().chain(account.metadata.iter());
    let user = User {
        user_id: account.id.as_str(),
        is_admin: account.is_admin,
        accounts: [Named { provider, provider_id: &account.name }],
        metadata: metadata.map(|(key, value)| Entry { key, value }).collect(),
    };
    match serde_json::to_vec(&user) {
        Ok(body) => Ok(headers::json(StatusCode::OK, body)),
        Err(error) => Err(Problem::internal(error.to_string())),
    }
}

#[derive(Serialize)]
struct User<'a> {
    user_id: &'a str,
    is_admin: bool,
    accounts: [Named<'a>; 1],
    metadata: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Named<'a> {
    provider: &'static str,
    provider_id: &'a str,
}

#[derive(Serialize)]
struct Entry<'a> {
    key: &'a str,
    value: &'a str,
}
