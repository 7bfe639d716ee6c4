//! Agents: who is let in, who is not, and what those inside may do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::pretend::{Engine, Eyes};
use common::{eventually, options};
use netwhy_ends::{
    Agent, AgentCredentials, AgentEvent, AgentLimits, EndError, EndName, Ends, FaultCode, Issue, OpenOptions,
    Place, Rate, Request, RunSpec, issue,
};
use netwhy_model::Case;
use netwhy_model::host::WatchSpec;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

struct Running {
    port: u16,
    directory: tempfile::TempDir,
    events: Arc<Mutex<Vec<AgentEvent>>>,
    watching: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
    listening: JoinHandle<()>,
}

fn wanted() -> Issue {
    Issue {
        names: vec!["agent.test".into()],
        addresses: vec!["127.0.0.1".parse().unwrap()],
        clients: vec!["client".into(), "alice".into()],
        days: 1,
    }
}

async fn start(runs: bool, limits: AgentLimits) -> Running {
    let directory = tempfile::tempdir().unwrap();
    issue(directory.path(), &wanted()).unwrap();
    let eyes = Eyes::default();
    let watching = Arc::clone(&eyes.watching);
    let runner = runs.then(|| Arc::new(Engine) as Arc<dyn netwhy_ends::Runner>);
    let agent =
        Agent::new(&AgentCredentials::of_agent(directory.path()), Arc::new(eyes), runner, limits).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let events = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&events);
    let (stop, stopping) = watch::channel(false);
    let listening =
        tokio::spawn(agent.listen(listener, stopping, move |event| log.lock().unwrap().push(event)));
    Running { port, directory, events, watching, stop, listening }
}

impl Running {
    fn place(&self, host: &str) -> Vec<(EndName, Place)> {
        vec![(EndName::new("origin"), Place::Agent { host: host.into(), port: self.port })]
    }

    async fn open_as(&self, credentials: AgentCredentials) -> Ends {
        let options = OpenOptions { agent: Some(credentials), ..options() };
        Ends::open(&self.place("127.0.0.1"), &options).await
    }

    async fn open(&self) -> Ends {
        let ends = self.open_as(AgentCredentials::in_directory(self.directory.path())).await;
        if let Some((_, _, why)) = ends.failed().first() {
            panic!("{why}");
        }
        ends
    }

    async fn refusal(&self, credentials: AgentCredentials) -> String {
        let ends = self.open_as(credentials).await;
        assert!(ends.opened().is_empty(), "let in");
        ends.failed()[0].2.to_string()
    }

    fn events(&self) -> Vec<AgentEvent> {
        self.events.lock().unwrap().clone()
    }

    /// Nobody was let in.
    fn nobody_came_in(&self) -> bool {
        !self.events().iter().any(|event| matches!(event, AgentEvent::Opened { .. }))
    }

    async fn eventually_refused(&self, why: &str) {
        eventually(why, || {
            self.events()
                .iter()
                .any(|event| matches!(event, AgentEvent::Refused { why: told, .. } if told.contains(why)))
        })
        .await;
    }

    /// Speaks TLS as the client does and then anything.
    async fn raw(&self) -> TlsStream<TcpStream> {
        let read = |name: &str| std::fs::read(self.directory.path().join(name)).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&read("ca.pem")).unwrap()).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(&read("client.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(&read("client.key")).unwrap();
        let config =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_client_auth_cert(chain, key)
                .unwrap();
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let mut welcome = [0u8; 19];
        stream.read_exact(&mut welcome).await.unwrap();
        assert_eq!(&welcome, b"netwhy-end/1 agent\n");
        stream
    }

    /// The reason the agent gives for the end of its first session.
    async fn why_closed(&self) -> Option<String> {
        let closed = || {
            self.events().into_iter().find_map(|event| match event {
                AgentEvent::Closed { why, .. } => Some(why),
                _ => None,
            })
        };
        eventually("the session is closed", || closed().is_some()).await;
        closed().unwrap()
    }
}

fn defaults() -> AgentLimits {
    AgentLimits::default()
}

/// Another authority's files, signed as told.
fn foreign(
    directory: &Path,
    change: impl FnOnce(&mut rcgen::CertificateParams),
    of: &Running,
) -> AgentCredentials {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = rcgen::Issuer::new(authority, key);
    let own = rcgen::KeyPair::generate().unwrap();
    let mut leaf = rcgen::CertificateParams::default();
    leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut leaf);
    write(directory, &leaf.signed_by(&own, &issuer).unwrap().pem(), &own, of)
}

fn write(directory: &Path, certificate: &str, key: &rcgen::KeyPair, of: &Running) -> AgentCredentials {
    use std::os::unix::fs::PermissionsExt;
    let (certificate_path, key_path) = (directory.join("c.pem"), directory.join("c.key"));
    std::fs::write(&certificate_path, certificate).unwrap();
    std::fs::write(&key_path, key.serialize_pem()).unwrap();
    std::fs::set_permissions(&key_path, std::fs::Permissions::from_mode(0o600)).unwrap();
    AgentCredentials {
        authority: of.directory.path().join("ca.pem"),
        certificate: certificate_path,
        key: key_path,
    }
}

#[tokio::test]
async fn a_client_with_its_certificate_watches_looks_and_takes_its_leave() {
    let agent = start(false, defaults()).await;
    let ends = agent.open().await;
    let end = ends.end("origin").unwrap();
    end.watch(WatchSpec { port: 443, trace: true, ..WatchSpec::default() }).await.unwrap();
    let record = end.look().await.unwrap();
    assert_eq!((record.spec.port, record.spec.trace), (443, false), "tracing was not allowed");
    assert!(record.unread[0].why.contains("no tracing"));
    assert!(end.snapshot(0, false).await.is_ok());
    assert_eq!(agent.watching.load(Ordering::SeqCst), 1);
    ends.close().await;
    assert_eq!(agent.why_closed().await, None);
    assert_eq!(agent.watching.load(Ordering::SeqCst), 0);
    let AgentEvent::Opened { subject, .. } = &agent.events()[0] else { panic!("{:?}", agent.events()) };
    assert_eq!(subject, "O=netwhy agent, CN=client");
}

#[tokio::test]
async fn cases_are_run_only_by_an_agent_that_allows_it() {
    let spec = || RunSpec {
        case: Case::new("https://shop.example/".parse().unwrap()),
        ends: Vec::new(),
        label: String::new(),
    };
    let agent = start(false, defaults()).await;
    let ends = agent.open().await;
    let refused = ends.end("origin").unwrap().run(spec(), Arc::new(|_| {})).await.unwrap_err();
    assert!(matches!(&refused, EndError::Fault(fault) if fault.code == FaultCode::NotAllowed), "{refused}");
    let agent = start(true, defaults()).await;
    let ends = agent.open().await;
    assert!(ends.end("origin").unwrap().run(spec(), Arc::new(|_| {})).await.is_ok());
    let mut nosy = spec();
    nosy.case.client_cert = Some("/etc/shadow".into());
    let refused = ends.end("origin").unwrap().run(nosy, Arc::new(|_| {})).await.unwrap_err();
    assert!(refused.to_string().contains("reads no files for others"), "{refused}");
}

#[tokio::test]
async fn without_a_certificate_nobody_comes_in() {
    let agent = start(true, defaults()).await;
    let ca = std::fs::read(agent.directory.path().join("ca.pem")).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&ca).unwrap()).unwrap();
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", agent.port)).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    let _ = stream.write_all(b"{\"request\":{\"id\":1,\"request\":\"look\"}}\n").await;
    let mut answer = Vec::new();
    assert!(stream.read_to_end(&mut answer).await.is_err() && answer.is_empty());
    agent.eventually_refused("peer sent no certificates").await;
    assert!(agent.nobody_came_in());
}

#[tokio::test]
async fn certificates_of_others_expired_ones_and_ones_for_other_purposes_are_refused() {
    use rcgen::ExtendedKeyUsagePurpose::ServerAuth;
    let agent = start(true, defaults()).await;
    let directory = tempfile::tempdir().unwrap();
    let refused = agent.refusal(foreign(directory.path(), |_| {}, &agent)).await;
    assert!(refused.contains("it refuses this certificate"), "{refused}");
    // The same subject changes nothing.
    let other = tempfile::tempdir().unwrap();
    issue(other.path(), &wanted()).unwrap();
    let mut theirs = AgentCredentials::in_directory(other.path());
    theirs.authority = agent.directory.path().join("ca.pem");
    assert!(agent.refusal(theirs).await.contains("it refuses this certificate"));
    // The agent's own certificate is one of its authority, but not a client's.
    let own = AgentCredentials::of_agent(agent.directory.path());
    assert!(agent.refusal(own).await.contains("it refuses this certificate"));
    assert!(agent.nobody_came_in());

    // An authority whose key is at hand signs what `init` never would.
    let agent = with_own_authority().await;
    for (case, change) in [
        (
            "expired",
            (|leaf| leaf.not_after = leaf.not_before + time::Duration::days(1))
                as fn(&mut rcgen::CertificateParams),
        ),
        ("not yet valid", |leaf| leaf.not_before = leaf.not_after - time::Duration::days(1)),
        ("no purpose", |leaf| leaf.extended_key_usages.clear()),
        ("a server's", |leaf| leaf.extended_key_usages = vec![ServerAuth]),
    ] {
        let refused = agent.0.refusal(agent.signed(change)).await;
        assert!(refused.contains("it refuses this certificate"), "{case}: {refused}");
        assert!(agent.0.nobody_came_in(), "{case}");
    }
    assert!(
        agent
            .0
            .refusal(agent.signed(|leaf| leaf.not_after = leaf.not_before + time::Duration::days(1)))
            .await
            .contains("expired")
    );
    assert_eq!(
        agent.0.open_as(agent.signed(|_| {})).await.opened().len(),
        1,
        "the others differ in one thing each"
    );
}

/// An agent whose authority this test can sign with.
struct WithAuthority(Running, rcgen::Issuer<'static, rcgen::KeyPair>);

async fn with_own_authority() -> WithAuthority {
    let agent = start(true, defaults()).await;
    let key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = authority.self_signed(&key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, key);
    let own = rcgen::KeyPair::generate().unwrap();
    let mut leaf =
        rcgen::CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = leaf.signed_by(&own, &issuer).unwrap().pem();
    let directory = agent.directory.path();
    std::fs::write(directory.join("ca.pem"), ca).unwrap();
    std::fs::write(directory.join("agent.pem"), certificate).unwrap();
    std::fs::write(directory.join("agent.key"), own.serialize_pem()).unwrap();
    let _ = agent.stop.send(true);
    let files = AgentCredentials::of_agent(directory);
    let again = Agent::new(&files, Arc::new(Eyes::default()), None, defaults()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let log = Arc::clone(&agent.events);
    let (stop, stopping) = watch::channel(false);
    let listening =
        tokio::spawn(again.listen(listener, stopping, move |event| log.lock().unwrap().push(event)));
    WithAuthority(Running { port, stop, listening, ..agent }, issuer)
}

impl WithAuthority {
    fn signed(&self, change: impl FnOnce(&mut rcgen::CertificateParams)) -> AgentCredentials {
        let own = rcgen::KeyPair::generate().unwrap();
        let mut leaf = rcgen::CertificateParams::default();
        leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut leaf);
        let certificate = leaf.signed_by(&own, &self.1).unwrap().pem();
        write(self.0.directory.path(), &certificate, &own, &self.0)
    }
}

#[tokio::test]
async fn a_client_checks_whom_it_speaks_to() {
    let agent = start(false, defaults()).await;
    let credentials = AgentCredentials::in_directory(agent.directory.path());
    let open = |host: &str, credentials: AgentCredentials| {
        let (place, options) = (agent.place(host), OpenOptions { agent: Some(credentials), ..options() });
        async move { Ends::open(&place, &options).await.failed()[0].2.to_string() }
    };
    let refused = open("localhost", credentials.clone()).await;
    assert!(refused.contains("its certificate is for another name"), "{refused}");
    let other = tempfile::tempdir().unwrap();
    issue(other.path(), &wanted()).unwrap();
    let wrong = AgentCredentials { authority: other.path().join("ca.pem"), ..credentials.clone() };
    let refused = open("127.0.0.1", wrong).await;
    assert!(refused.contains("another authority signed its certificate"), "{refused}");
    let open_key = agent.directory.path().join("client.key");
    std::process::Command::new("chmod").arg("644").arg(&open_key).status().unwrap();
    let refused = open("127.0.0.1", credentials.clone()).await;
    assert!(refused.contains("others may read this key"), "{refused}");
    let none = AgentCredentials { key: "/does/not/exist".into(), ..credentials };
    assert!(open("127.0.0.1", none).await.contains("cannot use"));
    assert!(agent.nobody_came_in());
}

#[tokio::test]
async fn what_is_no_tls_gets_nothing() {
    let agent = start(true, defaults()).await;
    for garbage in
        [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], &[0u8; 5000], &[0x16, 3, 1, 0xff, 0xff, 1, 2, 3]]
    {
        let mut stream = TcpStream::connect(("127.0.0.1", agent.port)).await.unwrap();
        let _ = stream.write_all(garbage).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.len() < 20, "an alert at most: {answer:?}");
    }
    eventually("all are refused", || agent.events().len() == 3).await;
    assert!(agent.nobody_came_in());
    agent.open().await.close().await;
}

#[tokio::test]
async fn a_client_that_never_shakes_hands_is_let_go() {
    let agent = start(true, AgentLimits { handshake_ms_max: 300, ..defaults() }).await;
    let mut silent = TcpStream::connect(("127.0.0.1", agent.port)).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(3), silent.read_to_end(&mut answer)).await.unwrap().unwrap();
    agent.eventually_refused("the handshake took too long").await;
}

#[tokio::test]
async fn oversized_truncated_and_foreign_messages_end_the_session() {
    for (sent, why) in [
        (vec![b'a'; 300 * 1024], "longer than"),
        (b"{\"request\":{\"id\":1,".to_vec(), "in the middle of a message"),
        (b"rm -rf /\n".to_vec(), "no message"),
    ] {
        let agent = start(false, defaults()).await;
        let mut stream = agent.raw().await;
        let _ = stream.write_all(&sent).await;
        let _ = stream.shutdown().await;
        let told = agent.why_closed().await.unwrap_or_default();
        assert!(told.contains(why), "{told}");
    }
}

#[tokio::test]
async fn a_killed_client_leaves_no_watch() {
    let agent = start(false, defaults()).await;
    let mut stream = agent.raw().await;
    let watch = Request::Watch {
        name: "origin".into(),
        vantage: netwhy_model::Vantage::Origin,
        spec: WatchSpec::default(),
    };
    let frame = netwhy_ends::Frame::Request { id: 1, end: None, lane: 0, request: watch };
    stream.write_all((serde_json::to_string(&frame).unwrap() + "\n").as_bytes()).await.unwrap();
    let mut one = [0u8; 1];
    stream.read_exact(&mut one).await.unwrap();
    assert_eq!(agent.watching.load(Ordering::SeqCst), 1);
    // No farewell: the socket is reset, as the kernel does for a killed process with unread data.
    let (socket, _) = stream.into_inner();
    socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
    drop(socket);
    agent.why_closed().await;
    eventually("no watch is left", || agent.watching.load(Ordering::SeqCst) == 0).await;
    agent.open().await.close().await;
}

#[tokio::test]
async fn a_killed_agent_is_a_clear_error() {
    let agent = start(false, defaults()).await;
    let ends = agent.open().await;
    let end = ends.end("origin").unwrap().clone();
    let call = tokio::spawn(async move { end.snapshot(5_000, false).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    agent.listening.abort();
    let ended = tokio::time::timeout(Duration::from_secs(3), call).await.unwrap().unwrap();
    assert!(matches!(ended, Err(EndError::Gone { .. })), "{ended:?}");
    let ends = agent_ends_after_death(agent.port, agent.directory.path()).await;
    assert!(matches!(ends.failed()[0].2, EndError::Connect { .. }));
}

async fn agent_ends_after_death(port: u16, directory: &Path) -> Ends {
    let place = Place::Agent { host: "127.0.0.1".into(), port };
    let options = OpenOptions { agent: Some(AgentCredentials::in_directory(directory)), ..options() };
    Ends::open(&[(EndName::new("origin"), place)], &options).await
}

#[tokio::test]
async fn connections_are_counted_in_all_and_by_address() {
    let agent = start(false, AgentLimits { connection_count_max: 2, ..defaults() }).await;
    let (first, _second) = (agent.open().await, agent.open().await);
    let refused = agent.refusal(AgentCredentials::in_directory(agent.directory.path())).await;
    assert!(refused.contains("no secure connection"), "{refused}");
    agent.eventually_refused("too many sessions").await;
    first.close().await;
    eventually("its place is free", || {
        agent.events().iter().any(|event| matches!(event, AgentEvent::Closed { .. }))
    })
    .await;
    agent.open().await.close().await;

    let agent = start(false, AgentLimits { per_peer_count_max: 2, ..defaults() }).await;
    let _idle = [
        TcpStream::connect(("127.0.0.1", agent.port)).await.unwrap(),
        TcpStream::connect(("127.0.0.1", agent.port)).await.unwrap(),
    ];
    agent.refusal(AgentCredentials::in_directory(agent.directory.path())).await;
    agent.eventually_refused("from this address").await;

    let limits = AgentLimits { connection_count_max: 3, per_peer_count_max: 100, ..defaults() };
    let agent = start(false, limits).await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(TcpStream::connect(("127.0.0.1", agent.port)).await.unwrap());
    }
    agent.eventually_refused("in their handshake").await;
    drop(idle);
    eventually("their places are free", || agent.events().len() == 20).await;
    for _ in 0..100 {
        let _ = TcpStream::connect(("127.0.0.1", agent.port)).await.unwrap().shutdown().await;
    }
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let _ = TcpStream::connect(("127.0.0.1", agent.port)).await.unwrap().shutdown().await;
    eventually("what was not told is counted", || {
        agent.events().iter().any(|event| matches!(event, AgentEvent::Refused { untold: 60.., .. }))
    })
    .await;
    assert!(agent.events().len() < 40, "a scan does not fill the log");
    agent.open().await.close().await;
}

#[tokio::test]
async fn requests_sessions_and_silence_have_their_limits() {
    let agent = start(false, AgentLimits { rate: Rate { per_second: 0.1, burst: 5.0 }, ..defaults() }).await;
    let ends = agent.open().await;
    let end = ends.end("origin").unwrap();
    let mut refused = 0;
    for _ in 0..10 {
        if let Err(EndError::Fault(fault)) = end.snapshot(0, false).await {
            assert_eq!(fault.code, FaultCode::TooMany);
            refused += 1;
        }
    }
    assert_eq!(refused, 6, "the introduction counts as well");
    let agent = start(false, AgentLimits { idle_ms_max: 200, ..defaults() }).await;
    let _ends = agent.open().await;
    assert!(agent.why_closed().await.unwrap().contains("the next message took longer than 200 ms"));
    let agent = start(false, AgentLimits { lifetime_ms_max: 300, ..defaults() }).await;
    let ends = agent.open().await;
    ends.end("origin").unwrap().watch(WatchSpec::default()).await.unwrap();
    assert!(agent.why_closed().await.unwrap().contains("as old as sessions get"));
    assert_eq!(agent.watching.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_agent_that_stops_ends_its_sessions_in_order() {
    let agent = start(false, defaults()).await;
    let ends = agent.open().await;
    ends.end("origin").unwrap().watch(WatchSpec::default()).await.unwrap();
    agent.stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(5), agent.listening).await.unwrap().unwrap();
    assert_eq!(agent.watching.load(Ordering::SeqCst), 0);
    assert!(matches!(ends.end("origin").unwrap().look().await, Err(EndError::Gone { .. })));
}
