//! A small resolver: from the root servers down, over UDP and, when truncated, TCP.
//!
//! It exists so that a fault at an authoritative server reaches the client as it would in life.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// Questions to other servers for one question of a client.
const STEPS_COUNT_MAX: usize = 24;
/// Resolving a name server's own name may need another, this deep.
const DEPTH_MAX: usize = 4;
/// How long one server may take, in milliseconds.
const SERVER_WAIT_MS_MAX: u64 = 800;
/// Answers remembered.
const CACHE_COUNT_MAX: usize = 512;
/// How long a negative answer is remembered, in seconds.
const NEGATIVE_S: u32 = 30;

/// What came of a question.
#[derive(Debug, Clone)]
pub struct Reply {
    pub code: ResponseCode,
    pub answers: Vec<Record>,
    pub authorities: Vec<Record>,
}

impl Reply {
    fn failed() -> Reply {
        Reply { code: ResponseCode::ServFail, answers: Vec::new(), authorities: Vec::new() }
    }
}

/// Resolves names from given root servers and remembers the answers.
pub struct Recursor {
    roots: Vec<IpAddr>,
    cache: Mutex<HashMap<(Name, RecordType), (Instant, Reply)>>,
    next_id: AtomicU16,
}

impl Recursor {
    /// A resolver with an empty memory.
    pub fn new(roots: Vec<IpAddr>) -> Recursor {
        Recursor { roots, cache: Mutex::new(HashMap::new()), next_id: AtomicU16::new(1) }
    }

    /// Resolves a name, following aliases; failures come back as SERVFAIL.
    pub async fn resolve(&self, name: &Name, kind: RecordType) -> Reply {
        if let Some(reply) = self.remembered(name, kind) {
            return reply;
        }
        let mut reply = self.walk(name.clone(), kind, 0).await.unwrap_or_else(Reply::failed);
        reply.answers.dedup();
        self.remember(name, kind, &reply);
        reply
    }

    fn walk<'a>(
        &'a self,
        mut name: Name,
        kind: RecordType,
        depth: usize,
    ) -> Pin<Box<dyn Future<Output = Option<Reply>> + Send + 'a>> {
        Box::pin(async move {
            if depth > DEPTH_MAX {
                return None;
            }
            let mut servers = self.roots.clone();
            let mut aliases: Vec<Record> = Vec::new();
            for _ in 0..STEPS_COUNT_MAX {
                let message = self.ask_any(&servers, &name, kind).await?;
                let done = |answers| {
                    Some(Reply {
                        code: message.metadata.response_code,
                        answers,
                        authorities: message.authorities.clone(),
                    })
                };
                let last = last_alias(&message.answers, &name);
                let found =
                    message.answers.iter().any(|record| record.record_type() == kind && record.name == last);
                aliases.extend(message.answers.iter().cloned());
                if message.metadata.response_code == ResponseCode::NXDomain || found {
                    return done(aliases);
                }
                if last != name && kind != RecordType::CNAME {
                    name = last;
                    servers = self.roots.clone();
                } else if let Some(next) = self.referred(&message, depth).await {
                    servers = next;
                } else {
                    return done(aliases);
                }
            }
            None
        })
    }

    /// The addresses a referral leads to; `None` when the message is no referral.
    async fn referred(&self, message: &Message, depth: usize) -> Option<Vec<IpAddr>> {
        if message.metadata.authoritative {
            return None;
        }
        let targets: Vec<&Name> = message
            .authorities
            .iter()
            .filter_map(|record| match &record.data {
                RData::NS(target) => Some(&target.0),
                _ => None,
            })
            .collect();
        if targets.is_empty() {
            return None;
        }
        let glue: Vec<IpAddr> = message
            .additionals
            .iter()
            .filter(|record| targets.contains(&&record.name))
            .filter_map(|record| address_of(&record.data))
            .collect();
        if !glue.is_empty() {
            return Some(glue);
        }
        let mut found = Vec::new();
        for target in targets {
            if let Some(reply) = self.walk(target.clone(), RecordType::A, depth + 1).await {
                found.extend(reply.answers.iter().filter_map(|record| address_of(&record.data)));
            }
        }
        Some(found)
    }

    /// Asks the servers in turn, IPv4 first, until one gives an answer that means something.
    async fn ask_any(&self, servers: &[IpAddr], name: &Name, kind: RecordType) -> Option<Message> {
        let mut ordered = servers.to_vec();
        ordered.sort_by_key(IpAddr::is_ipv6);
        for server in ordered {
            let wait = Duration::from_millis(SERVER_WAIT_MS_MAX);
            let Ok(Ok(message)) = tokio::time::timeout(wait, self.ask(server, name, kind)).await else {
                continue;
            };
            if matches!(message.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain) {
                return Some(message);
            }
        }
        None
    }

    async fn ask(&self, server: IpAddr, name: &Name, kind: RecordType) -> io::Result<Message> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(name.clone(), kind));
        let mut edns = Edns::new();
        edns.set_max_payload(1232);
        message.set_edns(edns);
        let bytes = message.to_vec().map_err(io::Error::other)?;
        let local: IpAddr = if server.is_ipv4() { [0u8; 4].into() } else { [0u8; 16].into() };
        let socket = UdpSocket::bind((local, 0)).await?;
        socket.connect((server, 53)).await?;
        socket.send(&bytes).await?;
        let mut buffer = [0u8; 4096];
        loop {
            let count = socket.recv(&mut buffer).await?;
            match Message::from_vec(&buffer[..count]) {
                Ok(reply) if reply.metadata.id == id && reply.metadata.truncation => {
                    return over_tcp(server, &bytes).await;
                }
                Ok(reply) if reply.metadata.id == id => return Ok(reply),
                _ => {}
            }
        }
    }

    fn remembered(&self, name: &Name, kind: RecordType) -> Option<Reply> {
        let cache = self.cache.lock().ok()?;
        let (until, reply) = cache.get(&(name.clone(), kind))?;
        let left = until.checked_duration_since(Instant::now())?;
        let mut reply = reply.clone();
        for record in reply.answers.iter_mut() {
            record.ttl = record.ttl.min(u32::try_from(left.as_secs() + 1).unwrap_or(u32::MAX));
        }
        Some(reply)
    }

    fn remember(&self, name: &Name, kind: RecordType, reply: &Reply) {
        if reply.code == ResponseCode::ServFail {
            return;
        }
        let ttl = reply.answers.iter().map(|record| record.ttl).min().unwrap_or(NEGATIVE_S);
        let until = Instant::now() + Duration::from_secs(u64::from(ttl));
        if let Ok(mut cache) = self.cache.lock()
            && cache.len() < CACHE_COUNT_MAX
        {
            cache.insert((name.clone(), kind), (until, reply.clone()));
        }
    }
}

async fn over_tcp(server: IpAddr, query: &[u8]) -> io::Result<Message> {
    let mut stream = TcpStream::connect((server, 53)).await?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(query);
    stream.write_all(&framed).await?;
    let mut bytes = vec![0u8; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut bytes).await?;
    Message::from_vec(&bytes).map_err(io::Error::other)
}

/// Where the aliases in an answer lead.
fn last_alias(answers: &[Record], name: &Name) -> Name {
    let mut last = name.clone();
    for _ in 0..answers.len() {
        let next = answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == last => Some(target.0.clone()),
            _ => None,
        });
        match next {
            Some(next) => last = next,
            None => break,
        }
    }
    last
}

fn address_of(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(v4) => Some(IpAddr::V4(v4.0)),
        RData::AAAA(v6) => Some(IpAddr::V6(v6.0)),
        _ => None,
    }
}
