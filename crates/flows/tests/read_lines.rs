//! The fast reader of lines against a slow one, and against itself with the input cut up.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

use netwhy_flows::read::{Format, Reader, Records, Wanted};
use netwhy_flows::{Action, Flow, Names, Status};
use proptest::prelude::*;
use std::io::Read;
use std::net::IpAddr;
use std::sync::Arc;

/// Reads a line of the default format the obvious way.
fn slow(line: &str, names: &Names) -> Option<Flow> {
    let words: Vec<&str> = line.trim_end_matches([' ', '\r']).split(' ').collect();
    let [
        version,
        account,
        interface,
        source,
        destination,
        sport,
        dport,
        protocol,
        packets,
        bytes,
        start,
        end,
        action,
        status,
    ] = words[..]
    else {
        return None;
    };
    let number = |word: &str, max: u64| match word {
        "-" => Some(0),
        _ if word.bytes().all(|byte| byte.is_ascii_digit()) => {
            word.parse().ok().filter(|number| *number <= max)
        }
        _ => None,
    };
    let address = |word: &str| {
        if word == "-" { Some(Default::default()) } else { Some(word.parse::<IpAddr>().ok()?.into()) }
    };
    let symbol = |word: &str| match word {
        "" => None,
        "-" => Some(Default::default()),
        word => Some(names.symbol(word)),
    };
    number(version, 999)?;
    Some(Flow {
        account: symbol(account)?,
        interface: symbol(interface)?,
        source: address(source)?,
        destination: address(destination)?,
        source_port: number(sport, 65535)? as u16,
        destination_port: number(dport, 65535)? as u16,
        protocol: number(protocol, 255)? as u8,
        packets: number(packets, u64::MAX)?,
        bytes: number(bytes, u64::MAX)?,
        start_ms: number(start, 99_999_999_999)? as i64 * 1000,
        end_ms: number(end, 99_999_999_999)? as i64 * 1000,
        action: match action {
            "-" => Action::Unknown,
            "ACCEPT" => Action::Accept,
            "REJECT" => Action::Reject,
            _ => return None,
        },
        status: match status {
            "-" | "OK" => Status::Ok,
            "NODATA" => Status::NoData,
            "SKIPDATA" => Status::SkipData,
            _ => return None,
        },
        ..Flow::default()
    })
}

/// A line of the default format, most words right and some not.
fn line() -> impl Strategy<Value = String> {
    let address = prop_oneof![
        8 => any::<u32>().prop_map(|number| std::net::Ipv4Addr::from_bits(number).to_string()),
        2 => any::<u128>().prop_map(|number| std::net::Ipv6Addr::from_bits(number).to_string()),
        1 => "[0-9.:a-f-]{0,18}",
        1 => Just("-".to_string()),
    ];
    let number =
        |max: u64| prop_oneof![12 => (0..=max).prop_map(|number| number.to_string()), 1 => "[0-9x-]{0,22}"];
    let word = prop_oneof![8 => "eni-[0-9a-f]{1,17}", 1 => "[0-9a-z-]{0,60}"];
    let end = prop_oneof![20 => Just(""), 1 => Just(" "), 1 => Just("\r"), 1 => Just(" x"), 1 => Just("\0")];
    (
        (number(10), word.clone(), word, address.clone(), address),
        (number(65536), number(65535), number(256), number(u64::MAX), number(1 << 40)),
        (number(4_000_000_000), number(4_000_000_000)),
        (prop_oneof![9 => Just("ACCEPT"), 9 => Just("REJECT"), 1 => Just("-"), 1 => Just("ACCEPTED")]),
        (prop_oneof![9 => Just("OK"), 1 => Just("NODATA"), 1 => Just("SKIPDATA"), 1 => Just("ok")], end),
    )
        .prop_map(|(a, b, c, action, (status, end))| {
            let (version, account, interface, source, destination) = a;
            let (sport, dport, protocol, packets, bytes) = b;
            format!(
                "{version} {account} {interface} {source} {destination} {sport} {dport} {protocol} {packets} {bytes} {} {} \
                 {action} {status}{end}",
                c.0, c.1
            )
        })
}

/// Gives an input in two parts.
struct Parts<'a>(&'a [u8], usize);

impl Read for Parts<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = if self.1 > 0 { self.1.min(self.0.len()) } else { self.0.len() }.min(buffer.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        (self.0, self.1) = (&self.0[count..], self.1 - count.min(self.1));
        Ok(count)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn the_fast_reader_reads_what_a_slow_one_does(lines in prop::collection::vec(line(), 1..30), split in 0usize..2000) {
        let names = Arc::new(Names::default());
        let text = lines.join("\n");
        let mut reader = Reader::new(names.clone());
        reader.format = Some(Format::AwsText);
        let mut found = Vec::new();
        let count = reader.read("f", Parts(text.as_bytes(), split), &mut |block| found.extend(block.flows)).unwrap();
        let mut right = Vec::new();
        let mut offset = 0;
        for line in &lines {
            let flow = slow(line, &names);
            right.extend(flow.map(|flow| Flow { offset, file: names.symbol("f"), ..flow }));
            offset += line.len() as u64 + 1;
        }
        prop_assert_eq!(count.unread as usize, lines.len() - right.len());
        prop_assert_eq!(&found, &right);
        // Some records are the same records; of what was left out nothing but the asked columns was looked at.
        reader.wanted = Wanted::ALL.of(Records { action: Some(Action::Reject), ..Records::default() });
        let mut some = Vec::new();
        let count_of_some =
            reader.read("f", text.as_bytes(), &mut |block| some.extend(block.flows)).unwrap();
        let rejected: Vec<Flow> =
            right.iter().filter(|flow| flow.action == Action::Reject).copied().collect();
        prop_assert_eq!(&some, &rejected);
        prop_assert!(count_of_some.unread <= count.unread);
        prop_assert_eq!(count_of_some.read + count_of_some.unread, count.read + count.unread);
        // Fewer columns are the same columns.
        reader.wanted = Wanted::DESTINATION_PORT | Wanted::SOURCE | Wanted::INTERFACE;
        let mut fewer = Vec::new();
        reader.read("f", text.as_bytes(), &mut |block| fewer.extend(block.flows)).unwrap();
        let mut rest = fewer.iter();
        for flow in &right {
            prop_assert!(rest.any(|one| (one.offset, one.source, one.destination_port, one.interface)
                == (flow.offset, flow.source, flow.destination_port, flow.interface)));
        }
    }
}
