//! Looks at servers on loopback.

use super::*;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

/// A server that gives every connection to `serve`, for as many connections as a look makes at most.
fn serve(mut serve: impl FnMut(std::net::TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(3).flatten() {
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            serve(stream);
        }
    });
    address
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(4)
}

#[test]
fn a_greeting_tells_the_service() {
    let address = serve(|mut stream| stream.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n").unwrap());
    let seen = look(address, &LookFor::default(), soon());
    assert_eq!((seen.service.as_str(), seen.banner.as_deref()), ("ssh", Some("SSH-2.0-OpenSSH_9.2p1")));
}

#[test]
fn plain_http_is_found_behind_a_hello_it_does_not_know() {
    let address = serve(|mut stream| {
        let mut bytes = [0; 2_048];
        let count = stream.read(&mut bytes).unwrap_or(0);
        let answer: &[u8] = match bytes[..count].starts_with(b"GET / HTTP/1.1\r\nHost: shop.example\r\n") {
            true => b"HTTP/1.1 200 OK\r\nServer: tiny\r\n\r\n",
            false => return,
        };
        stream.write_all(answer).unwrap();
    });
    let seen = look(address, &LookFor { name: Some("shop.example".into()), ..LookFor::default() }, soon());
    assert_eq!((seen.service.as_str(), seen.banner.as_deref()), ("http", Some("HTTP/1.1 200 OK, tiny")));
}

#[test]
fn a_certificate_is_held_against_the_name() {
    let made =
        rcgen::generate_simple_self_signed(vec!["shop.example".into(), "*.shop.example".into()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    for (name, matches) in [("shop.example", true), ("www.shop.example", true), ("other.example", false)] {
        let config = Arc::clone(&config);
        let address = serve(move |mut stream| {
            let mut session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = rustls::Stream::new(&mut session, &mut stream);
            let mut bytes = [0; 1_024];
            if tls.read(&mut bytes).unwrap_or(0) > 0 {
                let _ = tls.write_all(b"HTTP/1.1 404 Not Found\r\nServer: tiny\r\n\r\n");
            }
        });
        let seen = look(address, &LookFor { name: Some(name.into()), ..LookFor::default() }, soon());
        assert_eq!((seen.service.as_str(), seen.matches), ("https", Some(matches)), "{name}");
        assert_eq!(seen.names, ["shop.example", "*.shop.example"]);
        assert_eq!(seen.banner.as_deref(), Some("HTTP/1.1 404 Not Found, tiny"));
    }
}

#[test]
fn an_endless_talker_is_cut_off() {
    let address = serve(|mut stream| {
        // Ends when the look has closed the connection.
        for _ in 0..100_000 {
            if stream.write_all(&[b'x'; 4_096]).is_err() {
                return;
            }
        }
    });
    let seen = look(address, &LookFor::default(), soon());
    assert_eq!(seen.banner.map(|banner| banner.len()), Some(120));
}

#[test]
fn a_silent_port_ends_with_the_deadline() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let deadline = Instant::now() + Duration::from_millis(900);
    assert_eq!(look(address, &LookFor::default(), deadline).service, "silent");
    assert!(Instant::now() < deadline + Duration::from_secs(2));
}

#[test]
fn many_are_looked_at_in_their_order() {
    let addresses: Vec<SocketAddr> = (0..40)
        .map(|number| {
            serve(move |mut stream| stream.write_all(format!("hello {number}\r\n").as_bytes()).unwrap())
        })
        .collect();
    let looks = look_all(&addresses, &LookFor::default(), soon());
    for (number, seen) in looks.iter().enumerate() {
        assert_eq!(seen.banner.as_deref(), Some(format!("hello {number}").as_str()));
    }
}
