//! A tiny DNS server: authoritative out of zone files, recursive from root servers, or both.

use super::recurse::Recursor;
use super::sockets::{accept_each, everywhere};
use super::zone::{self, Zone};
use crate::isolate::LAB_DIRECTORY;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// The longest answer over UDP, in bytes, however much the asker would take (the usual flag-day value).
const UDP_BYTES_MAX: u16 = 1232;
/// Questions on one TCP connection.
const QUESTIONS_COUNT_MAX: usize = 100;
/// How long a TCP connection may be idle, in seconds.
const IDLE_S_MAX: u64 = 10;

/// Options of the kind `dns`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    #[serde(default = "fifty_three")]
    pub port: u16,
    #[serde(default = "everywhere")]
    pub listen: IpAddr,
    /// Zones served: names of `[[zone]]`, or `name=file` for another file of the zone directory.
    #[serde(default)]
    pub zones: Vec<String>,
    /// Root servers: with these it resolves any name for anybody.
    #[serde(default)]
    pub roots: Vec<IpAddr>,
    /// Waits this long before each answer.
    #[serde(default)]
    pub delay_ms: u64,
    /// Answers every question with this code: `SERVFAIL`, `REFUSED`, `NXDOMAIN`.
    #[serde(default)]
    pub rcode: String,
    /// Forged answers: name to address.
    #[serde(default)]
    pub forge: BTreeMap<String, IpAddr>,
    #[serde(default = "yes")]
    pub udp: bool,
    #[serde(default = "yes")]
    pub tcp: bool,
}

fn fifty_three() -> u16 {
    53
}

fn yes() -> bool {
    true
}

struct Server {
    options: Options,
    zones: Vec<Zone>,
    recursor: Option<Recursor>,
}

/// Serves until killed.
pub async fn serve(options: Options, ready: impl FnOnce()) -> io::Result<()> {
    let zones = options.zones.iter().map(|zone| load(zone)).collect::<io::Result<_>>()?;
    let recursor = (!options.roots.is_empty()).then(|| Recursor::new(options.roots.clone()));
    let at = (options.listen, options.port);
    let udp = if options.udp { Some(Arc::new(UdpSocket::bind(at).await?)) } else { None };
    let tcp = if options.tcp { Some(TcpListener::bind(at).await?) } else { None };
    let server = Arc::new(Server { options, zones, recursor });
    ready();
    let over_udp = async {
        match udp {
            Some(socket) => serve_udp(&server, socket).await,
            None => std::future::pending().await,
        }
    };
    let over_tcp = async {
        match tcp {
            Some(listener) => serve_tcp(&server, listener).await,
            None => std::future::pending().await,
        }
    };
    tokio::try_join!(over_udp, over_tcp).map(drop)
}

fn load(entry: &str) -> io::Result<Zone> {
    let (zone, file) = entry.split_once('=').unwrap_or((entry, entry));
    let path = format!("{LAB_DIRECTORY}/zones/{}.zone", crate::zone_file_stem(file));
    Zone::parse(zone, &std::fs::read_to_string(path)?)
}

async fn serve_udp(server: &Arc<Server>, socket: Arc<UdpSocket>) -> io::Result<()> {
    let mut buffer = [0u8; 4096];
    loop {
        let Ok((count, from)) = socket.recv_from(&mut buffer).await else { continue };
        let Ok(query) = Message::from_vec(&buffer[..count]) else { continue };
        let (server, socket) = (Arc::clone(server), Arc::clone(&socket));
        tokio::spawn(async move {
            let limit = usize::from(query.max_payload().min(UDP_BYTES_MAX));
            let response = server.respond(&query).await;
            let bytes = match response.to_vec() {
                Ok(bytes) if bytes.len() > limit => response.truncate().to_vec(),
                other => other,
            };
            if let Ok(bytes) = bytes {
                let _ = socket.send_to(&bytes, from).await;
            }
        });
    }
}

async fn serve_tcp(server: &Arc<Server>, listener: TcpListener) -> io::Result<()> {
    accept_each(listener, |stream| {
        let server = Arc::clone(server);
        async move { drop(converse(&server, stream).await) }
    })
    .await
}

async fn converse(server: &Server, mut stream: TcpStream) -> io::Result<()> {
    for _ in 0..QUESTIONS_COUNT_MAX {
        let length = tokio::time::timeout(Duration::from_secs(IDLE_S_MAX), stream.read_u16()).await??;
        let mut bytes = vec![0u8; usize::from(length)];
        tokio::time::timeout(Duration::from_secs(IDLE_S_MAX), stream.read_exact(&mut bytes)).await??;
        let query = Message::from_vec(&bytes).map_err(io::Error::other)?;
        let answer = server.respond(&query).await.to_vec().map_err(io::Error::other)?;
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend(answer);
        stream.write_all(&framed).await?;
    }
    Ok(())
}

impl Server {
    async fn respond(&self, query: &Message) -> Message {
        let mut response = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
        response.metadata.recursion_desired = query.metadata.recursion_desired;
        response.metadata.recursion_available = self.recursor.is_some();
        response.add_queries(query.queries.iter().cloned());
        if query.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_BYTES_MAX);
            response.set_edns(edns);
        }
        tokio::time::sleep(Duration::from_millis(self.options.delay_ms)).await;
        self.fill(query, &mut response).await;
        response
    }

    async fn fill(&self, query: &Message, response: &mut Message) {
        let Some(question) = query.queries.first() else {
            response.metadata.response_code = ResponseCode::FormErr;
            return;
        };
        if let Some(code) = code_of(&self.options.rcode) {
            response.metadata.response_code = code;
            return;
        }
        if let Some(forged) = self.forged(&question.name().to_string(), question.query_type()) {
            response.add_answers(forged.map(|data| Record::from_rdata(question.name().clone(), 300, data)));
            return;
        }
        if zone::answer(&self.zones, question, response) {
            return;
        }
        match &self.recursor {
            Some(recursor) if query.metadata.recursion_desired => {
                let reply = recursor.resolve(question.name(), question.query_type()).await;
                response.metadata.response_code = reply.code;
                response.add_answers(reply.answers);
                response.add_authorities(reply.authorities);
            }
            _ => response.metadata.response_code = ResponseCode::Refused,
        }
    }

    /// The forged answer for a name; empty for the family the forger does not have.
    fn forged(&self, name: &str, kind: RecordType) -> Option<Option<RData>> {
        let address = self.options.forge.get(name.trim_end_matches('.'))?;
        Some(match (address, kind) {
            (IpAddr::V4(v4), RecordType::A) => Some(RData::A((*v4).into())),
            (IpAddr::V6(v6), RecordType::AAAA) => Some(RData::AAAA((*v6).into())),
            _ => None,
        })
    }
}

fn code_of(text: &str) -> Option<ResponseCode> {
    Some(match text.to_ascii_uppercase().as_str() {
        "SERVFAIL" => ResponseCode::ServFail,
        "REFUSED" => ResponseCode::Refused,
        "NXDOMAIN" => ResponseCode::NXDomain,
        _ => return None,
    })
}
