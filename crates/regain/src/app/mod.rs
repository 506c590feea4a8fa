//! A whole Regain, put together from a [`Config`]: store, keys, flows, courier, router.

mod health;
mod letterhead;
mod outlet;
mod providers;
mod test_mail;
mod upkeep;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use regain_core::hashing::HashError;
use regain_core::limits::Limiter;
use regain_core::outbox::courier::Courier;
use regain_core::{Clock, HashCost, HashPool, OsRng, Rng, Service, Store, StoreError, SystemClock};
use regain_smtp::{SenderError, StartError as PoolError};
use regain_store::{DataLock, LockError, OpenError, Options, SqliteStore};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::admin_token::{self, AdminTokenError};
use crate::config::Config;
use crate::courier::{CourierSettings, RunningCourier, Watch};
use crate::http::server::{self, ServerLimits};
use crate::http::{self, Site, SiteSettings};
use crate::keys::{Keys, KeysError};
use crate::mail::webhook::RootsError;
use crate::mail::{EmailHandler, HandlerDelivery, Mailbox, TemplateMistake};
use health::AppHealth;
use outlet::Outlet;

pub use test_mail::{TestMailError, post_test_mail, test_mail};

/// How long what is under way may take once Regain is told to stop.
pub const GRACE: Duration = Duration::from_secs(25);

/// Where mails go.
pub enum Delivery {
    /// To the relays or the webhook that the configuration names. Without `emailHandlerConfig` there is no mail.
    Relay,
    /// To the application, whatever the configuration says: it needs no `emailHandlerConfig`, and of one only `baseUrl`
    /// counts.
    Handler(HandlerDelivery),
    /// Into a mailbox in memory, for development.
    Mailbox(Mailbox),
}

impl Delivery {
    /// To the application's own handler, with the defaults of [`HandlerDelivery::new`].
    pub fn handler(handler: impl EmailHandler) -> Self {
        Self::Handler(HandlerDelivery::new(Arc::new(handler)))
    }
}

/// Accounts with email confirmation and password reset, ready to be served.
///
/// Holds the lock of the data path: one process at a time.
pub struct Regain {
    service: Arc<Service>,
    store: Arc<SqliteStore>,
    site: Arc<Site>,
    health: Arc<AppHealth>,
    outlet: Option<Outlet>,
    max_connections: usize,
    admin: Option<TcpListener>,
    _lock: DataLock,
}

/// Why Regain does not start. No message shows a secret.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Templates break their rules.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Templates(Vec<TemplateMistake>),
    /// Another process has the data path.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys cannot be read or made.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The administrator's token cannot be made.
    #[error(transparent)]
    AdminToken(#[from] AdminTokenError),
    /// The threads that hash passwords cannot be started.
    #[error(transparent)]
    Hashing(#[from] HashError),
    /// The admin address cannot be listened on.
    #[error("adminAddress {address} cannot be listened on: {source}")]
    Admin {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A configuration that was made in Rust has nobody to deliver to.
    #[error(
        "emailHandlerConfig names neither a relay with a sender nor a webhook: give one, or deliver to an EmailHandler"
    )]
    NoRelay,
    /// The developer's mailbox has no sender.
    #[error(transparent)]
    Sender(#[from] SenderError),
    /// The webhook's certificate could never be checked here.
    #[error(transparent)]
    Webhook(#[from] RootsError),
    /// The relay's settings can never work here.
    #[error(transparent)]
    Relay(#[from] PoolError),
}

/// Where the database of a configuration is.
pub fn database_path(config: &Config) -> PathBuf {
    config.data_path.join("regain.db")
}

impl Regain {
    /// Locks the data path, opens the database, reads or makes the keys, parses the templates.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn open(config: &Config, delivery: Delivery) -> Result<Self, StartError> {
        Self::open_with(config, delivery, Options::default()).await
    }

    /// As [`Regain::open`], with a database that is opened in another way.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn open_with(
        config: &Config,
        delivery: Delivery,
        database: Options,
    ) -> Result<Self, StartError> {
        let templates = match delivery {
            Delivery::Handler(_) => None,
            Delivery::Relay | Delivery::Mailbox(_) => {
                letterhead::templates(config).map_err(StartError::Templates)?
            }
        };
        let lock = DataLock::acquire(&config.data_path)?;
        let is_new = !database_path(config).exists();
        let store = Arc::new(SqliteStore::open(&database_path(config), database)?);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        // Whoever holds the lock is alone: a claim from before can only be a dead process's.
        let freed = store.free_all_claims(clock.now()).await?;
        if freed > 0 {
            tracing::info!(freed, "letters that a process had claimed when it ended are tried again");
        }
        let rng: Arc<dyn Rng> = Arc::new(OsRng);
        let keys = Keys::open(&config.data_path, is_new, &*rng)?;
        if config.write_admin_token_to_json {
            admin_token::ensure(&config.data_path, &keys.signing, &*store, &*rng, clock.now()).await?;
        }
        let outlet = Outlet::of(config, delivery, templates)?;
        let policy =
            regain_core::Policy { mail: outlet.is_some(), key_mode: store.key_mode(), ..config.policy() };
        let service = Arc::new(Service {
            store: store.clone(),
            clock,
            hashing: HashPool::start(HashCost::default(), rng.clone())?,
            rng,
            limiter: Limiter::new(policy.limits),
            policy,
            signing_key: keys.signing,
            token_key: keys.token,
            wake: Arc::default(),
        });
        let admin = match config.admin_address {
            Some(address) => {
                let refused = |source| StartError::Admin { address, source };
                Some(server::listen(address).map_err(refused)?)
            }
            None => None,
        };
        let health = Arc::new(AppHealth::of(store.clone()));
        let site = Arc::new(Site::new(service.clone(), site_settings(config), health.clone()));
        let max_connections = config.max_connections;
        Ok(Self { service, store, site, health, outlet, max_connections, admin, _lock: lock })
    }

    /// The JSON API and the pages, to be merged at the root of another router. Mail goes out only while
    /// [`Regain::serve`] or [`Regain::run_courier`] runs.
    pub fn router(&self) -> Router {
        http::router(self.site.clone())
    }

    /// What the flows in `regain_core` are given, for applications that call them directly.
    pub fn service(&self) -> Arc<Service> {
        self.service.clone()
    }

    /// Delivers letters and clears away what is old, until `stop` is cancelled; then finishes what is under way, within
    /// [`GRACE`]. For embedders that serve [`Regain::router`] themselves.
    pub async fn run_courier(&self, stop: CancellationToken) {
        let upkeep = upkeep::run(self.service.clone(), stop.clone());
        let courier = async {
            if let Some(outlet) = &self.outlet {
                let courier = Arc::new(Courier::new(self.service.clone(), outlet.relays.clone()));
                let settings = CourierSettings { grace: GRACE };
                let watch = Arc::new(StoreWatch(self.store.clone()));
                let running = RunningCourier::start(courier.clone(), watch, settings, stop.clone());
                self.health.courier_runs(running.status(), courier, outlet.way_out);
                let watch = self.health.watch(|| self.service.now(), &stop);
                tokio::join!(watch, running.stopped());
                outlet.close().await;
            } else {
                self.health.runs_without_courier();
                stop.cancelled().await;
            }
        };
        tokio::join!(upkeep, courier);
    }

    /// Serves HTTP on `listener` and delivers letters, until `stop` is cancelled; then ends gracefully: no new connection
    /// is taken, requests and deliveries under way are finished within [`GRACE`], the rest goes out at the next start.
    /// `more` is merged into the router.
    pub async fn serve(mut self, listener: TcpListener, more: Option<Router>, stop: CancellationToken) {
        let mut router = self.router();
        if let Some(more) = more {
            router = more.merge(router);
        }
        let limits = ServerLimits { max_connections: self.max_connections, ..ServerLimits::default() };
        let stopping = async {
            stop.cancelled().await;
            self.health.stops();
        };
        let admin = self.admin.take();
        let admin = async {
            if let Some(listener) = admin {
                let router = http::admin_router(self.service.clone(), self.health.clone());
                server::serve(listener, router, ServerLimits::default(), stop.clone(), GRACE).await;
            }
        };
        tokio::join!(
            // First, so that whoever got through to the listener finds a healthy service.
            self.run_courier(stop.clone()),
            admin,
            server::serve(listener, router, limits, stop.clone(), GRACE),
            stopping
        );
        self.store.close().await;
    }
}

struct StoreWatch(Arc<SqliteStore>);

#[async_trait]
impl Watch for StoreWatch {
    async fn changed_elsewhere(&self) -> bool {
        // Where it cannot be told, looking does no harm.
        self.0.changed_elsewhere().await.unwrap_or(true)
    }
}

fn site_settings(config: &Config) -> SiteSettings {
    let bases = [config.public_url.as_ref(), config.email().and_then(|email| email.base_url.as_ref())];
    SiteSettings {
        app_name: config.app_name.clone(),
        origins: bases.into_iter().flatten().filter_map(|base| base.origin().map(str::to_owned)).collect(),
        https: config.public_url.as_ref().is_some_and(|url| url.as_str().starts_with("https:")),
        trusted_proxies: config.trusted_proxies.clone(),
        redirects: config.redirect_urls.clone(),
        authorization_header: config.authorization_header_name.clone(),
        provider_config: providers::config_of_password(config),
    }
}
