//! The same questions on Ballista's scheduler and executors, each with our functions.
//!
//! The scheduler keeps its state in memory: when it is lost, so are its queries, and the client submits again.

use crate::error::LakeError;
use crate::functions;
use crate::lake::LakeOptions;
use crate::session;
use ballista::prelude::{SessionConfigExt, SessionContextExt};
use ballista_core::utils::default_session_builder;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::start_server;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::object_store::{DefaultObjectStoreRegistry, ObjectStoreRegistry};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::ObjectStore;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How often an executor says that it is alive, and after how long without it is given up.
const HEARTBEAT_SECONDS: u64 = 1;
const EXECUTOR_SILENT_SECONDS_MAX: u64 = 3;
/// How long a query waits for an executor when the last one was lost.
const NO_EXECUTOR_SECONDS_MAX: u64 = 60;
/// How long an executor waits for its scheduler to appear.
const SCHEDULER_WAIT_SECONDS: u16 = 60;
/// How long an executor keeps the parts of a finished query, and how often it looks.
const KEPT_SECONDS: u64 = 3_600;
const CLEAN_INTERVAL_SECONDS: u64 = 300;
/// How often a query is submitted, and how long between.
pub const ATTEMPT_COUNT_MAX: u32 = 3;
const ATTEMPT_INTERVAL: Duration = Duration::from_secs(2);

/// How an executor is run.
#[derive(Debug, Clone)]
pub struct ExecutorOptions {
    /// Where the scheduler is.
    pub scheduler_host: String,
    pub scheduler_port: u16,
    /// The address others reach this executor by.
    pub host: String,
    /// The port for data and the one for orders.
    pub port: u16,
    pub order_port: u16,
    pub cores: usize,
    /// Where parts of answers lie between two steps of a query; a temporary folder by default.
    pub folder: Option<PathBuf>,
    pub memory_bytes_max: u64,
    /// The options of the object store the lake is in.
    pub store: BTreeMap<String, String>,
}

/// Passes on what the cluster's own code says of its work: warnings and errors, with `all` how it goes as well.
pub fn speak(all: bool, tell: fn(&str)) {
    struct Speaker(fn(&str));
    impl log::Log for Speaker {
        fn enabled(&self, about: &log::Metadata<'_>) -> bool {
            about.target().starts_with("ballista")
        }

        fn log(&self, said: &log::Record<'_>) {
            if self.enabled(said.metadata()) {
                (self.0)(&format!("{}: {}", said.level().as_str().to_ascii_lowercase(), said.args()));
            }
        }

        fn flush(&self) {}
    }
    // Where somebody listens already, that stays.
    if log::set_logger(Box::leak(Box::new(Speaker(tell)))).is_ok() {
        log::set_max_level(if all { log::LevelFilter::Info } else { log::LevelFilter::Warn });
    }
}

/// Runs a scheduler until the process ends.
pub fn serve_scheduler(address: SocketAddr, store: &BTreeMap<String, String>) -> Result<(), LakeError> {
    let stores = Stores::new(store);
    let builder = move |config: SessionConfig| scheduler_state(config, &stores);
    let config = SchedulerConfig {
        bind_host: address.ip().to_string(),
        external_host: address.ip().to_string(),
        bind_port: address.port(),
        executor_timeout_seconds: EXECUTOR_SILENT_SECONDS_MAX,
        expire_dead_executor_interval_seconds: 1,
        no_executors_grace_period_seconds: NO_EXECUTOR_SECONDS_MAX,
        executor_termination_grace_period: 0,
        override_session_builder: Some(Arc::new(builder)),
        ..SchedulerConfig::default()
    };
    let runtime = session::runtime(&LakeOptions::default())?;
    let served = runtime.block_on(async {
        let cluster = BallistaCluster::new_from_config(&config).await?;
        start_server(cluster, address, Arc::new(config)).await
    });
    served.map_err(|error| LakeError::Scheduler {
        address: address.to_string(),
        attempts: 1,
        source: Box::new(error),
    })
}

/// Runs an executor until the process ends.
pub fn serve_executor(options: ExecutorOptions) -> Result<(), LakeError> {
    let scheduler = format!("{}:{}", options.scheduler_host, options.scheduler_port);
    let stores = Stores::new(&options.store);
    let mut registry = ballista_core::registry::BallistaFunctionRegistry::default();
    for function in functions::all() {
        registry.scalar_functions.insert(function.name().to_owned(), function);
    }
    let config = ExecutorProcessConfig {
        bind_host: options.host.clone(),
        external_host: Some(options.host),
        port: options.port,
        grpc_port: options.order_port,
        scheduler_host: options.scheduler_host,
        scheduler_port: options.scheduler_port,
        scheduler_connect_timeout_seconds: SCHEDULER_WAIT_SECONDS,
        vcores: options.cores,
        work_dir: options.folder.map(|folder| folder.to_string_lossy().into_owned()),
        job_data_ttl_seconds: KEPT_SECONDS,
        job_data_clean_up_interval_seconds: CLEAN_INTERVAL_SECONDS,
        executor_heartbeat_interval_seconds: HEARTBEAT_SECONDS,
        memory_pool_size: Some(options.memory_bytes_max),
        override_function_registry: Some(Arc::new(registry)),
        override_runtime_producer: Some(Arc::new(move |_: &SessionConfig| environment(&stores))),
        ..ExecutorProcessConfig::default()
    };
    let runtime = session::runtime(&LakeOptions { workers: options.cores, ..LakeOptions::default() })?;
    let served = runtime.block_on(start_executor_process(Arc::new(config)));
    served.map_err(|error| LakeError::Scheduler { address: scheduler, attempts: 1, source: Box::new(error) })
}

/// A session whose queries run on the cluster at `ballista://host:port`.
pub async fn context(address: &str, options: &LakeOptions) -> Result<SessionContext, LakeError> {
    let state = session::state(options, false)?;
    // Ballista cannot send a plan that holds the scalar subquery as a plan of its own: it becomes a join.
    let config = state
        .config()
        .clone()
        .with_ballista_adaptive_query_planner(false)
        .set_bool("datafusion.optimizer.enable_physical_uncorrelated_scalar_subquery", false);
    let state =
        datafusion::execution::SessionStateBuilder::new_from_existing(state).with_config(config).build();
    let address = address.replacen("ballista://", "http://", 1);
    let context = SessionContext::remote_with_state(&address, state).await?;
    // Ballista replaces the functions by its own list.
    for function in functions::all() {
        context.register_udf(function.as_ref().clone());
    }
    Ok(context)
}

/// Whether a query failed because its scheduler was lost; then it is worth submitting again.
pub fn is_lost(error: &LakeError) -> bool {
    const SIGNS: [&str; 6] = [
        "transport error",
        "connection refused",
        "connect error",
        "broken pipe",
        "not found in",
        "unavailable",
    ];
    let LakeError::Query(source) = error else { return false };
    let text = source.to_string().to_ascii_lowercase();
    SIGNS.iter().any(|sign| text.contains(sign))
}

/// Waits before a query is submitted again.
pub async fn wait(attempt: u32) {
    tokio::time::sleep(ATTEMPT_INTERVAL * attempt).await;
}

fn scheduler_state(config: SessionConfig, stores: &Arc<Stores>) -> Result<SessionState> {
    let mut state = default_session_builder(config)?;
    for function in functions::all() {
        state.register_udf(function)?;
    }
    let runtime = environment(stores)?;
    Ok(datafusion::execution::SessionStateBuilder::new_from_existing(state).with_runtime_env(runtime).build())
}

fn environment(stores: &Arc<Stores>) -> Result<Arc<RuntimeEnv>> {
    RuntimeEnvBuilder::new().with_object_store_registry(stores.clone()).build_arc()
}

/// Opens the object store of a URL with the options this process was given.
#[derive(Debug)]
struct Stores {
    options: BTreeMap<String, String>,
    known: DefaultObjectStoreRegistry,
}

impl Stores {
    fn new(options: &BTreeMap<String, String>) -> Arc<Stores> {
        Arc::new(Stores { options: options.clone(), known: DefaultObjectStoreRegistry::new() })
    }
}

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.known.register_store(url, store)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        if let Ok(store) = self.known.get_store(url) {
            return Ok(store);
        }
        let (store, _) = object_store::parse_url_opts(url, &self.options)
            .map_err(|error| DataFusionError::ObjectStore(Box::new(error)))?;
        let store: Arc<dyn ObjectStore> = Arc::from(store);
        self.known.register_store(url, store.clone());
        Ok(store)
    }
}
