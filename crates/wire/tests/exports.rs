//! Exports of flows and captures: any bytes end, and what is written is read.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

use netwhy_wire::ipfix::{self, Dialect, FieldSpec, Set, Sets, TemplateError};
use netwhy_wire::link::{Carried, carried};
use netwhy_wire::netflow::{V5Head, V5Record, V9Head};
use netwhy_wire::pcap::{CaptureFile, Step};
use netwhy_wire::sflow::{self, Record, Sample};
use netwhy_wire::{Order, Take};
use proptest::prelude::*;

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[test]
fn enterprises_and_lengths_of_their_own_are_read() {
    let bytes = words(&[256, 3, 8, 4, 0x8001, 0xffff, 0, 29_305, 1, 8]);
    let mut take = Take::new(&bytes);
    let template = ipfix::template(Dialect::Ipfix, &mut take).unwrap().unwrap();
    let reverse = FieldSpec { enterprise: 29_305, element: 1, length: ipfix::VARIABLE, scope: false };
    assert_eq!((template.number, template.fields[1]), (256, reverse));
    assert!(ipfix::template(Dialect::Ipfix, &mut take).is_none());
    // NetFlow v9 has elements above 32767, and no enterprises.
    let mut take = Take::new(&bytes);
    let template = ipfix::template(Dialect::V9, &mut take).unwrap().unwrap();
    assert_eq!((template.fields[1].element, template.fields[2].element), (0x8001, 0));

    let mut take = Take::new(&[2, 7, 8, 255, 0, 1, 9, 5]);
    assert_eq!(ipfix::value(&mut take, ipfix::VARIABLE), Some(&[7, 8][..]));
    assert_eq!(ipfix::value(&mut take, ipfix::VARIABLE), Some(&[9][..]));
    assert_eq!(ipfix::value(&mut take, ipfix::VARIABLE), None);
    assert_eq!(take.rest, [5]);
}

#[test]
fn options_count_fields_or_bytes() {
    let mut take = Take::new(&[1, 2, 0, 3, 0, 1, 0, 10, 0, 4, 0, 82, 0, 32, 0, 34, 0, 4]);
    let template = ipfix::options_template(Dialect::Ipfix, &mut take).unwrap().unwrap();
    assert_eq!(template.fields.iter().map(|field| field.scope).collect::<Vec<_>>(), [true, false, false]);
    let bytes = words(&[258, 4, 8, 2, 4, 82, 32, 34, 4, 0]);
    let mut take = Take::new(&bytes);
    let template = ipfix::options_template(Dialect::V9, &mut take).unwrap().unwrap();
    assert_eq!((template.fields.len(), template.fields[0].scope, template.fields[1].scope), (3, true, false));
    assert!(ipfix::options_template(Dialect::V9, &mut take).is_none(), "padding");
}

#[test]
fn a_withdrawal_has_no_scopes_and_what_is_behind_it_is_read() {
    let bytes = words(&[258, 0, 259, 0, 260, 1, 1, 10, 4]);
    let mut take = Take::new(&bytes);
    let read: Vec<_> = std::iter::from_fn(|| ipfix::options_template(Dialect::Ipfix, &mut take))
        .map(|template| template.map(|template| (template.number, template.fields.len())))
        .collect();
    assert_eq!(read, [Ok((258, 0)), Ok((259, 0)), Ok((260, 1))]);
}

#[test]
fn templates_that_lie_are_refused() {
    let read = |bytes: &[u16]| ipfix::template(Dialect::Ipfix, &mut Take::new(&words(bytes))).unwrap();
    assert_eq!(read(&[256, 9, 8, 4]), Err(TemplateError::Short));
    assert_eq!(read(&[256, 60_000]), Err(TemplateError::Fields(256, 60_000)));
    assert_eq!(read(&[255, 1, 8, 4]), Err(TemplateError::Number(255)));
    assert_eq!(read(&[256, 1, 8, 0]), Err(TemplateError::Empty(256)));
    assert!(read(&[256, 0]).unwrap().fields.is_empty(), "withdrawn");
}

#[test]
fn sets_end_where_they_do_not_fit() {
    let bytes = words(&[2, 8, 256, 1, 300, 4, 7, 4, 256, 60]);
    let mut sets = Sets::new(Dialect::Ipfix, Take::new(&bytes));
    let seen: Vec<Set<'_>> = sets.by_ref().collect();
    assert_eq!(seen, [Set::Templates(&[1, 0, 0, 1]), Set::Data(300, &[]), Set::Reserved(7)]);
    assert_eq!(sets.take.rest.len(), 4);
}

#[test]
fn a_sampled_header_is_found_behind_counters() {
    let number = |number: u32| number.to_be_bytes();
    let frame = [&[0; 12][..], &[8, 0, 0x45, 0, 0, 20]].concat();
    let mut header = [1, 36, 1, 60, 4, 18].map(number).concat();
    header.extend(&frame);
    header.extend([0, 0]);
    let mut bytes = [2, 4, 0].map(number).concat();
    let sample = [7, 3, 512, 1, 2, 5, 1 << 30, 1].map(number).concat();
    bytes.extend([1, (sample.len() + header.len()) as u32].map(number).concat());
    bytes.extend(sample);
    bytes.extend(header);
    let mut take = Take::new(&bytes);
    assert_eq!(sflow::sample(&mut take), Some(Sample::Other));
    let Some(Sample::Flow(sample)) = sflow::sample(&mut take) else { panic!("a flow sample") };
    assert_eq!((sample.rate, sample.input, sample.output, sample.discarded), (512, 5, 0, true));
    let Some(Record::Header { link_type, bytes }) = sample.records().next() else { panic!("a header") };
    assert!(matches!(carried(link_type, bytes).0, Carried::Ip([0x45, ..])));
}

proptest! {
    #[test]
    fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..300), link in 0_u32..300) {
        let _ = V5Head::parse(&mut Take::new(&bytes));
        let _ = V5Record::parse(&mut Take::new(&bytes));
        let _ = V9Head::parse(&mut Take::new(&bytes));
        let _ = carried(link, &bytes);
        for dialect in [Dialect::V9, Dialect::Ipfix] {
            prop_assert!(Sets::new(dialect, Take::new(&bytes)).count() <= bytes.len() / 4);
            let _ = ipfix::options_template(dialect, &mut Take::new(&bytes));
            let _ = ipfix::template(dialect, &mut Take::new(&bytes));
        }
        let mut take = Take::new(&bytes);
        if sflow::Head::parse(&mut take).is_some() {
            while let Some(sample) = sflow::sample(&mut take) {
                if let Sample::Flow(sample) = sample {
                    prop_assert!(sample.records().count() <= sflow::RECORD_COUNT_MAX as usize);
                }
            }
        }
    }

    #[test]
    fn a_capture_of_any_bytes_goes_forward_or_ends(bytes in prop::collection::vec(any::<u8>(), 0..400), ng in any::<bool>()) {
        let head: &[u8] = if ng {
            &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0]
        } else {
            &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0]
        };
        let bytes = [head, &bytes].concat();
        let mut file = CaptureFile::of(&bytes).unwrap();
        let mut at = 0_usize;
        for _ in 0..bytes.len() {
            let length = match file.step(&bytes[at..], true) {
                Step::Packet(length, captured) => {
                    prop_assert!(captured.bytes.len() <= length);
                    length
                }
                Step::Skip(length) => length as usize,
                Step::Bad(length, _) => length as usize,
                Step::Need(needed) => {
                    prop_assert!(needed > bytes.len() - at);
                    0
                }
            };
            at = at.saturating_add(length);
            if length == 0 || at >= bytes.len() {
                break;
            }
        }
    }

    #[test]
    fn a_file_has_one_byte_order(number in any::<u64>()) {
        prop_assert_eq!(Order::Big.u64(&number.to_be_bytes(), 0), number);
        prop_assert_eq!(Order::Little.u64(&number.to_le_bytes(), 0), number);
        prop_assert_eq!(Order::Little.u32(&number.to_le_bytes(), 0), number as u32);
        prop_assert_eq!(Order::Big.u16(&[1], 0), 0, "not there");
    }
}
