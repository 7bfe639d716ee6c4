//! Small name servers on loopback, each with one fault, and what is said of them.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record, RecordType};
use netwhy_dns::{Resolution, names};
use netwhy_model::Case;
use std::net::SocketAddr;
use tokio::net::UdpSocket;

/// How a server answers questions for A; everything else gets no data.
#[derive(Clone, Copy)]
enum Server {
    Well,
    Twice,
    Refuses,
    Silent,
}

async fn serve(server: Server) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0u8; 1_500];
        while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
            for last in replies(server, &buffer[..len]) {
                socket.send_to(&last, from).await.unwrap();
            }
        }
    });
    address
}

fn replies(server: Server, question: &[u8]) -> Vec<Vec<u8>> {
    let mut message = Message::from_vec(question).unwrap();
    message.metadata.message_type = MessageType::Response;
    let query = message.queries[0].clone();
    let with = |octet: u8| {
        let mut one = message.clone();
        if query.query_type() == RecordType::A {
            let address = RData::A(A::new(10, 0, 0, octet));
            one.add_answer(Record::from_rdata(query.name().clone(), 60, address));
        }
        one.to_vec().unwrap()
    };
    match server {
        Server::Well => vec![with(1)],
        Server::Twice => vec![with(66), with(1)],
        Server::Silent => vec![],
        Server::Refuses => {
            message.metadata.response_code = ResponseCode::Refused;
            vec![message.to_vec().unwrap()]
        }
    }
}

async fn asked(servers: &[Server]) -> Resolution {
    let mut case = Case::new("dns:shop.netwhy.test".parse().unwrap());
    for server in servers {
        case.source.resolvers.push(serve(*server).await);
    }
    names(&case).await
}

fn value(seen: &Resolution, fact: &str) -> String {
    let found: Vec<_> = seen.evidence.iter().filter(|e| e.fact == fact && e.speaks()).collect();
    assert!(found.len() <= 1, "{fact} is said twice");
    found.first().map(|e| e.value.clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_healthy_resolver_accuses_nobody() {
    let seen = asked(&[Server::Well]).await;
    assert_eq!(seen.addresses, ["10.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
    let faults: Vec<_> = seen.evidence.iter().filter(|e| netwhy_dns::is_fault(e)).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

#[tokio::test]
async fn a_second_answer_is_heard() {
    let seen = asked(&[Server::Twice]).await;
    assert_eq!(value(&seen, "dns.injected"), "yes");
    assert_eq!(value(&seen, "dns.answer"), "ok");
}

#[tokio::test]
async fn a_refusal_is_told_from_silence() {
    let seen = asked(&[Server::Refuses]).await;
    assert_eq!(
        (value(&seen, "dns.answer"), value(&seen, "dns.resolvers")),
        ("refused".into(), "all_refuse".into())
    );
    assert_eq!(value(&seen, "dns.resolver_reach"), "ok");
}

#[tokio::test]
async fn a_dead_first_resolver_is_slow_for_the_user() {
    let seen = asked(&[Server::Silent, Server::Well]).await;
    assert_eq!(value(&seen, "dns.resolvers"), "first_dead");
    assert_eq!(value(&seen, "dns.latency"), "slow");
    assert_eq!(value(&seen, "dns.answer"), "ok");
    assert!(seen.report.system_wait_ms >= 1_000.0);
}

#[tokio::test]
async fn an_address_is_no_name() {
    let seen = names(&Case::new("https://[2001:db8::1]/".parse().unwrap())).await;
    assert!(seen.evidence.is_empty());
    assert_eq!(seen.addresses.len(), 1);
}
