//! What the readers of cloud flow logs make of records as the clouds document them, and of hostile input.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

use flate2::Compression;
use flate2::write::GzEncoder;
use netwhy_flows::read::{Format, Reader, Records, Wanted, Why, sniff};
use netwhy_flows::{Action, Direction, Flow, Names, Opener, Status, UnreadCount};
use std::io::{Read, Write};
use std::sync::Arc;

const V2: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n";
const SSH: &str = "2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK\n";

fn reader() -> Reader {
    Reader::new(Arc::new(Names::default()))
}

fn read_with(reader: &Reader, input: impl Read + Send) -> (Vec<Flow>, UnreadCount, Option<Why>) {
    let mut flows = Vec::new();
    let done = reader.read("log", input, &mut |block| flows.extend(block.flows));
    match done {
        Ok(count) => (flows, count, None),
        Err(error) => (flows, error.count, Some(error.why)),
    }
}

fn read(text: &str) -> (Vec<Flow>, UnreadCount) {
    let (flows, count, failed) = read_with(&reader(), text.as_bytes());
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!(count.read, flows.len() as u64);
    (flows, count)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[test]
fn the_default_format_is_read_with_and_without_its_header() {
    let text = format!(
        "{SSH}2 123456789010 eni-1235b8ca123456789 172.31.9.69 172.31.9.12 49761 3389 6 20 4249 1418530010 1418530070 REJECT OK\n\
         2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA\n\
         2 123456789010 eni-11111111aaaaaaaaa - - - - - - - 1431280876 1431280934 - SKIPDATA\n\
         2 123456789010 eni-1235b8ca123456789 2001:db8:1234:a100:8d6e:3477:df66:f105 2001:db8:1234:a102:3304:8879:34cf:4071 34892 22 6 54 8855 1477913708 1477913820 ACCEPT OK"
    );
    for head in [
        "",
        V2,
        "\u{feff}version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\r\n",
    ] {
        let reader = reader();
        let (flows, count, _) = read_with(&reader, format!("{head}{text}").as_bytes());
        assert_eq!((flows.len(), count.unread), (5, 0), "{:?}", count.places);
        let first = flows[0];
        assert_eq!(first.source.to_string(), "172.31.16.139");
        assert_eq!((first.source_port, first.destination_port, first.protocol), (20641, 22, 6));
        assert_eq!((first.packets, first.bytes), (20, 4249));
        assert_eq!((first.start_ms, first.end_ms), (1_418_530_010_000, 1_418_530_070_000));
        assert_eq!((first.action, first.offset), (Action::Accept, head.len() as u64));
        assert_eq!(&*reader.names.word(first.interface), "eni-1235b8ca123456789");
        assert_eq!(&*reader.names.word(first.account), "123456789010");
        assert_eq!(flows[1].action, Action::Reject);
        assert_eq!((flows[2].status, flows[3].status), (Status::NoData, Status::SkipData));
        assert!(flows[2].source.is_unknown());
        assert_eq!(flows[4].destination.to_string(), "2001:db8:1234:a102:3304:8879:34cf:4071");
    }
}

#[test]
fn every_documented_version_is_read_in_any_order() {
    let reader = reader();
    let text = "version vpc-id subnet-id instance-id interface-id account-id type srcaddr dstaddr srcport dstport pkt-srcaddr pkt-dstaddr protocol bytes packets start end action tcp-flags log-status\n\
        3 vpc-abcdefab012345678 subnet-aaaaaaaa012345678 i-01234567890123456 eni-1235b8ca123456789 123456789010 IPv4 52.213.180.42 10.0.0.62 43416 5001 52.213.180.42 10.0.0.62 6 568 8 1566848875 1566848933 ACCEPT 2 OK\n\
        3 vpc-abcdefab012345678 subnet-aaaaaaaa012345678 i-01234567890123456 eni-1235b8ca123456789 123456789010 IPv4 10.0.0.62 52.213.180.42 5001 43416 10.0.0.62 52.213.180.42 6 376 7 1566848875 1566848933 ACCEPT 18 OK\n\
        \n\
        srcaddr flow-direction reject-reason dstport action a-field-of-tomorrow\n\
        10.0.0.1 egress BPA 443 REJECT x\n\
        10.0.0.1 ingress - 443 ACCEPT -\n";
    let (flows, count, _) = read_with(&reader, text.as_bytes());
    assert_eq!((flows.len(), count.unread), (4, 0), "{:?}", count.places);
    assert_eq!((flows[0].opener, flows[0].tcp_flags), (Opener::Source, 2));
    assert_eq!((flows[1].opener, flows[1].bytes), (Opener::Destination, 376));
    assert_eq!((flows[2].direction, flows[2].action), (Direction::Out, Action::Reject));
    assert_eq!(&*reader.names.word(flows[2].rule), "BPA");
    assert_eq!((flows[3].direction, flows[3].destination_port), (Direction::In, 443));
}

#[test]
fn lines_of_later_versions_need_no_header() {
    let v5 = "5 52933711 eni-1 10.0.0.1 10.0.0.2 1 2 6 3 120 1 2 ACCEPT OK vpc-1 subnet-1 i-1 2 IPv4 10.0.0.1 10.0.0.2 \
              eu-west-1 euw1-az3 - - - AMAZON egress 8\n";
    let stamped = format!("2024-01-01T00:00:00.000Z {SSH}");
    let (flows, count) = read(&format!("{SSH}{v5}{stamped}"));
    assert_eq!((flows.len(), count.unread), (3, 0), "{:?}", count.places);
    assert_eq!((flows[1].direction, flows[1].opener), (Direction::Out, Opener::Source));
    assert_eq!(flows[2].destination_port, 22);
}

#[test]
fn a_transit_gateway_tells_what_it_lost() {
    let reader = reader();
    let text = "version resource-type account-id tgw-id tgw-attachment-id srcaddr dstaddr srcport dstport protocol packets bytes start end log-status packets-lost-no-route packets-lost-blackhole tcp-flags\n\
        6 TransitGateway 123456789012 tgw-1 tgw-attach-1 10.0.0.1 10.1.0.1 40000 443 6 5 400 1661000000 1661000060 OK 0 5 18\n\
        6 TransitGateway 123456789012 tgw-1 tgw-attach-1 10.0.0.1 10.1.0.1 40000 443 6 5 400 1661000000 1661000060 OK 0 0 18\n";
    let (flows, count, _) = read_with(&reader, text.as_bytes());
    assert_eq!((flows.len(), count.unread), (2, 0));
    assert_eq!(&*reader.names.word(flows[0].interface), "tgw-attach-1");
    assert_eq!(
        (flows[0].action, &*reader.names.word(flows[0].rule)),
        (Action::Reject, "packets-lost-blackhole")
    );
    assert_eq!((flows[1].action, flows[1].opener), (Action::Unknown, Opener::Unknown));
}

#[test]
fn an_order_that_no_line_tells_can_be_given() {
    let mut reader = reader();
    reader.fields = Some("${srcaddr} ${dstaddr} ${action} ${log-status} ${bytes}".into());
    let (flows, count, failed) = read_with(&reader, b"10.0.0.1 10.0.0.2 ACCEPT OK 7\n".as_slice());
    assert!(failed.is_none());
    assert_eq!((flows.len(), count.unread, flows[0].bytes), (1, 0, 7));
    reader.fields = Some("what ever".into());
    assert!(matches!(read_with(&reader, SSH.as_bytes()).2, Some(Why::Fields(_))));
}

#[test]
fn bad_lines_are_counted_with_their_place_and_the_rest_is_read() {
    let bad = [
        "2 1 eni-1 10.0.0.256 10.0.0.2 1 2 6 1 40 1 2 ACCEPT OK",
        "2 1 eni-1 10.0.0.1 10.0.0.2 65536 2 6 1 40 1 2 ACCEPT OK",
        "2 1 eni-1 10.0.0.1 10.0.0.2 1 2 256 1 40 1 2 ACCEPT OK",
        "2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 18446744073709551616 40 1 2 ACCEPT OK",
        "2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 -40 1 2 ACCEPT OK",
        "2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 40 1 2 ALLOW OK",
        "2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 40 1 2 ACCEPT",
        "2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 40 1 2 ACCEPT OK more",
        "2 1 eni-1 10.0.0.1\0 10.0.0.2 1 2 6 1 40 1 2 ACCEPT OK",
        "2 1  10.0.0.1 10.0.0.2 1 2 6 1 40 1 2 ACCEPT OK",
        "\x1b[31mred",
    ];
    let text = format!("{V2}{SSH}{}\n{SSH}", bad.join("\n"));
    let (flows, count) = read(&text);
    assert_eq!((flows.len(), count.unread), (2, bad.len() as u64));
    let places = &count.places["log"];
    assert_eq!((places[0].number, places[0].offset), (3, (V2.len() + SSH.len()) as u64));
    assert!(
        places.iter().all(|place| !place.excerpt.contains(char::is_control) && place.why.zh != place.why.en)
    );
}

#[test]
fn only_wanted_columns_are_read() {
    let mut reader = reader();
    reader.wanted = Wanted::DESTINATION_PORT | Wanted::BYTES;
    let (flows, _, _) = read_with(&reader, format!("{V2}{SSH}").as_bytes());
    assert_eq!((flows[0].destination_port, flows[0].bytes), (22, 4249));
    assert!(flows[0].source.is_unknown() && flows[0].packets == 0 && flows[0].start_ms == 0);
}

#[test]
fn only_wanted_records_are_given_and_all_are_counted() {
    let object = |port: u16, action: &str| {
        format!(r#"{{"srcaddr":"10.0.0.1","dstaddr":"10.0.0.2","dstport":"{port}","action":"{action}"}}"#)
    };
    let lines = format!("{V2}{SSH}{}{}", SSH.replace("ACCEPT", "REJECT"), SSH.replace(" 22 ", " 23 "));
    let objects = [object(22, "REJECT"), object(22, "ACCEPT"), object(23, "REJECT")].join("\n");
    let lost = "version resource-type srcaddr dstaddr dstport packets-lost-no-route\n\
        6 TransitGateway 10.0.0.1 10.1.0.1 22 5\n6 TransitGateway 10.0.0.1 10.1.0.1 22 0\n";
    for (text, all) in [(lines.as_str(), 3), (&objects, 3), (lost, 2)] {
        let mut reader = reader();
        let records =
            Records { action: Some(Action::Reject), destination_port: Some(22), ..Records::default() };
        reader.wanted = Wanted::SOURCE.of(records);
        let (flows, count, failed) = read_with(&reader, text.as_bytes());
        assert!(failed.is_none(), "{failed:?}");
        assert_eq!((flows.len(), count.read, count.unread), (1, all, 0), "{text}");
        assert_eq!((flows[0].action, flows[0].destination_port), (Action::Reject, 22));
        assert!(!flows[0].source.is_unknown() && flows[0].packets == 0, "{:?}", flows[0]);
    }
    let mut reader = reader();
    reader.wanted = Wanted::SOURCE.of(Records { action: Some(Action::Reject), ..Records::default() });
    let text = b"srcaddr dstaddr dstport\n10.0.0.1 10.0.0.2 22\n".as_slice();
    let (flows, count, _) = read_with(&reader, text);
    assert_eq!((flows.len(), count.read), (0, 1), "no record without the asked column is one of them");
    reader.wanted = Wanted::NONE;
    let (flows, count, _) = read_with(&reader, text);
    assert_eq!((flows.len(), count.read), (1, 1), "a header is no record, though nothing is asked of them");
}

#[test]
fn gzip_is_read_in_members_and_up_to_where_it_breaks() {
    let lines = SSH.repeat(50_000);
    let mut packed = gzip(format!("{V2}{lines}").as_bytes());
    packed.extend(gzip(format!("{V2}{SSH}").as_bytes()));
    for workers in [1, 3] {
        let mut reader = reader();
        reader.workers = workers;
        let (flows, count, failed) = read_with(&reader, packed.as_slice());
        assert!(failed.is_none(), "{failed:?}");
        assert_eq!((flows.len(), count.unread), (50_001, 0));
        let cut = packed.len() / 2;
        let (flows, count, failed) = read_with(&reader, &packed[..cut]);
        assert!(matches!(failed, Some(Why::Gzip(_))), "{failed:?}");
        assert!(flows.len() > 10_000 && count.read == flows.len() as u64 && count.unread == 0);
        let mut damaged = packed.clone();
        damaged[cut] ^= 0x55;
        assert!(matches!(read_with(&reader, damaged.as_slice()).2, Some(Why::Gzip(_))));
    }
}

#[test]
fn a_gzip_bomb_ends_at_its_limit() {
    let bomb = gzip(&vec![b'\n'; 80 << 20]);
    let mut reader = reader();
    reader.format = Some(Format::AwsText);
    assert!(matches!(read_with(&reader, bomb.as_slice()).2, Some(Why::TooDense(_))));
    reader.limits.unpacked_ratio_max = u64::MAX;
    reader.limits.unpacked_bytes_max = 1 << 20;
    assert!(matches!(read_with(&reader, bomb.as_slice()).2, Some(Why::TooLarge(_))));
}

#[test]
fn a_line_without_end_is_thrown_away_in_bounded_memory() {
    let head = format!("{V2}{SSH}");
    let long = std::io::repeat(b'x').take(40 << 20);
    let tail = format!("\n{SSH}");
    let input = head.as_bytes().chain(long).chain(tail.as_bytes());
    let (flows, count, failed) = read_with(&reader(), input);
    assert!(failed.is_none());
    assert_eq!((flows.len(), count.unread), (2, 1));
    assert_eq!((count.places["log"][0].number, count.places["log"][0].offset), (3, head.len() as u64));
}

#[test]
fn what_others_read_and_what_is_none_is_said() {
    assert!(matches!(read_with(&reader(), b"PAR1xxxx".as_slice()).2, Some(Why::Elsewhere(Format::Parquet))));
    assert!(matches!(read_with(&reader(), b"hello\nworld\n".as_slice()).2, Some(Why::Unknown)));
    assert_eq!(read("").0.len(), 0);
    assert_eq!(sniff("x", &gzip(SSH.as_bytes())), Some(Format::AwsText));
}

#[test]
fn many_workers_give_what_one_gives() {
    let mut text = String::from(V2);
    for number in 0..60_000 {
        match number % 10_007 {
            5000 => text.push_str("bad line\n"),
            // The order changes in the middle, far behind what was handed out.
            9000 => text.push_str(
                "srcaddr dstaddr bytes log-status account-id interface-id packets srcport dstport\n",
            ),
            9500 => text.push_str(V2),
            at if at > 9000 && at < 9500 => {
                text.push_str(&format!("10.0.0.1 10.0.0.2 {number} OK a b 2 3 4\n"))
            }
            _ => text.push_str(&format!(
                "2 12 eni-{} 10.0.0.1 10.0.0.2 1 2 6 1 {number} 1 2 ACCEPT OK\n",
                number % 700
            )),
        }
    }
    let mut one = reader();
    let right = read_with(&one, text.as_bytes());
    assert_eq!((right.1.unread, right.0.len() as u64), (6, right.1.read));
    for workers in [2, 5] {
        one.workers = workers;
        let found = read_with(&one, text.as_bytes());
        assert!(found.0 == right.0 && found.1 == right.1, "{workers}");
    }
}
