//! A whole Regain, put together from a [`Config`]: store, keys, flows, courier, router.

mod database;
mod health;
mod letterhead;
mod outlet;
mod providers;
mod test_mail;
mod upkeep;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use regain_core::hashing::HashError;
use regain_core::limits::Limiter;
use regain_core::outbox::courier::Courier;
use regain_core::{HashCost, HashPool, OsRng, Rng, Service, StoreError};
use regain_smtp::{SenderError, StartError as PoolError};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::admin_token::{self, AdminTokenError};
use crate::config::Config;
use crate::courier::{CourierSettings, RunningCourier};
use crate::http::server::{self, ServerLimits};
use crate::http::{self, Site, SiteSettings};
use crate::keys::{Keys, KeysError};
use crate::mail::webhook::RootsError;
use crate::mail::{EmailHandler, HandlerDelivery, Mailbox, TemplateMistake};
use health::AppHealth;
use outlet::Outlet;

pub use database::{Database, DatabaseError, DatabaseOptions, database_path};
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

/// What a process does, of several over one database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Serves and delivers.
    #[default]
    Both,
    /// Serves; others deliver.
    Server,
}

/// Accounts with email confirmation and password reset, ready to be served.
///
/// Without PostgreSQL it holds the lock of the data path: one process at a time.
pub struct Regain {
    service: Arc<Service>,
    database: Arc<Database>,
    site: Arc<Site>,
    health: Arc<AppHealth>,
    outlet: Option<Outlet>,
    max_connections: usize,
    admin: Option<TcpListener>,
    role: Role,
}

/// Why Regain does not start. No message shows a secret.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Templates break their rules.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Templates(Vec<TemplateMistake>),
    /// The database cannot be opened, or another process has the data path.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys cannot be read or made, or are not those of other processes over the database.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The administrator's token cannot be made.
    #[error(transparent)]
    AdminToken(#[from] AdminTokenError),
    /// The threads that hash passwords cannot be started.
    #[error(transparent)]
    Hashing(#[from] HashError),
    /// The admin address cannot be listened on.
    #[error("adminAddress {address} cannot be listened on")]
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

impl Regain {
    /// Locks the data path, opens the database, reads or makes the keys, parses the templates.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn open(config: &Config, delivery: Delivery) -> Result<Self, StartError> {
        Self::open_with(config, delivery, DatabaseOptions::default()).await
    }

    /// As [`Regain::open`], with a database that is opened in another way.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn open_with(
        config: &Config,
        delivery: Delivery,
        database: DatabaseOptions,
    ) -> Result<Self, StartError> {
        let templates = match delivery {
            Delivery::Handler(_) => None,
            Delivery::Relay | Delivery::Mailbox(_) => {
                letterhead::templates(config).map_err(StartError::Templates)?
            }
        };
        let is_shared = Database::is_shared(config);
        let database = Arc::new(Database::open_to_serve(config, database).await?);
        let (store, clock) = (database.store(), database.clock());
        let rng: Arc<dyn Rng> = Arc::new(OsRng);
        // Before anything is changed: a process with other keys must leave everything as it is.
        let keys = Keys::open(config, &*store, &*rng, clock.now()).await?;
        let freed = database.free_claims_of_the_dead().await?;
        if freed > 0 {
            tracing::info!(freed, "letters that a process had claimed when it ended are tried again");
        }
        if config.write_admin_token_to_json {
            admin_token::ensure(&config.data_path, &keys.signing, &*store, is_shared, &*rng, clock.now())
                .await?;
        }
        let outlet = Outlet::of(config, delivery, templates)?;
        let shared_keys = is_shared.then(|| keys.offer());
        let policy =
            regain_core::Policy { mail: outlet.is_some(), key_mode: store.key_mode(), ..config.policy() };
        let service = Arc::new(Service {
            store,
            clock,
            hashing: HashPool::start(HashCost::default(), rng.clone())?,
            rng,
            limiter: Limiter::new(policy.limits),
            policy,
            signing_keys: keys.signing,
            token_keys: keys.token,
            wake: Arc::default(),
        });
        let admin = match config.admin_address {
            Some(address) => {
                let refused = |source| StartError::Admin { address, source };
                Some(server::listen(address).map_err(refused)?)
            }
            None => None,
        };
        let health = Arc::new(AppHealth::of(database.clone(), shared_keys));
        let site = Arc::new(Site::new(service.clone(), site_settings(config), health.clone()));
        let max_connections = config.max_connections;
        Ok(Self { service, database, site, health, outlet, max_connections, admin, role: Role::default() })
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
                let watch = self.database.watch();
                let running = RunningCourier::start(courier.clone(), watch, settings, stop.clone());
                self.health.courier_runs(running.status(), courier, outlet.way_out);
                running.stopped().await;
                outlet.close().await;
            } else {
                self.health.runs_without_courier();
                stop.cancelled().await;
            }
        };
        let watch = self.health.watch(self.outlet.is_some(), || self.service.now(), &stop);
        tokio::join!(upkeep, courier, watch);
    }

    /// The same, for a process that does not do everything.
    #[must_use]
    pub fn in_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// Serves HTTP on `listener` and, unless others do, delivers letters, until `stop` is cancelled; then ends gracefully: no
    /// new connection is taken, requests and deliveries under way are finished within [`GRACE`], the rest goes out at the
    /// next start. `more` is merged into the router.
    pub async fn serve(mut self, listener: TcpListener, more: Option<Router>, stop: CancellationToken) {
        let mut router = self.router();
        if let Some(more) = more {
            router = more.merge(router);
        }
        let limits = ServerLimits { max_connections: self.max_connections, ..ServerLimits::default() };
        let admin = self.serve_admin(&stop);
        let courier = async {
            match self.role {
                Role::Both => self.run_courier(stop.clone()).await,
                Role::Server => {
                    self.health.runs_without_courier();
                    // Letters that are late tell that nobody delivers.
                    self.health.watch(true, || self.service.now(), &stop).await;
                }
            }
        };
        tokio::join!(
            // First, so that whoever got through to the listener finds a healthy service.
            courier,
            admin,
            server::serve(listener, router, limits, stop.clone(), GRACE),
            self.tell_of_the_stop(&stop)
        );
        self.database.close().await;
    }

    /// Delivers letters, and serves nothing but metrics where there is an admin address, until `stop` is cancelled; then
    /// finishes what is under way, within [`GRACE`].
    pub async fn deliver(mut self, stop: CancellationToken) {
        let admin = self.serve_admin(&stop);
        tokio::join!(self.run_courier(stop.clone()), admin, self.tell_of_the_stop(&stop));
        self.database.close().await;
    }

    async fn tell_of_the_stop(&self, stop: &CancellationToken) {
        stop.cancelled().await;
        self.health.stops();
    }

    /// Serves metrics where there is an address for them.
    fn serve_admin(&mut self, stop: &CancellationToken) -> impl Future<Output = ()> + use<> {
        let listener = self.admin.take();
        let (service, health, stop) = (self.service.clone(), self.health.clone(), stop.clone());
        async move {
            if let Some(listener) = listener {
                let router = http::admin_router(service, health);
                server::serve(listener, router, ServerLimits::default(), stop, GRACE).await;
            }
        }
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
