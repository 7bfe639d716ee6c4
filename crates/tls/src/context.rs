//! What every probe of one server shares, and how many of them run at once.

use crate::exchange::{Exchange, Until, exchange};
use crate::hello::Hello;
use crate::observe::{Observed, Wish, observe};
use crate::trust::{ClientIdentity, client_identity};
use netwhy_model::{Case, Host, Scheme};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Most connections to one server at the same time: a limit there must not be mistaken for a fault.
pub(crate) const CONNECTION_COUNT_MAX: usize = 6;
/// Longest pause once the server is known to answer, in milliseconds.
pub(crate) const ANSWER_MS_MAX: u64 = 1_400;
/// Shortest such pause: three times the kernel's least retransmission time, in milliseconds.
pub(crate) const ANSWER_MS_MIN: u64 = 700;

/// One server, asked for one case.
#[derive(Clone)]
pub(crate) struct Context {
    pub case: Arc<Case>,
    pub address: SocketAddr,
    pub identity: Option<Arc<ClientIdentity>>,
    pub connections: usize,
}

impl Context {
    pub fn new(case: &Case, address: SocketAddr) -> Context {
        let identity = client_identity(case).ok().flatten().map(Arc::new);
        Context { case: Arc::new(case.clone()), address, identity, connections: CONNECTION_COUNT_MAX }
    }

    /// The name a client of this target sends; none for an address literal.
    pub fn name(&self) -> Option<&str> {
        match &self.case.target.host {
            Host::Name(name) => Some(name),
            Host::Address(_) => None,
        }
    }

    /// The protocols a client of this target offers.
    pub fn alpn(&self) -> Vec<Vec<u8>> {
        match self.case.target.scheme {
            Scheme::Https => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            _ => Vec::new(),
        }
    }

    /// The handshake a user's client makes.
    pub fn wish(&self, wait: Duration) -> Wish {
        Wish {
            name: self.name().map(str::to_owned),
            alpn: self.alpn(),
            only_12: false,
            first: wait,
            more: wait.min(Duration::from_millis(1_800)),
            settle: true,
            request: None,
        }
    }

    /// One rustls handshake.
    pub async fn observe(&self, wish: &Wish) -> Observed {
        observe(&self.case, self.address, self.identity.as_deref(), wish).await
    }

    /// One hand-made hello.
    pub async fn exchange(&self, hello: &Hello, until: Until, wait: Duration) -> Exchange {
        exchange(&self.case, self.address, hello, until, wait).await
    }

    /// Many hand-made hellos, a few at a time; answers in the order of the questions.
    pub async fn exchanges(&self, hellos: Vec<(Hello, Until)>, wait: Duration) -> Vec<Exchange> {
        let gate = Arc::new(Semaphore::new(self.connections));
        let mut set = JoinSet::new();
        for (at, (hello, until)) in hellos.into_iter().enumerate() {
            let (this, gate) = (self.clone(), gate.clone());
            set.spawn(async move {
                let _permit = gate.acquire_owned().await;
                (at, this.exchange(&hello, until, wait).await)
            });
        }
        in_order(set).await
    }

    /// Many rustls handshakes, a few at a time; answers in the order of the questions.
    pub async fn observations(&self, wishes: Vec<Wish>) -> Vec<Observed> {
        let gate = Arc::new(Semaphore::new(self.connections));
        let mut set = JoinSet::new();
        for (at, wish) in wishes.into_iter().enumerate() {
            let (this, gate) = (self.clone(), gate.clone());
            set.spawn(async move {
                let _permit = gate.acquire_owned().await;
                (at, this.observe(&wish).await)
            });
        }
        in_order(set).await
    }
}

async fn in_order<T: 'static>(mut set: JoinSet<(usize, T)>) -> Vec<T> {
    let mut answers = Vec::with_capacity(set.len());
    while let Some(done) = set.join_next().await {
        answers.extend(done.ok());
    }
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
