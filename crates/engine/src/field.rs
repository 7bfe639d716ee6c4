//! The other ends of one case while it runs: who watches what, and what their records say together.

use futures_util::future::join_all;
use netwhy_ends::{End, EndName, Ends, Hello, OpenOptions, Place};
use netwhy_host::facts::{Asked, Manner, Sides, dials, facts, manner};
use netwhy_model::host::{Finding, Record, WatchSpec};
use netwhy_model::{Case, Evidence, Leg, LegRecord, Link, Scheme, Stamp, Vantage};
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

/// The name under which the asking host watches itself.
const SELF_NAME: &str = "here";
/// The window over which a far host's own state is judged, in milliseconds.
const JUDGED_WINDOW_MS: u64 = 300;

/// One end with who answered there.
struct Post {
    end: End,
    hello: Hello,
    watching: bool,
    findings: Option<Vec<Finding>>,
}

/// The ends of one case.
pub(crate) struct Field {
    /// This host, watching itself.
    own: Option<Post>,
    posts: Vec<Post>,
    /// Ends that could not be opened or do not answer, and why.
    failed: Vec<(String, String)>,
    /// Keeps this host's own end open.
    _local: Option<Ends>,
    spec: WatchSpec,
}

impl Field {
    /// Nobody else to ask: everything is seen from here.
    pub fn empty() -> Field {
        Field { own: None, posts: Vec::new(), failed: Vec::new(), _local: None, spec: WatchSpec::default() }
    }

    /// Learns who is there, and joins this host itself to them; an end that does not answer is named and left out.
    pub async fn open(ends: Vec<(EndName, End)>, watch_self: bool) -> Field {
        if ends.is_empty() && !watch_self {
            return Field::empty();
        }
        let own = EndName { name: SELF_NAME.to_owned(), vantage: Vantage::Source };
        let options = OpenOptions::default();
        let places = [(own, Place::Local)];
        let local = Ends::open(&places, &options);
        let hellos = join_all(ends.into_iter().map(|(name, end)| async move {
            let hello = end.hello().await;
            (name, end, hello)
        }));
        let (local, hellos) = tokio::join!(local, hellos);
        let mut field = Field::empty();
        field.own = local.opened().first().map(|o| Post::new(o.end.clone(), o.hello.clone()));
        field._local = Some(local);
        for (name, end, hello) in hellos {
            match hello {
                Ok(hello) => field.posts.push(Post::new(end, hello)),
                Err(error) => field.failed.push((name.name, error.to_string())),
            }
        }
        field
    }

    /// Remembers an end that could not be opened at all, or did not do as asked.
    pub fn fail(&mut self, name: String, why: String) {
        self.failed.push((name, why));
    }

    pub fn is_empty(&self) -> bool {
        self.posts.is_empty() && self.own.is_none()
    }

    /// The node in front of the origin, when one of the ends is it.
    pub fn edge(&self) -> Option<&End> {
        self.posts.iter().map(|p| &p.end).find(|end| end.name().vantage == Vantage::Edge)
    }

    /// The ends a node may watch while it asks the origin: all but itself and the asker.
    pub fn beyond_edge(&self) -> Vec<EndName> {
        let names = self.posts.iter().map(|p| p.end.name());
        names.filter(|name| !matches!(name.vantage, Vantage::Edge | Vantage::Source)).cloned().collect()
    }

    /// Begins to watch at every end at once.
    pub async fn watch(&mut self, case: &Case, targets: &[IpAddr]) {
        if self.is_empty() {
            return;
        }
        let sources = self.own.as_ref().map(|own| own.hello.addresses.clone()).unwrap_or_default();
        self.spec = WatchSpec {
            targets: targets.to_vec(),
            port: case.target.port,
            sources,
            udp: matches!(case.target.scheme, Scheme::Udp),
            onward: false,
            trace: true,
        };
        let spec = &self.spec;
        let own = self.own.iter_mut();
        let begun = join_all(own.chain(&mut self.posts).map(|post| post.watch(spec))).await;
        for (name, why) in begun.into_iter().flatten() {
            self.failed.push((name, why));
        }
    }

    /// What every end saw so far, the asking host's own first.
    pub async fn look(&mut self) -> Vec<Record> {
        let own = self.own.iter_mut();
        let records = join_all(own.chain(&mut self.posts).filter(|p| p.watching).map(Post::look)).await;
        records.into_iter().flatten().collect()
    }

    /// Judges the far hosts' own state, once.
    pub async fn judge(&mut self) {
        let far =
            self.posts.iter_mut().filter(|p| matches!(p.end.name().vantage, Vantage::Origin | Vantage::Edge));
        join_all(far.map(Post::judge)).await;
    }

    /// Ends every watch.
    pub async fn close(&mut self) {
        let own = self.own.iter();
        join_all(own.chain(&self.posts).filter(|p| p.watching).map(|p| p.end.unwatch())).await;
    }

    /// What the records say together of the connection the user makes.
    pub fn conclude(&self, case: &Case, records: &[Record]) -> Vec<Evidence> {
        let at = Stamp::from(SystemTime::now());
        conclude(case, &self.spec.targets, records, at)
    }

    /// The ends that could not be opened or did not do as asked, as what could not be asked.
    pub fn failures(&self) -> Vec<Evidence> {
        let at = Stamp::from(SystemTime::now());
        self.failed.iter().map(|(name, why)| failure(name, why, at)).collect()
    }

    /// Where the node connects to, by its own record and configuration or as the user says.
    pub fn onward(&self, case: &Case, records: &[Record]) -> (Vec<Evidence>, Option<SocketAddr>) {
        let named = case.origin.map(|o| SocketAddr::new(o.address, o.port.unwrap_or(case.target.port)));
        let with = |vantage| records.iter().find(|r| r.vantage == Some(vantage));
        match with(Vantage::Edge) {
            Some(node) => {
                let host = case.target.host.to_string();
                let asked = Some(asked(case, &host));
                dials(node, with(Vantage::Origin), named, asked, Stamp::from(SystemTime::now()))
            }
            None => (Vec::new(), None),
        }
    }

    /// How the node asks there, as its configuration says.
    pub fn manner(&self, case: &Case, records: &[Record], to: SocketAddr) -> Option<Manner> {
        let node = records.iter().find(|r| r.vantage == Some(Vantage::Edge))?;
        let host = case.target.host.to_string();
        manner(node, Some(asked(case, &host)), to)
    }
}

/// What the user asks of whoever answers at the target.
fn asked<'a>(case: &'a Case, host: &'a str) -> Asked<'a> {
    Asked { site: case.header("host").unwrap_or(host), path: &case.target.path }
}

/// The facts of the user's own connection, from everybody's records of it.
pub(crate) fn conclude(case: &Case, targets: &[IpAddr], records: &[Record], at: Stamp) -> Vec<Evidence> {
    let source = records.iter().find(|r| r.vantage == Some(Vantage::Source));
    let path: Vec<&Record> = records.iter().filter(|r| r.vantage == Some(Vantage::Path)).collect();
    let host = case.target.host.to_string();
    let web = matches!(case.target.scheme, Scheme::Http | Scheme::Https);
    let sides = Sides {
        leg: Leg::Front,
        source,
        far: far(targets, records),
        path: &path,
        targets,
        port: case.target.port,
        udp: case.target.scheme == Scheme::Udp,
        asked: web.then(|| asked(case, &host)),
        at,
    };
    facts(&sides)
}

/// The end that is asked: who owns the address, else the node, else the origin.
fn far<'r>(targets: &[IpAddr], records: &'r [Record]) -> Option<&'r Record> {
    let ends = || records.iter().filter(|r| matches!(r.vantage, Some(Vantage::Edge | Vantage::Origin)));
    let owner = ends().find(|r| targets.iter().any(|t| r.own_addresses.contains(t)));
    let node = ends().find(|r| r.vantage == Some(Vantage::Edge));
    owner.or(node).or(ends().next())
}

/// An end that failed, as what could not be asked there.
pub(crate) fn failure(name: &str, why: &str, at: Stamp) -> Evidence {
    Evidence::unread("host.syn", Link::Path, at, "end", format!("{name}: {why}")).about(name)
}

/// Files records under the connection they are about.
pub(crate) fn filed(leg: Leg, records: Vec<Record>) -> Vec<LegRecord> {
    records.into_iter().map(|record| LegRecord { leg, record }).collect()
}

impl Post {
    fn new(end: End, hello: Hello) -> Post {
        Post { end, hello, watching: false, findings: None }
    }

    async fn watch(&mut self, spec: &WatchSpec) -> Option<(String, String)> {
        let onward = self.end.name().vantage == Vantage::Edge;
        match self.end.watch(WatchSpec { onward, ..spec.clone() }).await {
            Ok(()) => {
                self.watching = true;
                None
            }
            Err(error) => Some((self.end.name().name.clone(), error.to_string())),
        }
    }

    async fn look(&mut self) -> Option<Record> {
        let mut record = self.end.look().await.ok()?;
        if let Some(findings) = &self.findings {
            record.findings.clone_from(findings);
            record.judged = true;
        }
        Some(record)
    }

    async fn judge(&mut self) {
        if self.findings.is_none() {
            self.findings = self.end.snapshot(JUDGED_WINDOW_MS, false).await.ok().map(|s| s.findings);
        }
    }
}
