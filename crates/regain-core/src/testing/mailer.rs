//! A mailer that does as it is told and remembers.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::mailer::{DeliveryError, Mailer, Parcel, Receipt};

/// Fails as scripted, then accepts everything.
#[derive(Default)]
pub struct ScriptedMailer {
    script: Mutex<VecDeque<DeliveryError>>,
    seen: Mutex<Vec<(Parcel, bool)>>,
}

impl ScriptedMailer {
    /// The next delivery fails so.
    pub fn fail_next(&self, error: DeliveryError) {
        lock(&self.script).push_back(error);
    }

    /// All parcels that were accepted, in order.
    pub fn accepted(&self) -> Vec<Parcel> {
        lock(&self.seen).iter().filter(|(_, ok)| *ok).map(|(p, _)| p.clone()).collect()
    }

    /// All parcels, the refused ones too.
    pub fn attempted(&self) -> Vec<Parcel> {
        lock(&self.seen).iter().map(|(p, _)| p.clone()).collect()
    }
}

#[async_trait]
impl Mailer for ScriptedMailer {
    async fn deliver(&self, parcel: Parcel) -> Result<Receipt, DeliveryError> {
        let error = lock(&self.script).pop_front();
        lock(&self.seen).push((parcel, error.is_none()));
        match error {
            Some(error) => Err(error),
            None => Ok(Receipt { reply: "250 2.0.0 taken".to_owned() }),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
