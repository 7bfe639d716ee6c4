//! What each well-known service is asked: the smallest question it answers, that changes nothing and amplifies little.

/// A question for the service that is usually on a port. Services with two dialects are asked in turns by the pass.
///
/// Ports without a known service get an empty datagram; so do those whose service would keep or log what it is told.
pub(crate) fn payload(port: u16, pass: u32, token: u64) -> Vec<u8> {
    let id = token.to_be_bytes();
    match port {
        7 | 13 | 17 | 19 | 37 => b"\r\n".to_vec(),
        53 | 5_355 | 8_600 => dns(id[0], id[1]),
        69 => b"\x00\x01netwhy-no-such-file\0octet\0".to_vec(),
        88 => KERBEROS.to_vec(),
        111 => rpc(&id, 100_000, 2),
        123 => ntp(&id),
        137 => NETBIOS.to_vec(),
        161 | 10_161 => snmp(pass, id[7]),
        389 => CLDAP.to_vec(),
        443 | 80 | 784 | 8_443 | 853 => quic(&id),
        500 => ike(&id),
        4_500 => [&[0; 4][..], &ike(&id)].concat(),
        520 => [&[1, 2, 0, 0][..], &[0; 19], &[16]].concat(),
        623 => b"\x06\x00\xff\x06\x00\x00\x11\xbe\x80\x00\x00\x00".to_vec(),
        1_194 => [&[0x38][..], &id, &[0; 5]].concat(),
        1_434 => vec![3],
        1_645 | 1_646 | 1_812 | 1_813 => radius(&id),
        1_701 => l2tp(),
        1_900 => SSDP.to_vec(),
        2_049 => rpc(&id, 100_003, 3),
        2_123 | 2_152 => b"\x32\x01\x00\x04\x00\x00\x00\x00\x00\x01\x00\x00".to_vec(),
        3_391 | 4_433 | 5_061 | 5_349 | 5_684 => dtls(&id),
        3_478 | 19_302 => [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &id, &[0; 4]].concat(),
        3_702 => WS_DISCOVERY.to_vec(),
        5_060 => sip(token),
        5_351 => vec![0, 0],
        5_353 => MDNS.to_vec(),
        5_683 => [&[0x40, 1, id[0], id[1], 0xbb][..], b".well-known", &[4], b"core"].concat(),
        11_211 => [&[id[0], id[1], 0, 0, 0, 1, 0, 0][..], b"version\r\n"].concat(),
        19_132 => [&[1][..], &id, RAKNET, &id].concat(),
        27_960 => b"\xff\xff\xff\xffgetstatus\n".to_vec(),
        27_015 => b"\xff\xff\xff\xffTSource Engine Query\0".to_vec(),
        64_738 => [&[0; 4][..], &id].concat(),
        _ => Vec::new(),
    }
}

/// NBSTAT for `*` (RFC 1002, section 4.2.17).
const NETBIOS: &[u8] = b"\x4e\x57\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x20CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\x00\x00\x21\x00\x01";

/// The services there are, answered to us alone (RFC 6762, section 5.4; RFC 6763, section 9).
const MDNS: &[u8] =
    b"\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x09_services\x07_dns-sd\x04_udp\x05local\x00\x00\x0c\x80\x01";

/// An LDAP search of the root entry, one attribute of it (MS-ADTS, section 6.3.3).
const CLDAP: &[u8] = b"\x30\x25\x02\x01\x01\x63\x20\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x01\x02\x01\x00\x01\x01\x00\x87\x0bobjectClass\x30\x00";

/// An AS-REQ without a body that holds: any centre answers that with KRB-ERROR (RFC 4120, section 5.4.1).
const KERBEROS: &[u8] = b"\x6a\x3e\x30\x3c\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\x0a\xa4\x30\x30\x2e\xa0\x07\x03\x05\x00\x00\x00\x00\x00\xa2\x04\x1b\x02NM\xa5\x11\x18\x0f19700101000000Z\xa7\x03\x02\x01\x01\xa8\x05\x30\x03\x02\x01\x12";

/// What tells RakNet's datagrams from others.
const RAKNET: &[u8] = b"\x00\xff\xff\x00\xfe\xfe\xfe\xfe\xfd\xfd\xfd\xfd\x12\x34\x56\x78";

const SSDP: &[u8] =
    b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n";

const WS_DISCOVERY: &[u8] = b"<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:wsa=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" xmlns:wsd=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\"><soap:Header><wsa:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</wsa:To><wsa:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</wsa:Action><wsa:MessageID>urn:uuid:6e657477-6879-4a00-8000-000000000001</wsa:MessageID></soap:Header><soap:Body><wsd:Probe/></soap:Body></soap:Envelope>";

/// The name servers of the root, which every server can answer, if only with a refusal.
fn dns(high: u8, low: u8) -> Vec<u8> {
    [&[high, low][..], b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01"].concat()
}

/// Client mode of version 4; the token comes back as the origin's time stamp (RFC 5905).
fn ntp(id: &[u8; 8]) -> Vec<u8> {
    [&[0xe3, 0, 6, 0xec][..], &[0; 36], id].concat()
}

/// The system's description, of version 1 and 2c in turns: many answer only one (RFC 1157, RFC 3416).
fn snmp(pass: u32, id: u8) -> Vec<u8> {
    let version = u8::from(pass.is_multiple_of(2));
    let head = [0x30, 0x29, 2, 1, version, 4, 6];
    let get = [0xa0, 0x1c, 2, 4, 0x4e, 0x57, 0, id, 2, 1, 0, 2, 1, 0, 0x30, 0x0e, 0x30, 0x0c];
    let description = [6, 8, 0x2b, 6, 1, 2, 1, 1, 1, 0, 5, 0];
    [&head[..], b"public", &get, &description].concat()
}

/// A call of procedure 0, which does nothing (RFC 5531).
fn rpc(id: &[u8; 8], program: u32, version: u32) -> Vec<u8> {
    let words = [0, 2, program, version, 0, 0, 0, 0, 0];
    let body = words.iter().flat_map(|word: &u32| word.to_be_bytes());
    id[..4].iter().copied().chain(body).collect()
}

/// A long header of a version nobody has, which is answered with the versions there are (RFC 9000, section 6.1).
fn quic(id: &[u8; 8]) -> Vec<u8> {
    /// Servers answer nothing smaller.
    const DATAGRAM_BYTES_MIN: usize = 1_200;
    let mut bytes = [&[0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8][..], id, &[8], id].concat();
    bytes.resize(DATAGRAM_BYTES_MIN, 0);
    bytes
}

/// Main mode of version 1 with one usual proposal (RFC 2409); newer servers say that they know no such version.
fn ike(id: &[u8; 8]) -> Vec<u8> {
    let head = [&id[..], &[0; 8], &[1, 0x10, 2, 0, 0, 0, 0, 0, 0, 0, 0, 84]].concat();
    let association = [0, 0, 0, 56, 0, 0, 0, 1, 0, 0, 0, 1];
    let proposal = [0, 0, 0, 44, 1, 1, 0, 1, 0, 0, 0, 36, 1, 1, 0, 0];
    // AES of 256 bits, SHA-1, a shared key, group 2, for 28,800 seconds.
    let attributes = [
        0x80, 1, 0, 7, 0x80, 14, 1, 0, 0x80, 2, 0, 2, 0x80, 3, 0, 1, 0x80, 4, 0, 2, 0x80, 11, 0, 1, 0x80, 12,
        0x70, 0x80,
    ];
    [&head[..], &association, &proposal, &attributes].concat()
}

/// Status-Server (RFC 5997), which asks for nothing but a sign of life.
fn radius(id: &[u8; 8]) -> Vec<u8> {
    [&[12, id[0], 0, 38][..], id, id, &[80, 18], &[0; 16]].concat()
}

/// Start-Control-Connection-Request (RFC 2661, section 6.1).
fn l2tp() -> Vec<u8> {
    let head = [0xc8, 2, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0];
    let kind = [0x80, 8, 0, 0, 0, 0, 0, 1];
    let version = [0x80, 8, 0, 0, 0, 2, 1, 0];
    let framing = [0x80, 10, 0, 0, 0, 3, 0, 0, 0, 3];
    let name = [0x80, 14, 0, 0, 0, 7];
    let tunnel = [0x80, 8, 0, 0, 0, 9, 0, 1];
    [&head[..], &kind, &version, &framing, &name, b"netwhy..", &tunnel].concat()
}

/// A ClientHello without a cookie, which is answered with one (RFC 6347, section 4.2.1).
fn dtls(id: &[u8; 8]) -> Vec<u8> {
    let random = [&id[..], id, id, id].concat();
    let suites = [0, 8, 0xc0, 0x2b, 0xc0, 0x2f, 0xcc, 0xa9, 0, 0x9c];
    // Curves, point formats, signature schemes.
    let extensions =
        [0, 26, 0, 10, 0, 6, 0, 4, 0, 29, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 6, 0, 4, 4, 3, 4, 1];
    let body = [&[0xfe, 0xfd][..], &random, &[0, 0], &suites, &[1, 0], &extensions].concat();
    let length = (body.len() as u16).to_be_bytes();
    let message = [&[1, 0][..], &length, &[0, 0, 0, 0, 0, 0], &length, &body].concat();
    let record = (message.len() as u16).to_be_bytes();
    [&[22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0][..], &record, &message].concat()
}

fn sip(token: u64) -> Vec<u8> {
    format!(
        "OPTIONS sip:netwhy@localhost SIP/2.0\r\nVia: SIP/2.0/UDP localhost;branch=z9hG4bK{token:x};rport\r\n\
         From: <sip:netwhy@localhost>;tag={token:x}\r\nTo: <sip:netwhy@localhost>\r\nCall-ID: {token:x}\r\n\
         CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContact: <sip:netwhy@localhost>\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_within_payloads_agree() {
        assert_eq!(snmp(1, 0).len(), 2 + 0x29);
        assert_eq!(CLDAP.len(), 2 + 0x25);
        assert_eq!(KERBEROS.len(), 2 + 0x3e);
        assert_eq!(ike(&[0; 8]).len(), 84);
        assert_eq!(ntp(&[0; 8]).len(), 48);
        assert_eq!(rpc(&[0; 8], 100_000, 2).len(), 40);
        assert_eq!(radius(&[0; 8]).len(), 38);
        assert_eq!(l2tp().len(), 60);
        assert_eq!(NETBIOS.len(), 50);
        assert_eq!(payload(3_478, 1, 0).len(), 20);
        assert_eq!(payload(520, 1, 0).len(), 24);
        let hello = dtls(&[0; 8]);
        assert_eq!(u16::from_be_bytes([hello[11], hello[12]]) as usize, hello.len() - 13);
    }

    #[test]
    fn nothing_is_larger_than_one_packet() {
        for port in 1..=u16::MAX {
            assert!(payload(port, 1, u64::MAX).len() <= 1_232, "{port}");
        }
    }
}
